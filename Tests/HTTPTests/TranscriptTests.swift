import TestSupport
import Testing

@testable import HTTP

/// Bytes that a client sends on one connection, and the bytes that it gets.
struct Transcript: Sendable, CustomTestStringConvertible {
    var name: String
    var sent: String
    var answered: String
    /// Whether the server closes its side behind the answer.
    var ends = false

    var testDescription: String { name }

    init(_ name: String, _ sent: String, _ answered: String) {
        self.name = name
        self.sent = sent
        self.answered = answered
    }

    /// One that is refused, after which the connection ends.
    init(_ name: String, _ sent: String, _ status: String, _ refusal: Refusal) {
        self.init(name, sent, refused(status, refusal))
        ends = true
    }

    func ending() -> Transcript {
        var copy = self
        copy.ends = true
        return copy
    }
}

func refused(_ status: String, _ refusal: Refusal, _ limits: HTTPLimits = .init()) -> String {
    let body = "{\"error\":\"\(refusal.word)\",\"msg\":\"\(refusal.message(limits))\"}"
    let retry = status.hasPrefix("503") ? "Retry-After: 1\r\n" : ""
    return "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\n\(retry)Connection: close\r\n"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

private let host = "Host: localhost\r\n"

@Suite struct TranscriptTests {
    static let served: [Transcript] = [
        .init("GET", "GET /echo HTTP/1.1\r\n\(host)\r\n", answer("GET /echo ")),
        .init("empty lines before a request", "\r\n\r\nGET /echo HTTP/1.1\r\n\(host)\r\n", answer("GET /echo ")),
        .init(
            "a query, decoded", "GET /%65cho?n=a%26b&m=1+2&&k HTTP/1.1\r\n\(host)\r\n",
            answer("GET /echo?n=a&b?m=1 2?k= ")),
        .init("a plus in a path", "GET /a+b HTTP/1.1\r\n\(host)\r\n", answer("GET /a+b ")),
        .init(
            "a target in absolute form", "GET http://other:80/echo?a=1 HTTP/1.1\r\n\(host)\r\n",
            answer("GET /echo?a=1 ")),
        .init("a target without a path", "GET http://other HTTP/1.1\r\n\(host)\r\n", answer("GET / ")),
        .init("OPTIONS goes to the handler", "OPTIONS /echo HTTP/1.1\r\n\(host)\r\n", answer("OPTIONS /echo ")),
        .init("OPTIONS of the server", "OPTIONS * HTTP/1.1\r\n\(host)\r\n", answer("OPTIONS * ")),
        .init(
            "methods beyond ours go to the handler", "TRACE /echo HTTP/1.1\r\n\(host)\r\n", answer(" /echo ")),
        .init(
            "HEAD has a length and no body",
            "HEAD /echo HTTP/1.1\r\n\(host)\r\nGET /echo HTTP/1.1\r\n\(host)\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\n" + answer("GET /echo ")),
        .init(
            "204 has neither",
            "GET /empty HTTP/1.1\r\n\(host)\r\nGET /echo HTTP/1.1\r\n\(host)\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n" + answer("GET /echo ")),
        .init(
            "a body with a length", "POST /echo HTTP/1.1\r\n\(host)Content-Length: 5\r\n\r\nhello",
            answer("POST /echo hello")),
        .init(
            "a body in chunks",
            "POST /echo HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            answer("POST /echo hello")),
        .init(
            "requests in one packet are answered in order",
            "GET /1 HTTP/1.1\r\n\(host)\r\nPOST /2 HTTP/1.1\r\n\(host)Content-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n\(host)\r\n",
            answer("GET /1 ") + answer("POST /2 x") + answer("GET /3 ")),
        .init(
            "an upgrade is not taken",
            "GET /echo HTTP/1.1\r\n\(host)Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\n\(host)\r\n",
            answer("GET /echo ") + answer("GET /2 ")),
        .init(
            "Connection: close", "GET /echo HTTP/1.1\r\n\(host)Connection: close\r\n\r\n",
            answer("GET /echo ", "Connection: close\r\n")
        ).ending(),
        .init(
            "what follows Connection: close is not read",
            "GET /echo HTTP/1.1\r\n\(host)Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n\(host)\r\n",
            answer("GET /echo ", "Connection: close\r\n")
        ).ending(),
        .init(
            "the handler closes", "GET /close HTTP/1.1\r\n\(host)\r\n", answer("last", "Connection: close\r\n")
        ).ending(),
        .init(
            "HTTP/1.0 closes", "GET /echo HTTP/1.0\r\n\r\n", answer("GET /echo ", "Connection: close\r\n")
        ).ending(),
        .init(
            "HTTP/1.0 may keep", "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            answer("GET /echo ", "Connection: keep-alive\r\n")),
        .init(
            "HTTP/1.0 expects nothing", "POST /echo HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na",
            answer("POST /echo a", "Connection: close\r\n")
        ).ending(),
        .init(
            "a body that is there needs no 100",
            "POST /echo HTTP/1.1\r\n\(host)Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            answer("POST /echo hi")),
    ]

    static let refusedOnes: [Transcript] = [
        .init("no Host", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request", .missingHost),
        .init("two Hosts", "GET / HTTP/1.1\r\n\(host)\(host)\r\n", "400 Bad Request", .severalHosts),
        .init("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n\(host)\(host)\r\n", "400 Bad Request", .severalHosts),
        .init("a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400 Bad Request", .badHost),
        .init("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 Bad Request", .badHost),
        .init("a folded header", "GET / HTTP/1.1\r\n\(host)A: b\r\n c\r\n\r\n", "400 Bad Request", .foldedHeader),
        .init(
            "folded before its value", "GET / HTTP/1.1\r\n\(host)A:\r\n\tc\r\n\r\n", "400 Bad Request", .foldedHeader),
        .init(
            "a folded coding", "POST / HTTP/1.1\r\n\(host)Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request", .foldedHeader),
        .init("a space before the colon", "GET / HTTP/1.1\r\n\(host)A : b\r\n\r\n", "400 Bad Request", .malformed),
        .init("a space in a name", "GET / HTTP/1.1\r\n\(host)A b: c\r\n\r\n", "400 Bad Request", .malformed),
        .init("a bare line feed", "GET / HTTP/1.1\n\(host)\r\n", "400 Bad Request", .malformed),
        .init("a bare line feed in a header", "GET / HTTP/1.1\r\n\(host)A: b\n\r\n", "400 Bad Request", .malformed),
        .init("a header without a name", "GET / HTTP/1.1\r\n\(host): b\r\n\r\n", "400 Bad Request", .malformed),
        .init("a bare return", "GET / HTTP/1.1\r\n\(host)A: b\rc\r\n\r\n", "400 Bad Request", .malformed),
        .init("a zero byte", "GET / HTTP/1.1\r\n\(host)A: \0\r\n\r\n", "400 Bad Request", .malformed),
        .init(
            "length and coding", "POST / HTTP/1.1\r\n\(host)Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 Bad Request", .malformed),
        .init(
            "coding and length", "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            "400 Bad Request", .malformed),
        .init(
            "two lengths", "POST / HTTP/1.1\r\n\(host)Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "400 Bad Request", .malformed),
        .init(
            "a list of lengths", "POST / HTTP/1.1\r\n\(host)Content-Length: 1, 1\r\n\r\na", "400 Bad Request",
            .malformed),
        .init(
            "a signed length", "POST / HTTP/1.1\r\n\(host)Content-Length: +1\r\n\r\na", "400 Bad Request", .malformed),
        .init(
            "a length of words", "POST / HTTP/1.1\r\n\(host)Content-Length: 1x\r\n\r\na", "400 Bad Request", .malformed),
        .init(
            "a length beyond counting", "POST / HTTP/1.1\r\n\(host)Content-Length: 99999999999999999999\r\n\r\n",
            "400 Bad Request", .malformed),
        .init(
            "a chunk size of another kind",
            "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", "400 Bad Request",
            .malformed),
        .init(
            "a coding in HTTP/1.0", "POST / HTTP/1.0\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request", .codingInOldVersion),
        .init(
            "a coding that is not ours",
            "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 Not Implemented",
            .unknownCoding),
        .init(
            "a coding that does not end in chunks", "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: gzip\r\n\r\n",
            "501 Not Implemented", .unknownCoding),
        .init(
            "another expectation", "POST / HTTP/1.1\r\n\(host)Expect: 200-ok\r\nContent-Length: 1\r\n\r\n",
            "417 Expectation Failed", .unknownExpectation),
        .init("a broken escape", "GET /%zz HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("half an escape", "GET /%4 HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("an escaped zero", "GET /%00 HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("no UTF-8", "GET /%ff HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("a broken query", "GET /?a=%g1 HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("a fragment", "GET /a#b HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("a user in the target", "GET http://a@b/ HTTP/1.1\r\n\(host)\r\n", "400 Bad Request", .badTarget),
        .init("HTTP/2.0", "GET / HTTP/2.0\r\n\(host)\r\n", "505 HTTP Version Not Supported", .unknownVersion),
        .init("HTTP/9.9", "GET / HTTP/9.9\r\n\(host)\r\n", "505 HTTP Version Not Supported", .unknownVersion),
        .init("no version", "GET /\r\n\r\n", "505 HTTP Version Not Supported", .unknownVersion),
        .init(
            "the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported",
            .unknownVersion),
        .init("an unknown method", "BREW / HTTP/1.1\r\n\(host)\r\n", "501 Not Implemented", .unknownMethod),
        .init("a method in small letters", "get / HTTP/1.1\r\n\(host)\r\n", "501 Not Implemented", .unknownMethod),
        .init("CONNECT", "CONNECT a:80 HTTP/1.1\r\n\(host)\r\n", "501 Not Implemented", .unknownMethod),
        .init("TLS on a plain port", "\u{16}\u{03}\u{01}\u{02}", "400 Bad Request", .malformed),
        .init(
            "a long target", "GET /\(String(repeating: "a", count: 8192)) HTTP/1.1\r\n\(host)\r\n", "414 URI Too Long",
            .targetTooLong),
        .init(
            "a large header", "GET / HTTP/1.1\r\n\(host)A: \(String(repeating: "a", count: 16384))\r\n\r\n",
            "431 Request Header Fields Too Large", .headTooLarge),
        .init(
            "an endless header of spaces", "GET / HTTP/1.1\r\n\(host)A:\(String(repeating: " ", count: 16384))",
            "431 Request Header Fields Too Large", .headTooLarge),
        .init(
            "many headers", "GET / HTTP/1.1\r\n\(host)\(String(repeating: "A: b\r\n", count: 100))\r\n",
            "431 Request Header Fields Too Large", .headTooLarge),
        .init(
            "fields behind the chunks",
            "POST /echo HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nHost: b\r\n\r\n",
            "400 Bad Request", .trailer),
        .init(
            "folded fields behind the chunks",
            "POST /echo HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
            "400 Bad Request", .trailer),
        .init(
            "a bare line feed behind the chunks",
            "POST /echo HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\n", "400 Bad Request",
            .malformed),
        .init(
            "a bare line feed behind fields behind the chunks",
            "POST /echo HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\n", "400 Bad Request",
            .malformed),
        .init(
            "large fields behind the chunks",
            "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\nA: \(String(repeating: "a", count: 16384))",
            "431 Request Header Fields Too Large", .headTooLarge),
        .init(
            "a large body announced", "POST / HTTP/1.1\r\n\(host)Content-Length: 65537\r\n\r\n",
            "413 Content Too Large",
            .bodyTooLarge),
        .init(
            "a large body announced and awaited",
            "POST / HTTP/1.1\r\n\(host)Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n", "413 Content Too Large",
            .bodyTooLarge),
        .init(
            "a large body in chunks",
            "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n10001\r\n\(String(repeating: "a", count: 65537))",
            "413 Content Too Large", .bodyTooLarge),
    ]

    @Test(arguments: served + refusedOnes) func `each transcript, in one piece`(_ transcript: Transcript) async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(transcript.sent)
            try await check(transcript, wire)
        }
    }

    /// The same rules whatever the packets; done by the parser itself, since a thousand packets take their time.
    @Test(arguments: served + refusedOnes) func `each transcript, byte by byte`(_ transcript: Transcript) {
        let whole = Reading.read(Array(transcript.sent.utf8), pieces: .max)
        let bytewise = Reading.read(Array(transcript.sent.utf8), pieces: 1)
        #expect(whole == bytewise)
    }

    @Test func `a client that waits for 100 gets it`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("POST /echo HTTP/1.1\r\n\(host)Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            try await wire.expect("HTTP/1.1 100 Continue\r\n\r\n")
            wire.send("hi")
            try await wire.expect(answer("POST /echo hi"))
        }
    }

    @Test func `an answer under a strange status is still an answer`() {
        var text = MessageText()
        text.response(HTTPResponse(status: 299), AnswerForm(), isLast: false, date: [])
        #expect(String(decoding: text.bytes, as: UTF8.self) == "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n")
    }

    @Test func `a header's value cannot end its line`() {
        var text = MessageText()
        let response = HTTPResponse(status: 204, headers: ["A": "b\r\nSet-Cookie: c\0"])
        text.response(response, AnswerForm(), isLast: false, date: [])
        #expect(
            String(decoding: text.bytes, as: UTF8.self) == "HTTP/1.1 204 No Content\r\nA: b  Set-Cookie: c \r\n\r\n")
    }

    private func check(_ transcript: Transcript, _ wire: Wire) async throws {
        if transcript.ends {
            try await wire.expectLast(transcript.answered)
        } else {
            try await wire.expect(transcript.answered)
            // Still open, and nothing stands in its way.
            wire.send("GET /again HTTP/1.1\r\n\(host)\r\n")
            try await wire.expect(answer("GET /again "))
        }
    }
}
