import EventLoop
import HTTP
import TestSupport
import Testing

@Suite struct ServerTests {
    @Test func `a request is answered and the connection serves the next one`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("GET /echo?a=1&b=x%20y HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await wire.expect(answer("GET /echo?a=1?b=x y "))
            wire.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
            try await wire.expect(answer("POST /echo hello"))
        }
    }

    @Test func `a parked request is answered later`() async throws {
        try await withServer { server in
            let wire = try server.connect()
            wire.send("GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await server.expect(["GET /park"])
            try await server.answerParked()
            try await wire.expect(answer("parked"))
            try await server.expect(["GET /park", "delivered"])
        }
    }
}
