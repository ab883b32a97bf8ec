import EventLoop
import HTTP
import JSON
import Synchronization
import TestSupport
import Testing

@Suite struct ClientTests {
    private func endpoint(_ server: TestServer, _ host: String = "127.0.0.1") -> HTTPEndpoint {
        .tcp(host: host, port: server.port, isSecure: false)
    }

    @Test func `calls are answered over one kept connection`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            for number in 1...3 {
                let answer = try await client.send(
                    .post, "/echo?n=\(number)", to: endpoint(server), body: Array("hi".utf8), timeout: .seconds(30))
                #expect(answer.status == 200)
                #expect(answer.headers["content-type"] == "text/plain")
                #expect(String(decoding: answer.body, as: UTF8.self) == "POST /echo?n=\(number) hi")
            }
            #expect(try await server.counts.connections == 1)
            client.close()
        }
    }

    @Test func `HEAD and 204 leave the connection in step`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let head = try await client.send(.head, "/echo", to: endpoint(server), timeout: .seconds(30))
            #expect(head.headers["Content-Length"] == "11")
            #expect(head.body.isEmpty)
            #expect(try await client.send(.get, "/empty", to: endpoint(server), timeout: .seconds(30)).status == 204)
            let answer = try await client.send(.get, "/echo", to: endpoint(server), timeout: .seconds(30))
            #expect(String(decoding: answer.body, as: UTF8.self) == "GET /echo ")
            #expect(try await server.counts.connections == 1)
            client.close()
        }
    }

    @Test func `a host name is tried at each of its addresses`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let answer = try await client.send(
                .get, "/echo", to: endpoint(server, "localhost"), timeout: .seconds(30))
            #expect(answer.status == 200)
            client.close()
        }
    }

    @Test func `a call without an answer ends in time and the server notices`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            // Over a connection that is there, so that the time is the answer's.
            _ = try await client.send(.get, "/echo", to: endpoint(server), timeout: .seconds(30))
            let error = await #expect(throws: HTTPError.self) {
                _ = try await client.send(.get, "/park", to: endpoint(server), timeout: .seconds(1))
            }
            #expect(error?.kind == .timeout)
            try await server.expect(["GET /park", "gone"])
            client.close()
        }
    }

    @Test func `a cancelled call ends and the server notices`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let call = Task {
                try await client.send(.get, "/park", to: endpoint(server), timeout: .seconds(60))
            }
            try await server.expect(["GET /park"])
            call.cancel()
            await #expect(throws: HTTPError(.cancelled, "the call was cancelled")) { _ = try await call.value }
            try await server.expect(["GET /park", "gone"])
            client.close()
        }
    }

    @Test func `nobody listening is told apart from no answer`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            await server.server.shutDown(grace: .zero)
            let error = await #expect(throws: HTTPError.self) {
                _ = try await client.send(.get, "/", to: endpoint(server), timeout: .seconds(30))
            }
            #expect(error?.kind == .cannotConnect)
            client.close()
        }
    }

    @Test func `a connection lost while waiting is told`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let call = Task {
                try await client.send(.post, "/stream", to: endpoint(server), timeout: .seconds(60))
            }
            try await server.expect(["POST /stream"])
            await server.server.shutDown(grace: .zero)
            let error = await #expect(throws: HTTPError.self) { _ = try await call.value }
            #expect(error?.kind == .connectionLost)
            client.close()
        }
    }

    @Test func `an answer is larger than allowed`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop, limits: .with { $0.answerBodyBytes = 1000 })
            let error = await #expect(throws: HTTPError.self) {
                _ = try await client.send(.get, "/large/1001", to: endpoint(server), timeout: .seconds(30))
            }
            #expect(error?.kind == .badAnswer)
            client.close()
        }
    }

    @Test func `a large answer comes whole`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let answer = try await client.send(.get, "/large/3000000", to: endpoint(server), timeout: .seconds(30))
            #expect(answer.body.count == 3_000_000)
            client.close()
        }
    }

    @Test func `events come as they are sent, and the end is told`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let events = Mutex<[ServerSentEvent]>([])
            let stream = Task {
                try await client.stream(
                    "/stream", from: endpoint(server), timeout: .seconds(30), silence: .seconds(30),
                    onEvent: { event in events.withLock { $0.append(event) } })
            }
            try await server.expect(["GET /stream"])
            _ = try await server.withParked { $0.send(Array(": hello\nid: 7\nevent: granted\nda".utf8)) }
            _ = try await server.withParked { $0.send(Array("ta: a\ndata: b\n\n".utf8)) }
            let expected = ServerSentEvent(id: "7", kind: "granted", data: "a\nb")
            try await eventually("the event", is: [expected]) { events.withLock { $0 } }
            try await server.withParked { $0.endStream() }
            #expect(try await stream.value.status == 200)
            client.close()
        }
    }

    @Test func `a stream that falls silent is lost`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let error = await #expect(throws: HTTPError.self) {
                _ = try await client.stream(
                    "/stream", from: endpoint(server), timeout: .seconds(30), silence: .milliseconds(50),
                    onEvent: { _ in }
                )
            }
            #expect(error?.kind == .connectionLost)
            try await server.expect(["GET /stream", "gone"])
            client.close()
        }
    }

    @Test func `what is no stream is returned as an answer`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            let answer = try await client.stream(
                "/echo", from: endpoint(server), timeout: .seconds(30), silence: .seconds(30), onEvent: { _ in })
            #expect(String(decoding: answer.body, as: UTF8.self) == "GET /echo ")
            client.close()
        }
    }

    @Test func `a path that would break the request line is refused`() async throws {
        try await withServer { server in
            let client = HTTPClient(loop: server.loop)
            for path in ["", "echo", "/a b", "/a\r\nX: y", "/ä"] {
                let error = await #expect(throws: HTTPError.self) {
                    _ = try await client.send(.get, path, to: endpoint(server), timeout: .seconds(30))
                }
                #expect(error?.kind == .badAddress)
            }
            client.close()
        }
    }

    @Test func `a server on a unix socket is called`() async throws {
        try await withLoop { loop in
            let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
            _ = try Files.makeDirectory(directory)
            defer { try? Files.removeTree(directory) }
            let path = "\(directory)/http.sock"
            for _ in 1...2 {  // the second time too
                let server = HTTPServer(loop: loop, log: .silent) { request, exchange in
                    exchange.respond(HTTPResponse(status: 200, body: Array(request.peer.utf8)))
                }
                try await loop.run { try server.listen(unixPath: path) }
                let client = HTTPClient(loop: loop)
                let answer = try await client.send(.get, "/", to: .unix(path: path), timeout: .seconds(30))
                #expect(String(decoding: answer.body, as: UTF8.self) == "unix")
                let second = HTTPServer(loop: loop, log: .silent) { _, _ in }
                await #expect(throws: HTTPError.self) { try await loop.run { try second.listen(unixPath: path) } }
                client.close()
                await server.shutDown(grace: .zero)
            }
            #expect(!Files.exists(path))
        }
    }

    @Test(arguments: [
        ("http://localhost:8080", HTTPEndpoint.tcp(host: "localhost", port: 8080, isSecure: false)),
        ("http://gpu-1.example/", .tcp(host: "gpu-1.example", port: 80, isSecure: false)),
        ("https://[::1]:8443", .tcp(host: "::1", port: 8443, isSecure: true)),
        ("https://example", .tcp(host: "example", port: 443, isSecure: true)),
        ("unix:///run/x.sock", .unix(path: "/run/x.sock")),
    ])
    func `addresses of servers`(_ text: String, _ expected: HTTPEndpoint) throws {
        #expect(try HTTPEndpoint(parsing: text) == expected)
    }

    @Test(arguments: [
        "", "localhost:8080", "http://", "http://:80", "http://a:", "http://a:0", "http://a:65536", "http://a:+8",
        "http://a/b", "http://a b", "http://[::1", "unix://x", "ftp://a",
    ])
    func `what is no address of a server`(_ text: String) {
        #expect(throws: HTTPError.self) { try HTTPEndpoint(parsing: text) }
    }

    @Test(arguments: [
        ("https://pool:8080", true), ("unix:///run/l.sock", true), ("http://localhost", true),
        ("http://a.localhost:1", true), ("http://127.0.0.1:80", true), ("http://127.8.9.1", true),
        ("http://[::1]:8", true),
        ("http://pool", false), ("http://10.0.0.5", false), ("http://127.0.0.1.example.com", false),
        ("http://localhost.example.com", false), ("http://[fe80::1]", false), ("http://1270.0.0.1", false),
    ])
    func `what is said at an address is known to be secret or not`(text: String, isConfidential: Bool) throws {
        #expect(try HTTPEndpoint(parsing: text).isConfidential == isConfidential)
    }
}
