import EventLoop
import HTTP
import TestSupport
import Testing

@Suite struct `Certificates of a server` {
    private func endpoint(_ server: TestServer) -> HTTPEndpoint {
        .tcp(host: "localhost", port: server.port, isSecure: true)
    }

    private func client(_ server: TestServer, trusting authority: Authority, showing shown: TLSSettings? = nil)
        -> HTTPClient
    {
        HTTPClient(loop: server.loop, trusting: authority.certificatePath, showing: shown)
    }

    private func look(_ server: TestServer) async throws -> [CertificateLook] {
        try await server.loop.run { server.server.lookAtCertificates() }
    }

    private func replace(_ settings: TLSSettings, with other: TLSSettings) throws {
        try Files.replace(settings.certificatePath, with: try Files.read(other.certificatePath))
        try Files.replace(settings.keyPath, with: try Files.read(other.keyPath))
    }

    @Test func `are exchanged while connections stand`() async throws {
        try await withLoop { loop in
            try await Authority.with(on: loop) { old in
                try await Authority.with(on: loop) { new in
                    let files = try await old.issue("server", subject: "/CN=server")
                    let next = try await new.issue("server", subject: "/CN=server")
                    try await withServer(tls: files) { server in
                        let before = client(server, trusting: old)
                        let after = client(server, trusting: new)
                        #expect(
                            try await before.send(.get, "/echo", to: endpoint(server), timeout: .seconds(5)).status
                                == 200)
                        let parked = Task {
                            try await before.send(.get, "/park", to: endpoint(server), timeout: .seconds(60))
                        }
                        try await server.expect(["GET /park"])
                        #expect(try await look(server) == [])
                        try replace(files, with: next)
                        #expect(try await look(server) == [.taken(path: files.certificatePath)])
                        #expect(try await look(server) == [])
                        // Whoever connects now gets the new one; who was connected goes on and gets its answer.
                        #expect(
                            try await after.send(.get, "/echo", to: endpoint(server), timeout: .seconds(5)).status
                                == 200)
                        try await server.answerParked()
                        #expect(try await parked.value.status == 200)
                        #expect(
                            try await before.send(.get, "/echo", to: endpoint(server), timeout: .seconds(5)).status
                                == 200)
                        #expect(try await server.counts.connections == 2)
                        before.close()
                        after.close()
                    }
                }
            }
        }
    }

    @Test func `stay as they were while their files are broken`() async throws {
        try await withLoop { loop in
            try await Authority.with(on: loop) { authority in
                let files = try await authority.issue("server", subject: "/CN=server")
                let other = try await authority.issue("other", subject: "/CN=other")
                try await withServer(tls: files) { server in
                    let key = try Files.read(files.keyPath)
                    // Another key, no key at all, no file.
                    for content in [try Files.read(other.keyPath), Array("nonsense".utf8), nil] {
                        if let content {
                            try Files.replace(files.keyPath, with: content)
                        } else {
                            try Files.remove(files.keyPath)
                        }
                        let looks = try await look(server)
                        guard case .refused(files.certificatePath, let why)? = looks.first else {
                            Issue.record("not refused: \(looks)")
                            continue
                        }
                        #expect(why.contains(files.keyPath), "\(why)")
                        #expect(try await look(server) == [], "told once")
                        let client = client(server, trusting: authority)
                        #expect(
                            try await client.send(.get, "/echo", to: endpoint(server), timeout: .seconds(5)).status
                                == 200)
                        client.close()
                    }
                    try Files.replace(files.keyPath, with: key)
                    #expect(try await look(server) == [.taken(path: files.certificatePath)])
                }
            }
        }
    }

    @Test func `a client's certificate tells who it is, once an authority of ours has signed it`() async throws {
        try await withLoop { loop in
            try await Authority.with(on: loop) { authority in
                try await Authority.with(on: loop) { stranger in
                    var files = try await authority.issue("server", subject: "/CN=server")
                    files.clientAuthoritiesPath = authority.certificatePath
                    let alice = try await authority.issue("alice", subject: "/O=Acme, Inc/OU=Räume/CN=alice")
                    let mallory = try await stranger.issue("alice", subject: "/O=Acme, Inc/OU=Räume/CN=alice")
                    try await withServer(tls: files) { server in
                        let known = client(server, trusting: authority, showing: alice)
                        // The second call comes over the kept connection, the third over one that resumes or begins.
                        for closes in [false, true, false] {
                            let answer = try await known.send(
                                .get, "/who", to: endpoint(server), headers: closes ? ["Connection": "close"] : [:],
                                timeout: .seconds(5))
                            #expect(
                                String(decoding: answer.body, as: UTF8.self)
                                    == #"certificate(subject: "CN=alice,OU=R\\C3\\A4ume,O=Acme\\, Inc")"#)
                        }
                        known.close()
                        let nobody = client(server, trusting: authority)
                        let answer = try await nobody.send(.get, "/who", to: endpoint(server), timeout: .seconds(5))
                        #expect(String(decoding: answer.body, as: UTF8.self) == "unknown")
                        nobody.close()
                        let foreign = client(server, trusting: authority, showing: mallory)
                        await #expect(throws: HTTPError.self) {
                            _ = try await foreign.send(.get, "/who", to: endpoint(server), timeout: .seconds(5))
                        }
                        foreign.close()
                    }
                }
            }
        }
    }
}
