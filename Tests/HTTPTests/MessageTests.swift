import JSON
import Testing

@testable import HTTP

@Suite struct MessageTests {
    @Test(arguments: Refusal.allCases) func `each refusal is JSON with a word and a sentence`(_ refusal: Refusal) throws
    {
        let response = refusal.response(HTTPLimits())
        let object = try #require(try JSONParser.parse(response.body).object)
        #expect(object.map(\.name) == ["error", "msg"])
        let word = try #require(object["error"]?.string)
        #expect(!word.isEmpty && word.allSatisfy { $0.isLowercase || $0 == "_" })
        #expect(try #require(object["msg"]?.string).hasSuffix("."))
        #expect((400...505).contains(response.status))
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"), (1_795_536_000, "Tue, 24 Nov 2026 16:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    ])
    func `dates are written as HTTP wants them`(_ seconds: Int64, _ text: String) {
        #expect(DateLine.text(seconds) == text)
    }

    @Test func `the Date line is written anew when a second has passed`() {
        var line = DateLine()
        line.look(.seconds(1), wallClock: .seconds(0))
        line.look(.milliseconds(1999), wallClock: .seconds(1))
        #expect(String(decoding: line.bytes, as: UTF8.self) == "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")
        line.look(.seconds(2), wallClock: .seconds(1))
        #expect(String(decoding: line.bytes, as: UTF8.self) == "Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n")
    }

    @Test func `headers are found without case and keep their order`() {
        var headers: HTTPHeaders = ["Host": "a", "Accept": "b", "accept": "c"]
        #expect(headers["ACCEPT"] == "b")
        #expect(headers.values(of: "Accept") == ["b", "c"])
        #expect(headers["Accep"] == nil)
        headers["accept"] = "d"
        #expect(headers.map { "\($0.name)=\($0.value)" } == ["Host=a", "accept=d"])
        headers["host"] = nil
        #expect(headers == ["Accept": "d"])
        #expect(headers != ["Accept": "e"])
    }

    @Test func `events are read as the standard has them`() {
        var parser = EventStreamParser(eventBytes: 1000)
        let text =
            "\u{FEFF}:comment\r\ndata: a\r\ndata:b\rdata\n\nid: 1\nevent: x\ndata:  c\n\nid\ndata: d\n\nevent: y\n\n"
            + "retry: 5\nother: z\ndata: e\n\ndata: unfinished"
        #expect(
            parser.read(Array(text.utf8)) == [
                ServerSentEvent(id: "", kind: "message", data: "a\nb\n"),
                ServerSentEvent(id: "1", kind: "x", data: " c"), ServerSentEvent(id: "", kind: "message", data: "d"),
                ServerSentEvent(id: "", kind: "message", data: "e"),
            ])
    }

    @Test func `events are the same however they are cut, and bounded`() {
        let text = Array("data: a\r\n\r\nid: 7\rdata: b\r\rdata: ä\n\n".utf8)
        var whole = EventStreamParser(eventBytes: 100)
        var cut = EventStreamParser(eventBytes: 100)
        #expect(whole.read(text) == text.flatMap { cut.read([$0]) ?? [] })
        var small = EventStreamParser(eventBytes: 10)
        #expect(small.read(Array("data: 1234567\n\n".utf8)) == nil)
        var lines = EventStreamParser(eventBytes: 10)
        #expect(lines.read(Array(String(repeating: "data: 1\n", count: 20).utf8)) == nil)
    }
}
