import EventLoop
import RedisClient

/// Runs `body` beside a cluster of three masters; all of it ends on every path.
package func withCluster<Result: Sendable>(
    _ body: @Sendable (TestCluster) async throws -> Result
) async throws -> Result {
    try await withLoop { loop in
        let cluster = try TestCluster(loop: loop)
        do {
            try await cluster.start()
            let result = try await body(cluster)
            await cluster.end()
            return result
        } catch {
            await cluster.end()
            throw error
        }
    }
}

/// Three masters with a third of the slots each.
package final class TestCluster: Sendable {
    package let loop: EventLoop
    package let directory: String
    package let nodes: [RedisNode]
    private let busPorts: [Int]

    private static let slots = [0...5460, 5461...10922, 10923...16383]

    init(loop: EventLoop) throws {
        self.loop = loop
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        self.directory = directory
        let ports = RedisNode.freePorts(6)
        let busPorts = Array(ports[3...])
        self.busPorts = busPorts
        try Files.makeDirectory(directory)
        nodes = try (0..<3).map { index in
            try RedisNode(
                loop: loop, port: ports[index], directory: "\(directory)/node-\(index)",
                lines: RedisNode.store + [
                    "cluster-enabled yes", "cluster-port \(busPorts[index])", "cluster-node-timeout 2000",
                ])
        }
    }

    package var endpoint: RedisEndpoint { RedisEndpoint(target: .cluster(seeds: nodes.map(\.address))) }

    func start() async throws {
        for (index, node) in nodes.enumerated() {
            try await node.start()
            let slots = Self.slots[index]
            try await node.ask("CLUSTER", "ADDSLOTSRANGE", "\(slots.lowerBound)", "\(slots.upperBound)")
            try await node.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
        }
        for (index, node) in nodes.enumerated().dropFirst() {
            try await nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", "\(node.port)", "\(busPorts[index])")
        }
        for node in nodes {
            try await eventually("the nodes know each other", within: .seconds(20)) {
                let info = try await node.ask("CLUSTER", "INFO")
                return info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            }
        }
    }

    /// The index of the node that serves a key's slot from the start.
    package func home(of key: String) async throws -> Int {
        let slot = Int(try await nodes[0].ask("CLUSTER", "KEYSLOT", key)) ?? 0
        return Self.slots.firstIndex { $0.contains(slot) } ?? 0
    }

    /// Begins to move a key's slot; its keys stay where they are.
    package func beginMove(slotOf key: String, from: Int, to: Int) async throws {
        let slot = try await nodes[0].ask("CLUSTER", "KEYSLOT", key)
        let source = try await nodes[from].ask("CLUSTER", "MYID")
        let target = try await nodes[to].ask("CLUSTER", "MYID")
        try await nodes[to].ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source)
        try await nodes[from].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target)
    }

    /// Moves so many keys of a slot, and returns how many there were to move.
    @discardableResult
    package func moveKeys(slotOf key: String, from: Int, to: Int, most: Int) async throws -> Int {
        let slot = try await nodes[0].ask("CLUSTER", "KEYSLOT", key)
        let keys = try await nodes[from].ask("CLUSTER", "GETKEYSINSLOT", slot, "\(most)").split(separator: "\n")
        for key in keys {
            try await nodes[from].ask("MIGRATE", "127.0.0.1", "\(nodes[to].port)", String(key), "0", "5000")
        }
        return keys.count
    }

    /// Moves what is left and gives the slot to its new node.
    package func endMove(slotOf key: String, from: Int, to: Int) async throws {
        while try await moveKeys(slotOf: key, from: from, to: to, most: 100) > 0 {}
        let slot = try await nodes[0].ask("CLUSTER", "KEYSLOT", key)
        let target = try await nodes[to].ask("CLUSTER", "MYID")
        for node in [nodes[to], nodes[from]] + nodes { try await node.ask("CLUSTER", "SETSLOT", slot, "NODE", target) }
    }

    func end() async {
        for node in nodes {
            node.resume()
            await node.kill()
        }
        try? Files.removeTree(directory)
    }
}
