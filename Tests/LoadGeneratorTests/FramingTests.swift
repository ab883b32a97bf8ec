import Testing

@testable import LoadGenerator

@Suite struct `The end of an answer` {
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 40, 38),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}more", 40, 38),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 59, 47),
    ])
    func `an HTTP answer ends where its length or its last chunk says`(_ text: String, _ length: Int, _ body: Int) {
        let answer = Framing.http.answer(in: Array(text.utf8).span)
        #expect(answer?.length == length)
        #expect(answer?.body == body)
        #expect(answer?.status == 200)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Len", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    ])
    func `a part of an HTTP answer is no answer`(_ text: String) {
        #expect(Framing.http.answer(in: Array(text.utf8).span) == nil)
    }

    @Test(arguments: [("+OK\r\n", 5), ("$-1\r\n", 5), ("$2\r\nab\r\n:1\r\n", 8), (":1\r\n", 4)])
    func `a Redis answer ends behind its line or its bytes`(_ text: String, _ length: Int) {
        #expect(Framing.redis.answer(in: Array(text.utf8).span)?.length == length)
    }

    @Test(arguments: ["+O", "$2\r\na", "$2\r\nab\r"])
    func `a part of a Redis answer is no answer`(_ text: String) {
        #expect(Framing.redis.answer(in: Array(text.utf8).span) == nil)
    }

    @Test func `a PostgreSQL answer ends when the server is ready, and an error is told`() {
        let ready: [UInt8] = [UInt8(ascii: "Z"), 0, 0, 0, 5, UInt8(ascii: "I")]
        let error: [UInt8] = [UInt8(ascii: "E"), 0, 0, 0, 5, 0]
        #expect(Framing.postgres.answer(in: (error + ready).span)?.length == 12)
        #expect(Framing.postgres.answer(in: (error + ready).span)?.status == Int(UInt8(ascii: "E")))
        #expect(Framing.postgres.answer(in: error.span) == nil)
    }

    @Test func `samples tell what a share of them does not exceed`() {
        var samples = Samples((1...100).map { $0 * 1000 })
        #expect(samples.microseconds(at: 0.5) == 51)
        #expect(samples.microseconds(at: 1) == 100)
        var none = Samples()
        #expect(none.microseconds(at: 0.5) == nil)
    }
}
