import EventLoop
import HTTP
import JSON
import LeaseModel
import TestSupport
import Testing

@testable import Coordinator

@Suite struct `Callers with certificates` {
    private static let access = Access(
        tokens: TokenList([
            TokenEntry(name: "alice", roles: [.operator], proof: .certificate(subject: "CN=alice,O=Acme")),
            TokenEntry(name: "ci", roles: [.client], digest: TokenDigest(of: "t")),
        ]))

    private func judge(
        _ client: ClientIdentity, _ permission: Permission = .operate, authorization: String? = nil,
        origin: String? = nil
    ) -> Access.Verdict {
        Self.access.judge(
            AccessRequest(
                method: .post, permission: permission, authorization: authorization, origin: origin, peer: .other,
                isSecure: true, client: client))
    }

    @Test func `a subject means who stands in its line`() {
        #expect(judge(.certificate(subject: "CN=alice,O=Acme")).caller?.name == "alice")
        #expect(judge(.certificate(subject: "CN=alice,O=Acme"), .administer).status == 403)
    }

    @Test(arguments: ["CN=alice", "CN=alice,O=Acme2", "O=Acme,CN=alice", "cn=alice,o=acme", ""])
    func `another subject means nobody`(subject: String) {
        #expect(judge(.certificate(subject: subject)).refusal == .unknownSubject(subject))
        #expect(judge(.certificate(subject: subject)).status == 401)
    }

    @Test func `a token that is sent counts, not the certificate that is shown`() {
        let alice = ClientIdentity.certificate(subject: "CN=alice,O=Acme")
        #expect(judge(alice, .lock, authorization: "Bearer t").caller?.name == "ci")
        #expect(judge(alice, authorization: "Bearer t").status == 403)
        #expect(judge(alice, authorization: "Bearer wrong").refusal == .unknownToken)
        #expect(judge(alice, authorization: "").refusal == .malformedToken)
    }

    @Test func `a page of another origin cannot use its reader's certificate`() {
        let alice = ClientIdentity.certificate(subject: "CN=alice,O=Acme")
        #expect(judge(alice, origin: "https://evil.example").refusal?.word == "wrong_origin")
    }

    @Test func `a coordinator with authorities asks its clients, and takes a changed file of subjects over`()
        async throws
    {
        try await withRedis { redis in
            try await Authority.with(on: redis.loop) { authority in
                var files = try await authority.issue("server", subject: "/CN=server")
                files.clientAuthoritiesPath = authority.certificatePath
                let alice = try await authority.issue("alice", subject: "/O=Acme/CN=alice")
                let tokens = "\(redis.directory)/tokens"
                try Files.replace(tokens, with: Array("alice roles=viewer subject=CN=alice,O=Acme\n".utf8))
                var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
                settings.listen = [.tcp(host: "127.0.0.1", port: 0)]
                settings.tls = files
                settings.tokensPath = tokens
                let coordinator = Coordinator(settings: settings, loop: redis.loop, log: .silent)
                try await coordinator.start()
                let url = try await #require(coordinator.urls.first)
                let endpoint = try HTTPEndpoint(parsing: url)
                let shows = HTTPClient(
                    loop: redis.loop, trusting: authority.certificatePath, showing: alice)
                let shown = { @Sendable () async throws -> Int in
                    try await shows.send(.get, "/metrics", to: endpoint, timeout: .seconds(5)).status
                }
                #expect(try await shown() == 200)
                let bare = HTTPClient(loop: redis.loop, trusting: authority.certificatePath)
                #expect(try await bare.send(.get, "/metrics", to: endpoint, timeout: .seconds(5)).status == 401)
                // Taken out of the file: refused at once, on the very connection that was let in before.
                try Files.replace(tokens, with: Array("# nobody\n".utf8))
                await coordinator.lookAtFiles()
                #expect(try await shown() == 401)
                shows.close()
                bare.close()
                await redis.loop.spawn { await coordinator.stop() }.value
            }
        }
    }
}
