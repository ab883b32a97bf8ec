import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Agent

@Suite struct `An agent whose Redis is more than one server` {
    @Test func `grants nothing twice when the new master lacks the last writes`() async throws {
        try await withSentinels { sentinels in
            let scene = try TopologyScene(sentinels.loop, sentinels.endpoint, directory: sentinels.directory)
            try await scene.start()
            try await sentinels.holdUpReplication()
            // The lease that the replica will never hear of.
            try await scene.ask("t1")
            let lease = try await scene.held("t1")
            await sentinels.servers[0].kill()
            sentinels.servers[1].resume()
            try await scene.ask("t2")
            try await eventually("the second waits at the new master") {
                try await scene.store.snapshot().waiters.map(\.ticket.text) == ["t2"]
            }
            try await eventually("the new master has heard of the lease", is: lease) {
                try await scene.record(of: "t1")?.lease
            }
            #expect(await scene.agent.verify(lease.unit, lease.fencing) == .current)
            #expect(try await scene.store.snapshot().waiters.map(\.ticket.text) == ["t2"])
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            let next = try await scene.held("t2")
            #expect(next.fencing > lease.fencing)
            await scene.end()
        }
    }

    @Test func `keeps its lease and its waiter while the pool's slot moves to another node`() async throws {
        try await withCluster { cluster in
            let scene = try TopologyScene(cluster.loop, cluster.endpoint, directory: cluster.directory)
            try await scene.start()
            try await scene.ask("t1")
            let lease = try await scene.held("t1")
            try await scene.ask("t2")
            let key = LeaseStore.slotKey(of: .standard)
            let from = try await cluster.home(of: key)
            let to = (from + 1) % 3
            try await cluster.beginMove(slotOf: key, from: from, to: to)
            try await cluster.moveKeys(slotOf: key, from: from, to: to, most: 3)
            // With a part of the keys here and a part there, nothing is done at either.
            let error = await #expect(throws: StoreError.self) {
                try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "")
            }
            #expect(error?.kind == .unavailable)
            try await cluster.endMove(slotOf: key, from: from, to: to)
            try await eventually("the record is whole at the new node") {
                guard let snapshot = try? await scene.store.snapshot() else { return false }
                return snapshot.leases.map(\.lease) == [lease] && snapshot.waiters.map(\.ticket.text) == ["t2"]
            }
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await scene.held("t2").fencing > lease.fencing)
            await scene.end()
        }
    }
}

/// One agent with one unit, and a coordinator's words, over the same endpoint.
private final class TopologyScene: Sendable {
    let agent: Agent
    let store: LeaseStore
    private let client: RedisClient

    init(_ loop: EventLoop, _ endpoint: RedisEndpoint, directory: String) throws {
        var settings = AgentSettings(
            redis: endpoint, host: try HostID("h1"), stateDirectory: "\(directory)/state", version: "test")
        settings.isFirstJoin = true
        settings.lockDelay = .milliseconds(50)
        let unit = UnitProperties(
            unit: try UnitID("h1/0"), kind: .gpu, memoryMB: 24_000, deviceType: "discrete", details: "{}")
        agent = Agent(settings: settings, loop: loop, log: .silent) {
            [unit]
        } onEnd: { _ in
        }
        client = RedisClient(
            loop: loop, endpoint: endpoint.serving(slotOf: LeaseStore.slotKey(of: .standard)), name: "test",
            log: .silent)
        store = LeaseStore(client: client, pool: .standard)
    }

    func start() async throws {
        try await connect(client)
        try await store.settle()
        try await agent.start()
        try await eventually("the agent is registered") { await self.agent.isRegistered }
    }

    func end() async {
        await agent.stop()
        await client.close()
    }

    /// Asks until Redis has taken it; asking twice for one ticket is asking once.
    func ask(_ ticket: String) async throws {
        let ask = Ask(
            ticket: TicketID(ticket), selector: .anyGPU, holder: try HolderID("holder-\(ticket)"), caller: "",
            priority: .standard, ttl: .seconds(60), coordinator: InstanceID("c1"), token: TokenHash("hash-\(ticket)"),
            metadata: "", age: .fresh)
        try await eventually("\(ticket) is taken") {
            (try? await self.store.ask(ask)) != nil
        }
    }

    func record(of ticket: String) async throws -> LeaseRecord? {
        (try? await store.snapshot())?.leases.first { $0.terms.ticket.text == ticket }
    }

    func held(_ ticket: String) async throws -> LeaseID {
        try await eventually("\(ticket) holds a lease") {
            let record = try await self.record(of: ticket)
            return record?.state == .held ? record?.lease : nil
        }
    }
}
