import RedisClient
import Testing

@Suite struct `An id of a stream` {
    @Test(arguments: [
        ("0", "0-0"), ("5-7", "5-7"),
        ("18446744073709551615-18446744073709551615", "18446744073709551615-18446744073709551615"), ("", nil),
        ("-", nil), ("5-", nil), ("-5", nil), ("1-2-3", nil), ("x", nil), ("1-x", nil), ("1 -2", nil), ("+1-1", nil),
        ("1-+1", nil), ("18446744073709551616", nil), ("1-18446744073709551616", nil),
    ])
    func `is read as it is written`(text: String, expected: String?) {
        #expect(RedisStreamID(parsing: text)?.text == expected)
        #expect(RedisStreamID(text).text == expected ?? "0-0")
    }

    @Test func `is ordered by its numbers`() {
        let ids = ["0-0", "0-9", "0-10", "1-9", "1-10", "2-0", "9-99", "10-0", "1764000000000-1"].map {
            RedisStreamID($0)
        }
        #expect(ids == ids.reversed().sorted())
    }
}
