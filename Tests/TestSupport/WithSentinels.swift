import EventLoop
import RedisClient
import Telemetry

/// Runs `body` beside a master, one replica and three sentinels that know each other; all of it ends on every path.
package func withSentinels<Result: Sendable>(
    _ body: @Sendable (TestSentinels) async throws -> Result
) async throws -> Result {
    try await withLoop { loop in
        let sentinels = try TestSentinels(loop: loop)
        do {
            try await sentinels.start()
            let result = try await body(sentinels)
            await sentinels.end()
            return result
        } catch {
            await sentinels.end()
            throw error
        }
    }
}

/// A master `servers[0]`, its replica `servers[1]`, and their sentinels, which notice a death after half a second.
package final class TestSentinels: Sendable {
    package let loop: EventLoop
    package let directory: String
    package let servers: [RedisNode]
    package let sentinels: [RedisNode]

    package static let master = "mymaster"
    private static let quorum = 2

    init(loop: EventLoop) throws {
        self.loop = loop
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        self.directory = directory
        let ports = RedisNode.freePorts(5)
        try Files.makeDirectory(directory)
        servers = try (0..<2).map { index in
            let lines = index == 0 ? [] : ["replicaof 127.0.0.1 \(ports[0])"]
            return try RedisNode(
                loop: loop, port: ports[index], directory: "\(directory)/server-\(index)",
                lines: RedisNode.store + lines)
        }
        sentinels = try (2..<5).map { index in
            let name = Self.master
            return try RedisNode(
                loop: loop, port: ports[index], directory: "\(directory)/sentinel-\(index)",
                lines: [
                    "sentinel monitor \(name) 127.0.0.1 \(ports[0]) \(Self.quorum)",
                    "sentinel down-after-milliseconds \(name) 500", "sentinel failover-timeout \(name) 3000",
                ], isSentinel: true)
        }
    }

    package var endpoint: RedisEndpoint {
        RedisEndpoint(
            target: .sentinels(RedisEndpoint.Sentinels(nodes: sentinels.map(\.address), master: Self.master)))
    }

    func start() async throws {
        for server in servers { try await server.start() }
        for sentinel in sentinels {
            try await sentinel.start()
            // They speak to each other more often than they do by themselves, and a busy machine does not make them
            // pause for half a minute. A replica is promoted only where it was heard in the last five ping periods, and
            // it is asked once a second when its master is down.
            try await sentinel.ask(
                "SENTINEL", "DEBUG", "info-period", "100", "ping-period", "300", "ask-period", "100", "publish-period",
                "100", "tilt-trigger", "60000")
        }
        try await eventually("the replica follows") {
            try await self.servers[1].ask("INFO", "replication").contains("master_link_status:up")
        }
        for sentinel in sentinels {
            try await eventually(
                "the sentinels know each other and the replica", within: .seconds(20), is: "1 2 master"
            ) {
                let words = try await sentinel.ask("SENTINEL", "MASTER", Self.master).split(separator: "\n")
                return ["num-slaves", "num-other-sentinels", "flags"].compactMap { name in
                    words.firstIndex { $0 == name }.flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
                }.joined(separator: " ")
            }
        }
    }

    /// Kills the master and returns when the sentinels call `servers[1]` the master.
    package func failOver() async throws {
        await servers[0].kill()
        try await eventually("the sentinels have made the replica the master", within: .seconds(20)) {
            for sentinel in self.sentinels {
                let said = try await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.master)
                guard said == "127.0.0.1\n\(self.servers[1].port)" else { return false }
            }
            return true
        }
    }

    /// Lets the replica hear nothing more of the master: what is written from now on is lost with it.
    package func holdUpReplication() async throws {
        servers[1].pause()
        // What already is on its way would still be read when the replica goes on, so its connection goes too.
        try await servers[0].ask("CLIENT", "KILL", "TYPE", "replica")
    }

    func end() async {
        for node in servers + sentinels {
            node.resume()
            await node.kill()
        }
        try? Files.removeTree(directory)
    }
}
