import EventLoop
import RedisClient
import TestSupport

/// The Redis of a fleet: a master, two replicas, and three sentinels that watch them.
extension World {
    static let masterName = "fleet"
    private static let quorum = 2

    /// Where the fleet's programs look for Redis.
    nonisolated var sentinelURL: String {
        let nodes = plan.sentinels.map { "\(Network.address(plan.place(of: $0))):26379" }
        return "sentinel://leasehold:\(Self.secret)@\(nodes.joined(separator: ","))/\(Self.masterName)"
    }

    /// Returns when the sentinels know the servers and each other.
    func startRedisServers() async throws {
        let rights = try await leastRights()
        for name in plan.redisServers {
            try Files.makeDirectory(redisDirectory(name))
            try configure(name, serverLines(name, rights))
            try start(name, ["redis-server", configuration(name)], environment: try skewed(name, by: .zero))
        }
        for name in plan.sentinels {
            try Files.makeDirectory(redisDirectory(name))
            try configure(name, sentinelLines(name))
            try start(name, ["redis-server", configuration(name), "--sentinel"])
            await hasten(name)
        }
        let deadline = loop.now + .seconds(20)
        while let unrest = await redisUnrest() {
            guard loop.now < deadline else { throw Arguments.Wrong(description: "Redis does not come up: \(unrest)") }
            await loop.sleep(for: .milliseconds(100))
        }
    }

    nonisolated private func configuration(_ name: String) -> String { "\(redisDirectory(name))/conf" }

    private func configure(_ name: String, _ lines: [String]) throws {
        let address = Network.address(plan.place(of: name))
        let common = [
            "bind \(address)", "protected-mode no", "unixsocket \(socket(name))", "unixsocketperm 700",
            "dir \(redisDirectory(name))",
        ]
        let text = (common + lines).map { $0 + "\n" }.joined()
        try Files.replace(configuration(name), with: Array(text.utf8))
    }

    private func serverLines(_ name: String, _ rights: String) -> [String] {
        let first = plan.redisServers[0]
        // What docs/redis.md says for servers behind sentinels.
        var lines = [
            "port 6379", "maxmemory-policy noeviction", "save \"\"", "appendonly yes", "appendfsync everysec",
            "aof-load-truncated yes", "repl-diskless-sync-delay 0",
            "replica-announce-ip \(Network.address(plan.place(of: name)))",
            "user leasehold \(rights) >\(Self.secret)", "requirepass \(Self.secret)", "masterauth \(Self.secret)",
        ]
        // Every other run, so that masters that are cut off and go on taking writes are seen, too.
        if plan.seed.isMultiple(of: 2) { lines.append("min-replicas-to-write 1") }
        if name != first { lines.append("replicaof \(Network.address(plan.place(of: first))) 6379") }
        return lines
    }

    private func sentinelLines(_ name: String) -> [String] {
        let master = Self.masterName
        return [
            "port 26379", "sentinel announce-ip \(Network.address(plan.place(of: name)))",
            "sentinel monitor \(master) \(Network.address(plan.place(of: plan.redisServers[0]))) 6379 \(Self.quorum)",
            "sentinel auth-pass \(master) \(Self.secret)",
            "sentinel down-after-milliseconds \(master) 700",
            // An election in vain is repeated after twice this time.
            "sentinel failover-timeout \(master) 2000",
        ]
    }

    /// Lets a sentinel speak more often than it does by itself, and makes none pause for half a minute where it was
    /// stopped. It forgets this when it ends.
    func hasten(_ sentinel: String) async {
        for _ in 0..<100 {
            let words: [RedisArgument] = [
                "SENTINEL", "DEBUG", "info-period", "100", "ping-period", "300", "ask-period", "100",
                "publish-period", "100", "tilt-trigger", "60000",
            ]
            if (try? await door(sentinel).ask(words)) != nil { return }
            await loop.sleep(for: .milliseconds(50))
        }
    }

    /// The rights that `leasehold redis-acl` prints, as a line of a configuration has them.
    private func leastRights() async throws -> String {
        let command = ChildCommand(["\(plan.programs)/leasehold", "redis-acl", "--pool", "default"])
        let result = try await ChildProcess.run(command, deadline: .seconds(10), on: loop)
        let words = String(decoding: result.output, as: UTF8.self).split { $0 == " " || $0 == "\n" }
        guard result.exit == .exited(0), words.prefix(3) == ["ACL", "SETUSER", "leasehold"] else {
            throw Arguments.Wrong(description: "leasehold redis-acl does not print what it did")
        }
        return words.dropFirst(3).joined(separator: " ")
    }

    /// What is not as it should be among the servers and sentinels; nil where all agree.
    func redisUnrest() async -> String? {
        guard !plan.sentinels.isEmpty else { return nil }
        var named: Set<String> = []
        for sentinel in plan.sentinels {
            guard let words = try? await door(sentinel).ask(["SENTINEL", "MASTER", .text(Self.masterName)]).array else {
                return "\(sentinel) does not answer"
            }
            func word(_ name: String) -> String {
                let index = words.firstIndex { $0.text == name }.map { $0 + 1 } ?? words.endIndex
                return index < words.endIndex ? words[index].text ?? "" : ""
            }
            guard word("flags") == "master", word("num-other-sentinels") == "2", word("num-slaves") == "2" else {
                return "\(sentinel) sees \(word("flags")), \(word("num-other-sentinels")) sentinels and "
                    + "\(word("num-slaves")) replicas"
            }
            named.insert(word("ip"))
        }
        guard named.count == 1, let master = named.first else { return "the sentinels name \(named.sorted())" }
        for server in plan.redisServers {
            let role = try? await door(server).ask(["ROLE"]).array?.map { $0.text ?? "" }
            let isMaster = Network.address(plan.place(of: server)) == master
            let isAsMeant =
                isMaster ? role?.first == "master" : role?.prefix(2) == ["slave", master] && role?[3] == "connected"
            guard isAsMeant else { return "\(server) is \(role ?? []), the master is \(master)" }
        }
        return nil
    }
}
