import EventLoop
import HTTP
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `leasehold-agent join` against a coordinator that speaks TLS and knows tokens.
    @Suite struct `A host that joins` {
        /// A coordinator with tokens and a certificate, whose Redis has a user with an agent's rights and no more.
        struct Ground: Sendable {
            let redis: TestRedis
            let authority: Authority
            let url: HTTPEndpoint
            /// By name: `join`, `see`.
            let tokens: [String: String]
            let client: HTTPClient

            var directory: String { redis.directory }
            var settings: String { "\(directory)/etc/agent.env" }

            /// Runs a program to its end; what it said and its exit code.
            func run(
                _ name: String, _ arguments: [String], _ environment: [String: String] = [:]
            ) async throws -> (exit: ChildExit, said: String) {
                try await `A host that joins`.run(name, arguments, environment, in: redis)
            }

            func join(
                _ token: String?, _ more: String..., to address: String? = nil, state: String = "new"
            ) async throws -> (exit: ChildExit, said: String) {
                try await run(
                    "leasehold-agent",
                    [
                        "join", address ?? url.description, "--ca-file", authority.certificatePath, "--settings",
                        settings, "--state-dir", "\(directory)/\(state)",
                    ] + more, token.map { ["LEASEHOLD_TOKEN": $0] } ?? [:])
            }

            func written() throws -> String { String(decoding: try Files.read(settings), as: UTF8.self) }
        }

        fileprivate static func run(
            _ name: String, _ arguments: [String], _ environment: [String: String], in redis: TestRedis
        ) async throws -> (exit: ChildExit, said: String) {
            let log = "\(redis.directory)/said-\(SecureRandom.randomHex(bytes: 4))"
            let program = try await Program.start(
                name, arguments, log: log, environment: environment, on: redis.loop)
            return (await program.finish(), program.said)
        }

        /// - Parameter told: What the coordinator is to tell agents; nil the address with the agent's own log-in.
        private static func withGround(
            told: String? = nil, _ body: @Sendable (Ground) async throws -> Void
        ) async throws {
            try await withRedis { redis in
                try await Authority.with(on: redis.loop) { authority in
                    let rights = try await run(
                        "leasehold", ["redis-acl", "--role", "agent", "--user", "agent"], [:], in: redis)
                    let words = try #require(rights.said.split(separator: "\n").first { $0.hasPrefix("ACL SETUSER") })
                    _ = try await redis.client.command(
                        words.split(separator: " ").map { .text(String($0)) } + [">p@ss word/%"])
                    let file = "\(redis.directory)/tokens"
                    var tokens: [String: String] = [:]
                    for (name, role) in [("join", "agent"), ("see", "client"), ("boss", "admin")] {
                        let made = try await run(
                            "leasehold", ["token", "create", name, "--role", role, "--file", file], [:], in: redis)
                        tokens[name] = String(
                            try #require(made.said.split(separator: "\n").first { $0.hasPrefix("lh_") }))
                    }
                    let certificate = try await authority.issue("server", subject: "/CN=pool")
                    let coordinator = try await Program.start(
                        "leasehold-coordinator",
                        [
                            "--redis", redis.endpoint.description, "--listen", "127.0.0.1:0", "--tokens", file,
                            "--tls-certificate", certificate.certificatePath, "--tls-key", certificate.keyPath,
                            "--agent-redis", told ?? "unix://agent:p%40ss%20word%2F%25@\(redis.socketPath)",
                        ], log: "\(redis.directory)/coordinator.log", on: redis.loop)
                    let client = HTTPClient(loop: redis.loop, trusting: authority.certificatePath)
                    do {
                        let port = try await coordinator.address(scheme: "https").port
                        let url = HTTPEndpoint.tcp(host: "127.0.0.1", port: port, isSecure: true)
                        try await eventually("the coordinator is ready", is: 200) {
                            try await client.send(.get, "/ready", to: url, timeout: .seconds(5)).status
                        }
                        try await body(
                            Ground(redis: redis, authority: authority, url: url, tokens: tokens, client: client))
                    } catch {
                        let said = coordinator.said
                        client.close()
                        await coordinator.kill()
                        throw Failed(error: error, said: said)
                    }
                    client.close()
                    await coordinator.kill()
                }
            }
        }

        @Test func `is told all by one call, and its GPUs are leased at once`() async throws {
            try await Self.withGround { ground in
                let token = try #require(ground.tokens["join"])
                let joined = try await ground.join(token, "--host-id", "h9", "--label", "zone=a", "--first-join")
                #expect(joined.exit == .exited(0), "\(joined.said)")
                #expect(joined.said.contains("systemctl enable leasehold-agent"))
                #expect(!joined.said.contains("p%40ss") && !joined.said.contains(token))
                #expect(Files.permissions(ground.settings)?.mode == 0o600)
                let written = try ground.written()
                #expect(
                    written == """
                        LEASEHOLD_REDIS=unix://agent:p%40ss%20word%2F%25@\(ground.redis.socketPath)?db=0
                        LEASEHOLD_HOST_ID=h9
                        LEASEHOLD_LABEL=zone=a

                        """)
                // As systemd hands them on.
                let variables = Dictionary(
                    uniqueKeysWithValues: written.split(separator: "\n").map { line in
                        let equals = line.firstIndex(of: "=") ?? line.endIndex
                        return (String(line[..<equals]), String(line[line.index(after: equals)...]))
                    })
                let agent = try await Program.start(
                    "leasehold-agent", ["--simulate", "1", "--state-dir", "\(ground.directory)/new"],
                    log: "\(ground.directory)/agent.log", environment: variables, on: ground.redis.loop)
                let see = HTTPHeaders([("Authorization", "Bearer \(ground.tokens["see"] ?? "")")])
                let lease = Answer(
                    try await ground.client.send(
                        .post, "/v1/gpu/lock", to: ground.url, headers: see,
                        body: Array(#"{"id":"train","timeout":20,"labels":{"zone":"a"}}"#.utf8), timeout: .seconds(30)))
                #expect(lease.word("unit") == "h9/0", "\(lease) \(agent.said)")
                // Once more, beside the running agent: nothing changes.
                let again = try await ground.join(token, "--host-id", "h9")
                #expect(again.exit == .exited(0) && again.said.contains("An agent runs in"), "\(again.said)")
                #expect(try ground.written() == written)
                await agent.terminate()
            }
        }

        @Test func `changes nothing where it must not`() async throws {
            try await Self.withGround { ground in
                let token = try #require(ground.tokens["join"])
                for (bearer, word) in [
                    (nil, "(401): A token is needed"), ("lh_wrong", "(401)"),
                    (ground.tokens["see"], "(403): The caller \"see\" has the role client, and this call needs agent"),
                    (ground.tokens["boss"], "(403): The caller \"boss\" has the role admin"),
                ] {
                    let refused = try await ground.join(bearer)
                    #expect(refused.exit == .exited(1) && refused.said.contains(word), "\(refused.said)")
                }
                let clear = try await ground.join(token, to: "http://pool.example.com:8080")
                #expect(clear.exit == .exited(1) && clear.said.contains("could read the token"), "\(clear.said)")
                let distrusted = try await ground.run(
                    "leasehold-agent", ["join", ground.url.description, "--settings", ground.settings],
                    ["LEASEHOLD_TOKEN": token])
                #expect(distrusted.exit == .exited(1) && distrusted.said.contains("--ca-file"), "\(distrusted.said)")
                let none = try await ground.run("leasehold-agent", ["join"])
                #expect(none.exit == .exited(2) && none.said.contains("needs one URL"), "\(none.said)")
                let argument = try await ground.join(nil, "--token", token)
                #expect(argument.exit == .exited(2) && !argument.said.contains(token), "\(argument.said)")
                #expect(!Files.exists(ground.settings) && !Files.exists("\(ground.directory)/new"))

                // What somebody has written stands, until it is said that it need not.
                let before = "# mine\nLEASEHOLD_REDIS=redis://10.0.0.5\nLEASEHOLD_SIMULATE=2\n"
                try Files.makeDirectory("\(ground.directory)/etc")
                try Files.replace(ground.settings, with: Array(before.utf8), mode: 0o644)
                let stands = try await ground.join(token)
                #expect(stands.exit == .exited(1) && stands.said.contains("(LEASEHOLD_REDIS)"), "\(stands.said)")
                #expect(try ground.written() == before)
                let path = "\(ground.directory)/token"
                try Files.replace(path, with: Array("\(token)\n".utf8))
                let forced = try await ground.join(nil, "--token-file", path, "--force", "--first-join")
                #expect(forced.exit == .exited(0) && forced.said.contains("is new"), "\(forced.said)")
                #expect(try ground.written().hasPrefix("# mine\nLEASEHOLD_REDIS=unix://agent:"))
                #expect(try ground.written().hasSuffix("\nLEASEHOLD_SIMULATE=2\n"))
                #expect(Files.permissions(ground.settings)?.mode == 0o640)
                let known = try await ground.join(token)
                #expect(known.said.contains("has held a journal before"), "\(known.said)")
            }
        }

        @Test func `notices a Redis that is another one, or that lets it not in`() async throws {
            try await Self.withGround(told: "redis://127.0.0.1:1") { ground in
                let refused = try await ground.join(ground.tokens["join"])
                #expect(
                    refused.exit == .exited(1) && refused.said.contains("cannot be used from here"), "\(refused.said)")
                #expect(!Files.exists(ground.settings) && !Files.exists("\(ground.directory)/new"))
            }
            try await withRedis { other in
                try await Self.withGround(told: other.endpoint.description) { ground in
                    let lost = try await ground.join(ground.tokens["join"])
                    #expect(
                        lost.exit == .exited(1) && lost.said.contains("it is not the coordinator's"), "\(lost.said)")
                    #expect(!Files.exists(ground.settings) && !Files.exists("\(ground.directory)/new"))
                }
            }
        }

        @Test(.enabled(if: Environment.userID == 0, "only root writes for another user"))
        func `has a state directory that its own user can read`() async throws {
            try await Self.withGround { ground in
                let state = "\(ground.directory)/of-games"
                try Files.makeDirectory(state, mode: 0o700)
                let made = try await ground.run("/bin/chown", ["games:games", state])
                try #require(made.exit == .exited(0), "\(made.said)")
                // Its user must be able to get there.
                _ = try await ground.run("/bin/chmod", ["711", ground.directory])
                let joined = try await ground.join(ground.tokens["join"], "--first-join", state: "of-games")
                #expect(joined.exit == .exited(0) && joined.said.contains("is new"), "\(joined.said)")
                let owner = Files.permissions(state)?.owner
                for name in try Files.list(state) {
                    #expect(Files.permissions("\(state)/\(name)")?.owner == owner, "\(name)")
                }
                #expect(try Files.list(state).contains("journal.json"))
            }
        }
    }
}
