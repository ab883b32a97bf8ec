import Testing

@testable import Coordinator

@Suite struct `Ids of events` {
    @Test func `are ordered by both of their numbers`() {
        let ids = ["0-0", "5-9", "5-10", "10-0", "1764000000000-0", "18446744073709551615-1"]
        #expect(ids.map { EventID($0) } == ids.map { EventID($0) }.sorted())
        #expect(ids.map { EventID($0).text } == ids)
    }

    @Test(arguments: ["", "-", "5-", "-5", "+5-0", "5-+1", "5-1-2", "5.0", "x", " 5", "18446744073709551616-0", "５-0"])
    func `are refused where Redis would not have made them`(text: String) {
        #expect(EventID(parsing: text) == nil)
    }

    @Test func `may be given without the second number`() { #expect(EventID(parsing: "17")?.text == "17-0") }
}
