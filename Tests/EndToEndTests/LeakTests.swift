import EventLoop
import TestSupport
import Testing

extension EndToEnd {
    /// What much traffic leaves behind: nothing.
    @Suite struct `After much traffic` {
        private struct Footprint: Sendable {
            var keys: [String: Int]
            var coordinatorBytes: Int
            var agentBytes: Int
            var coordinatorFiles: Int
            var agentFiles: Int
        }

        /// Keys by their kind, and what else could grow. Keys of one lease or ticket are named by their kind alone.
        private func footprint(_ service: Service) async throws -> Footprint {
            let reply = try await service.redis.client.command(["KEYS", "*"])
            guard case .array(let keys) = reply else { throw Unexpected() }
            var kinds: [String: Int] = [:]
            for case .bytes(let key) in keys {
                let name = String(decoding: key, as: UTF8.self).dropFirst("lh:{default}:".count)
                kinds[String(name.prefix { $0 != ":" }), default: 0] += 1
            }
            return Footprint(
                keys: kinds, coordinatorBytes: service.bridge.program.residentBytes,
                agentBytes: service.agent.residentBytes, coordinatorFiles: service.bridge.program.openFiles,
                agentFiles: service.agent.openFiles)
        }

        private struct Unexpected: Error {}

        @Test func `pairs and abandoned waits leave memory, files and keys where they were`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let (pairs, abandoned) = (
                    Rounds.count(5000, "LEASEHOLD_PAIRS"), Rounds.count(500, "LEASEHOLD_ABANDONED")
                )
                // Both have grown to their size for such work before anything is measured.
                try await traffic(bridge, pairs: 1000, abandoned: 100)
                let before = try await settled(service)
                try await traffic(bridge, pairs: pairs, abandoned: abandoned)
                // The clients' kept connections are the same few as before.
                try await eventually("connections are closed", within: .seconds(40)) {
                    service.bridge.program.openFiles <= before.coordinatorFiles
                        && service.agent.openFiles <= before.agentFiles
                }
                let after = try await settled(service)
                #expect(after.keys == before.keys)
                let margin = 6 << 20
                #expect(after.coordinatorBytes < before.coordinatorBytes + margin, "\(before) \(after)")
                #expect(after.agentBytes < before.agentBytes + margin, "\(before) \(after)")
            }
        }

        /// The footprint once the clients' connections are closed and the agent has spoken.
        private func settled(_ service: Service) async throws -> Footprint {
            try await eventually("the words about ended leases are heard", within: .seconds(20)) {
                try await self.footprint(service).keys["ended"] == nil
            }
            try await eventually("nobody waits", is: 0) { try await service.bridge.status().queueDepth }
            return try await footprint(service)
        }

        private func traffic(_ bridge: Bridge, pairs: Int, abandoned: Int) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<8 {
                    group.addTask {
                        for _ in 0..<pairs / 8 {
                            let answer = try await bridge.acquire("c\(client)")
                            try await bridge.unlock(answer.token)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let held = try await bridge.acquire("holder")
            for round in 0..<(abandoned + 49) / 50 {
                let wires = try (0..<50).map { try bridge.bareLock(Bridge.lock("gone-\(round)-\($0)")) }
                try await bridge.expectQueueDepth(50)
                for wire in wires { wire.close() }
                try await bridge.expectQueueDepth(0)
            }
            try await bridge.unlock(held.token)
        }
    }
}
