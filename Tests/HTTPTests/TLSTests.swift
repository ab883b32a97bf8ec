import EventLoop
import HTTP
import TestSupport
import Testing

@Suite struct TLSTests {
    private func endpoint(_ server: TestServer, _ host: String = "localhost") -> HTTPEndpoint {
        .tcp(host: host, port: server.port, isSecure: true)
    }

    @Test func `calls through TLS are answered over one kept connection`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                let client = HTTPClient(loop: server.loop, trusting: files.certificatePath)
                for host in ["localhost", "localhost", "127.0.0.1"] {
                    let answer = try await client.send(.get, "/echo", to: endpoint(server, host), timeout: .seconds(30))
                    #expect(String(decoding: answer.body, as: UTF8.self) == "GET /echo ")
                }
                #expect(try await server.counts.connections == 2)
                client.close()
            }
        }
    }

    @Test func `a client that is gone is noticed through TLS`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                let client = HTTPClient(loop: server.loop, trusting: files.certificatePath)
                let call = Task { try await client.send(.get, "/park", to: endpoint(server), timeout: .seconds(60)) }
                try await server.expect(["GET /park"])
                call.cancel()
                try await server.expect(["GET /park", "gone"])
                client.close()
            }
        }
    }

    @Test func `a large answer comes whole through TLS`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                let client = HTTPClient(loop: server.loop, trusting: files.certificatePath)
                let answer = try await client.send(.get, "/large/3000000", to: endpoint(server), timeout: .seconds(30))
                #expect(answer.body.count == 3_000_000)
                try await server.expect(["delivered"])
                client.close()
            }
        }
    }

    @Test func `a certificate that nobody trusts is refused`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                let client = HTTPClient(loop: server.loop)
                let error = await #expect(throws: HTTPError.self) {
                    _ = try await client.send(.get, "/echo", to: endpoint(server), timeout: .seconds(30))
                }
                #expect(error?.kind == .tls)
                client.close()
            }
        }
    }

    @Test func `a certificate of another host is refused`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                let port = try await server.loop.run {
                    try server.server.listen(host: "127.0.0.2", port: 0, tls: files)
                }
                let client = HTTPClient(loop: server.loop, trusting: files.certificatePath)
                let error = await #expect(throws: HTTPError.self) {
                    _ = try await client.send(
                        .get, "/echo", to: .tcp(host: "127.0.0.2", port: port, isSecure: true), timeout: .seconds(30))
                }
                #expect(error?.kind == .tls)
                client.close()
            }
        }
    }

    @Test func `plain HTTP on a TLS port does no harm`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                let wire = try server.connect()
                wire.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
                try await eventually("the end") { wire.hasEnded }
                let client = HTTPClient(loop: server.loop, trusting: files.certificatePath)
                let answer = try await client.send(.get, "/echo", to: endpoint(server), timeout: .seconds(30))
                #expect(answer.status == 200)
                client.close()
            }
        }
    }

    @Test func `a client that does not shake hands is closed in time`() async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(.with { $0.requestDeadline = .milliseconds(50) }, tls: files) { server in
                let wire = try server.connect()
                try await eventually("the end") { wire.hasEnded }
            }
        }
    }

    /// A handshake costs a server more than its client, so one connection gets one.
    @Test(arguments: [
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "", "alert protocol version"),
        (["-tls1_2"], #"R\n"#, "no renegotiation"),
        (["-tls1_2"], #"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"#, "GET /echo "),
    ])
    func `old versions and second handshakes are refused`(options: [String], said: String, told: String) async throws {
        try await TestCertificate.withFiles { files in
            try await withServer(tls: files) { server in
                // A pipe that the program itself keeps open: at its end it would leave before it is answered.
                let pipe = files.keyPath + ".pipe"
                let line =
                    "mkfifo \(pipe) && exec 3<> \(pipe) && printf '\(said)' >&3 && exec openssl s_client "
                    + "-connect 127.0.0.1:\(server.port) \(options.joined(separator: " ")) <&3"
                let result = try await ChildProcess.run(
                    ChildCommand(["sh", "-c", line]), deadline: .seconds(60), on: server.loop)
                let text = String(decoding: result.output + result.errorOutput, as: UTF8.self)
                #expect(text.contains(told), "\(text)")
            }
        }
    }

    @Test func `a certificate that is not there is named`() async throws {
        try await withLoop { loop in
            let server = HTTPServer(loop: loop, log: .silent) { _, _ in }
            let error = await #expect(throws: HTTPError.self) {
                try await loop.run {
                    let files = TLSSettings(certificatePath: "/nowhere.pem", keyPath: "/nowhere.pem")
                    return try server.listen(host: "127.0.0.1", port: 0, tls: files)
                }
            }
            #expect(error?.kind == .tls)
            #expect(error?.message.contains("/nowhere.pem") == true)
        }
    }
}
