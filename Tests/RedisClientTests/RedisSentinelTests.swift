import EventLoop
import RedisClient
import TestSupport
import Testing

@Suite struct `Redis behind sentinels` {
    @Test func `commands, messages and the stream follow a failover`() async throws {
        try await withSentinels { sentinels in
            let all = Followers(sentinels.loop, sentinels.endpoint)
            try await all.start()
            try await all.expectAllToWork("before")
            try await sentinels.failOver()
            try await all.expectAllToWork("after")
            // A reader whose stream has lost its end begins again, so only the last can be sure.
            #expect(all.entries.withLock { $0.last } == "after")
            try await sentinels.servers[0].start()
            try await eventually("the old master follows the new one") {
                try await sentinels.servers[0].ask("ROLE").hasPrefix("slave")
            }
            try await all.expectAllToWork("with the old one back")
            await all.close()
        }
    }

    @Test func `a sentinel that is down, hangs, or knows nothing is passed over`() async throws {
        try await withSentinels { sentinels in
            await sentinels.sentinels[0].kill()
            sentinels.sentinels[1].pause()
            for _ in 0..<3 {
                let client = RedisClient(
                    loop: sentinels.loop, endpoint: sentinels.endpoint, name: "test", log: .silent)
                try await connect(client)
                #expect(try await client.command(["PING"]) == .status("PONG"))
                await client.close()
            }
        }
    }

    @Test func `a master that has been replaced and never says so is left`() async throws {
        try await withSentinels { sentinels in
            var settings = RedisSettings()
            settings.lookInterval = .milliseconds(100)
            settings.deadline = .seconds(30)
            let all = Followers(sentinels.loop, sentinels.endpoint, settings)
            try await all.start()
            try await all.expectAllToWork("before")
            // The sentinels no longer watch the old one, which goes on as a master for whoever still asks it.
            for sentinel in sentinels.sentinels { try await sentinel.ask("SENTINEL", "REMOVE", TestSentinels.master) }
            try await sentinels.servers[1].ask("REPLICAOF", "NO", "ONE")
            for (index, sentinel) in sentinels.sentinels.enumerated() {
                try await sentinel.ask(
                    "SENTINEL", "MONITOR", TestSentinels.master, "127.0.0.1", "\(sentinels.servers[1].port)", "2")
                if index == 0 {
                    // One of three is no reason to go.
                    #expect(try await all.port() == sentinels.servers[0].port)
                }
            }
            try await eventually("the new master is used", is: sentinels.servers[1].port) { try await all.port() }
            try await eventually("nobody is left at the old one") {
                !(try await sentinels.servers[0].ask("CLIENT", "LIST").contains("name=follower"))
            }
            try await all.expectAllToWork("after")
            await all.close()
        }
    }

    @Test func `a name that no sentinel knows is refused with what to do`() async throws {
        try await withSentinels { sentinels in
            let endpoint = RedisEndpoint(
                target: .sentinels(RedisEndpoint.Sentinels(nodes: sentinels.endpoint.nodes, master: "other")))
            let client = RedisClient(loop: sentinels.loop, endpoint: endpoint, name: "test", log: .silent)
            try await sentinels.loop.run { client.start() }
            try await eventually("refused") {
                guard case .refused(let reason) = try await sentinels.loop.run({ client.state }) else { return false }
                return reason.contains("knows no master other: check the name")
            }
            await client.close()
        }
    }

    @Test func `sentinels with a password of their own are asked with it`() async throws {
        try await withSentinels { sentinels in
            for sentinel in sentinels.sentinels {
                try await sentinel.ask("CONFIG", "SET", "requirepass", "s3cret")
                try await sentinel.ask("SENTINEL", "CONFIG", "SET", "sentinel-pass", "s3cret")
            }
            for sentinel in sentinels.sentinels { try await sentinel.ask("ACL", "SETUSER", "default", ">s3cret") }
            let places = sentinels.sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
            let refused = RedisClient(
                loop: sentinels.loop, endpoint: sentinels.endpoint, name: "test", log: .silent)
            try await sentinels.loop.run { refused.start() }
            try await eventually("refused") {
                guard case .refused(let reason) = try await sentinels.loop.run({ refused.state }) else { return false }
                return reason.contains("sentinel-password")
            }
            await refused.close()
            let endpoint = try RedisEndpoint(parsing: "sentinel://\(places)/mymaster?sentinel-password=s3cret")
            let client = RedisClient(loop: sentinels.loop, endpoint: endpoint, name: "test", log: .silent)
            try await connect(client)
            await client.close()
        }
    }
}

extension RedisEndpoint {
    /// Whom to ask.
    var nodes: [Address] {
        switch target {
        case .server(let address): [address]
        case .sentinels(let sentinels): sentinels.nodes
        case .cluster(let seeds): seeds
        }
    }
}
