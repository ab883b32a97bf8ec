import EventLoop
import Glibc
import HTTP
import TestSupport
import Testing

private let host = "Host: localhost\r\n"
private let park = "GET /park HTTP/1.1\r\n\(host)\r\n"
private let echo = "GET /echo HTTP/1.1\r\n\(host)\r\n"

@Suite struct WaitingTests {
    @Test func `a parked request is answered later, and what came meanwhile after it`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park + echo)
            try await server.expect(["GET /park"])
            wire.send("GET /2 HTTP/1.1\r\n\(host)\r\nGET /park")
            try await server.answerParked()
            try await wire.expect(answer("parked") + answer("GET /echo ") + answer("GET /2 "))
            wire.send(" HTTP/1.1\r\n\(host)\r\n")
            try await server.expect(["GET /park", "delivered", "GET /park"])
        }
    }

    enum Leaving: CaseIterable {
        case closes, halfCloses, resets
    }

    @Test(arguments: Leaving.allCases, ["/park", "/stream"])
    func `a client that leaves is noticed`(_ leaving: Leaving, _ path: String) async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("GET \(path) HTTP/1.1\r\n\(host)\r\n")
            try await server.expect(["GET \(path)"])
            let left = server.loop.now
            switch leaving {
            case .closes: wire.close()
            case .halfCloses: wire.halfClose()
            case .resets: wire.reset()
            }
            try await server.expect(["GET \(path)", "gone"])
            #expect(try await server.goneAt - left < .seconds(3))
            // An answer goes nowhere, and whoever gives it is told.
            if path == "/park" {
                try await server.answerParked()
                try await server.expect(["GET /park", "gone", "undelivered"])
            } else {
                #expect(try await server.withParked { $0.send([1]) } == false)
            }
            try await eventually("no connection is left", is: 0) { try await server.counts.openConnections }
        }
    }

    @Test func `a client that leaves after its answer is not told`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park)
            try await server.expect(["GET /park"])
            try await server.answerParked()
            try await wire.expect(answer("parked"))
            wire.close()
            try await eventually("no connection is left", is: 0) { try await server.counts.openConnections }
            #expect(try await server.events == ["GET /park", "delivered"])
        }
    }

    @Test func `a client that leaves behind a full buffer is noticed, and its flood costs nothing`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park)
            try await server.expect(["GET /park"])
            #expect(wire.sendWithoutWaiting([UInt8](repeating: UInt8(ascii: "x"), count: 100_000)) > 40_000)
            let before = try await server.loop.run { threadTime() }
            let left = server.loop.now
            wire.close()
            try await server.expect(["GET /park", "gone"])
            let took = try await server.goneAt - left
            #expect(took < .seconds(3))
            let spent = try await server.loop.run { threadTime() } - before
            #expect(spent < max(took / 2, .milliseconds(100)), "the loop was busy for \(spent) of \(took)")
        }
    }

    @Test func `what fills the buffer is served after the answer`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park)
            try await server.expect(["GET /park"])
            let body = String(repeating: "b", count: 20_000)
            let post = "POST /echo HTTP/1.1\r\n\(host)Content-Length: 20000\r\n\r\n\(body)"
            let sent = post + post + post
            wire.send(sent)
            // Now the server has as much as it takes and does not look at the connection any more.
            try await eventually("the buffer is full", is: sent.utf8.count - HTTPLimits().pipelinedBytes) {
                wire.unreadAtServer
            }
            try await server.answerParked()
            let echoed = answer("POST /echo \(body)")
            try await wire.expect(answer("parked") + echoed + echoed + echoed)
        }
    }

    @Test func `only the first answer counts`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park)
            try await server.expect(["GET /park"])
            try await server.withParked { exchange in
                exchange.respond(TestServer.text("first"))
                exchange.respond(TestServer.text("second"))
                exchange.startStream(status: 200, headers: .init())
                #expect(!exchange.send([1]))
                exchange.endStream()
            }
            wire.send(echo)
            try await wire.expect(answer("first") + answer("GET /echo "))
        }
    }
}

private func threadTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

@Suite struct DeadlineTests {
    @Test(arguments: ["GET /echo HTTP/1.1\r\nHo", "POST /echo HTTP/1.1\r\n\(host)Content-Length: 9\r\n\r\nabc"])
    func `a request that does not end is refused`(_ beginning: String) async throws {
        let limits = HTTPLimits.with { $0.requestDeadline = .milliseconds(800) }
        try await withServer(limits) { server in
            let wire = try server.connect()
            wire.send(beginning)
            try await wire.expectLast(tooSlow)
        }
    }

    @Test func `a request that trickles is refused all the same`() async throws {
        let limits = HTTPLimits.with { $0.requestDeadline = .milliseconds(800) }
        try await withServer(limits) { server in
            let wire = try server.connect()
            wire.send("GET /echo HTTP/1.1\r\n\(host)A: ")
            try await eventually("the end") {
                wire.send("a")
                return wire.hasEnded
            }
            #expect(wire.text.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        }
    }

    private var tooSlow: String {
        let body =
            #"{"error":"request_timeout","msg":"The request was not complete within 0 seconds. Send it at once."}"#
        return "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `a connection without a request is closed without a word`() async throws {
        try await withServer(.with { $0.requestDeadline = .milliseconds(50) }) { server in
            try await server.connect().expectEnd()
        }
    }

    @Test func `an idle connection is closed in time, a waiting one is not`() async throws {
        let limits = HTTPLimits.with {
            $0.idleTimeout = .milliseconds(50)
            $0.requestDeadline = .milliseconds(800)
        }
        try await withServer(limits) { server in
            let waiting = try server.connect()
            waiting.send(park)
            try await server.expect(["GET /park"])
            let idle = try server.connect()
            idle.send(echo)
            try await idle.expect(answer("GET /echo "))
            try await idle.expectEnd()
            try await server.answerParked()
            try await waiting.expect(answer("parked"))
        }
    }

    @Test func `a reader that does not read is given up`() async throws {
        try await withServer(.with { $0.drainDeadline = .milliseconds(50) }) { server in
            let wire = try server.connect(receiveBuffer: 4096)
            wire.send("GET /large/30000000 HTTP/1.1\r\n\(host)\r\n")
            try await server.expect(["undelivered"])
        }
    }

    @Test func `a reader that breaks off is told apart from one that reads`() async throws {
        try await withServer { server in
            let breaking = try server.connect(receiveBuffer: 4096)
            breaking.send("GET /large/30000000 HTTP/1.1\r\n\(host)\r\n")
            try await eventually("the request is there", is: 1) { try await server.counts.requests }
            breaking.reset()
            try await server.expect(["undelivered"])
            let reading = try server.connect()
            reading.send("GET /large/3000000 HTTP/1.1\r\n\(host)\r\n" + echo)
            try await eventually("both answers") { reading.text.hasSuffix("GET /echo ") }
            try await server.expect(["undelivered", "delivered"])
        }
    }
}

@Suite struct StreamTests {
    @Test func `a stream goes in chunks and the connection serves the next request`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("GET /stream HTTP/1.1\r\n\(host)\r\n")
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            try await wire.expect(head)
            #expect(try await server.withParked { $0.send(Array("data: 0123456789\n\n".utf8)) })
            try await wire.expect("12\r\ndata: 0123456789\n\n\r\n")
            #expect(try await server.withParked { $0.send([]) })
            try await server.withParked { $0.endStream() }
            try await wire.expect("0\r\n\r\n")
            wire.send(echo)
            try await wire.expect(answer("GET /echo "))
        }
    }

    @Test func `a stream in HTTP 1.0 ends with its connection`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            try await wire.expect("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            #expect(try await server.withParked { $0.send(Array("data: 1\n\n".utf8)) })
            try await wire.expect("data: 1\n\n")
            try await server.withParked { $0.endStream() }
            try await wire.expectEnd()
        }
    }

    @Test func `the head of a stream has no body`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("HEAD /stream HTTP/1.1\r\n\(host)\r\n")
            try await server.expect(["HEAD /stream"])
            #expect(try await server.withParked { $0.send([1]) })
            try await server.withParked { $0.endStream() }
            wire.send(echo)
            try await wire.expect(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + answer("GET /echo "))
        }
    }

    @Test func `a stream whose reader does not read is closed`() async throws {
        try await withServer(.with { $0.streamBufferBytes = 100_000 }) { server in
            let wire = try server.connect(receiveBuffer: 4096)
            wire.send("GET /stream HTTP/1.1\r\n\(host)\r\n")
            try await server.expect(["GET /stream"])
            let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 60_000)
            // At once: a reader that takes nothing for some seconds is given up by the kernel.
            #expect(try await server.withParked { exchange in (0..<200).contains { _ in !exchange.send(piece) } })
            #expect(try await server.withParked { !$0.send([1]) })
            try await eventually("no connection is left", is: 0) { try await server.counts.openConnections }
            #expect(try await server.events == ["GET /stream"])
        }
    }
}

@Suite struct BoundTests {
    private let overloaded = """
        {"error":"too_many_connections","msg":"The server has as many connections as it takes. Try again in a second."}
        """

    @Test func `connections beyond the limit are refused until one is free`() async throws {
        let limits = HTTPLimits.with {
            $0.connections = 1
            $0.refusedConnections = 1
        }
        try await withServer(limits) { server in
            let first = try server.connect()
            first.send(park)
            try await server.expect(["GET /park"])
            let second = try server.connect()
            try await second.expectLast(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
                    + "Connection: close\r\nContent-Length: \(overloaded.utf8.count)\r\n\r\n\(overloaded)")
            // The one that is being refused still holds its place: a third is closed at once.
            let third = try server.connect()
            try await eventually("the third has ended") { third.hasEnded }
            second.close()
            first.close()
            try await server.expect(["GET /park", "gone"])
            try await eventually("no connection is left", is: 0) { try await server.counts.openConnections }
            let fourth = try server.connect()
            fourth.send(echo)
            try await fourth.expect(answer("GET /echo "))
            #expect(try await server.counts.refusals[503, default: 0] >= 1)
        }
    }

    @Test func `a client that goes on sending gets its refusal all the same`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("POST /echo HTTP/1.1\r\n\(host)Content-Length: 9000000\r\n\r\n")
            let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000)
            for _ in 1...9 { wire.send(piece) }
            try await eventually("the end") { wire.hasEnded }
            #expect(wire.text.hasPrefix("HTTP/1.1 413 Content Too Large\r\n"))
            #expect(!wire.wasReset)
        }
    }

    @Test func `an accepted connection sends at once, asks often and does not repeat for long`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park)
            try await server.expect(["GET /park"])
            let descriptor = try #require(wire.otherEnd)
            let tcp = Int32(IPPROTO_TCP)
            #expect(option(descriptor, tcp, TCP_NODELAY) != 0)
            #expect(option(descriptor, tcp, TCP_USER_TIMEOUT) == 0)
            #expect(option(descriptor, tcp, TCP_KEEPIDLE) == 2)
            #expect(option(descriptor, tcp, TCP_KEEPINTVL) == 1)
            #expect(option(descriptor, tcp, TCP_KEEPCNT) == 3)
            // Its answer must not arrive after the lease that it grants; the next wait is patient again.
            try await server.answerParked()
            #expect(option(descriptor, tcp, TCP_USER_TIMEOUT) == 2000)
            wire.send(park)
            try await server.expect(["GET /park", "delivered", "GET /park"])
            #expect(option(descriptor, tcp, TCP_USER_TIMEOUT) == 0)
        }
    }

    @Test func `a client of this machine is not asked whether it is still there, as others are`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send(park)
            try await server.expect(["GET /park"])
            let listener = try #require(
                (0..<20_000).first { option($0, SOL_SOCKET, SO_ACCEPTCONN) == 1 && port(of: $0) == server.port })
            // Whoever is accepted has what its listener has.
            #expect(option(listener, SOL_SOCKET, SO_KEEPALIVE) == 1)
            let descriptor = try #require(wire.otherEnd)
            #expect(option(descriptor, SOL_SOCKET, SO_KEEPALIVE) == 0)
        }
    }

    private func port(of descriptor: Int32) -> Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return status == 0 ? Int(in_port_t(bigEndian: address.sin_port)) : -1
    }

    private func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, level, option, &value, &length)
        return value
    }

    @Test func `a name is bound at each of its addresses, with one port`() async throws {
        try await withLoop { loop in
            let server = HTTPServer(loop: loop, log: .silent) { _, exchange in
                exchange.respond(HTTPResponse(status: 204))
            }
            let port = try await loop.run { try server.listen(host: "localhost", port: 0) }
            #expect(port > 0)
            let wire = try Wire.connect(port: port)
            wire.send(echo)
            try await wire.expect("HTTP/1.1 204 No Content\r\n\r\n")
            await server.shutDown(grace: .zero)
        }
    }

    @Test func `a port in use is refused with its reason`() async throws {
        try await withServer { server in
            let second = HTTPServer(loop: server.loop, log: .silent) { _, _ in }
            let error = await #expect(throws: HTTPError.self) {
                try await server.loop.run { try second.listen(host: "127.0.0.1", port: server.port) }
            }
            #expect(error?.kind == .cannotListen)
            #expect(error?.message == "127.0.0.1:\(server.port): Address already in use")
        }
    }
}

@Suite struct ShutDownTests {
    @Test func `waiters are answered before a connection closes, newcomers are refused`() async throws {
        try await withServer { server in
            let waiting = try server.connect()
            waiting.send(park)
            try await server.expect(["GET /park"])
            let idle = try server.connect()
            idle.send(echo)
            try await idle.expect(answer("GET /echo "))
            let shutDown = Task { await server.server.shutDown(grace: .seconds(60)) }
            try await eventually("nobody listens") { (try? server.connect())?.hasEnded ?? true }
            idle.send(echo)
            try await idle.expectLast(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
                    + "Connection: close\r\nContent-Length: \(shuttingDown.utf8.count)\r\n\r\n\(shuttingDown)")
            #expect(!waiting.hasEnded)
            try await server.answerParked()
            try await waiting.expectLast(answer("parked", "Connection: close\r\n"))
            waiting.close()
            await shutDown.value
            #expect(try await server.counts.openConnections == 0)
            #expect(try await server.events == ["GET /park", "delivered"])
        }
    }

    private let shuttingDown = """
        {"error":"shutting_down","msg":"The server is shutting down. Try another one, or this one again in a few seconds."}
        """

    @Test func `who is not answered in time gets 503, and a stream ends`() async throws {
        try await withServer { server in
            let waiting = try server.connect()
            waiting.send(park)
            try await server.expect(["GET /park"])
            let stream = try server.connect()
            stream.send("GET /stream HTTP/1.1\r\n\(host)\r\n")
            try await server.expect(["GET /park", "GET /stream"])
            let half = try server.connect()
            half.send("GET /ec")
            try await eventually("three connections", is: 3) { try await server.counts.openConnections }
            await server.server.shutDown(grace: .milliseconds(50))
            #expect(waiting.text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(half.text.isEmpty || half.text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(waiting.hasEnded && stream.hasEnded && half.hasEnded)
            #expect(try await server.events.sorted() == ["GET /park", "GET /stream", "gone", "gone"])
        }
    }
}
