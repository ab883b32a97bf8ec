import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `A drained host` {
    private static let host = try? HostID("h1")

    private static func record(_ pool: Pool) async throws -> (host: HostRecord, left: Int64?) {
        let snapshot = try await pool.store.snapshot()
        let record = try #require(snapshot.hosts.first { $0.host == host })
        return (record, record.drainEnds.map { $0.milliseconds - snapshot.at.milliseconds })
    }

    /// Lets the time between two heartbeats look as if the server's clock had leapt.
    private static func leap(_ pool: Pool) async throws {
        _ = try await pool.redis.client.command(["HSET", "lh:{default}:clock", "beaten_at", "1"])
    }

    @Test func `lets its holders finish and nobody in`() async throws {
        try await withPool(units: 2) { pool in
            let host = try #require(Self.host)
            let held = try await pool.grant("t1")
            _ = try await pool.ask("t2")
            let offered = try await pool.requireLease(of: "t2")
            #expect(try await pool.store.drain(host, deadline: nil, by: "ada", why: "fan") == .draining(leases: 1))
            // What was merely offered waits again, with its age.
            #expect(try await pool.store.confirm(pool.origin(), offered) == .gone)
            #expect(try await pool.queue() == ["t2"])
            #expect(try await Self.record(pool).host.isDraining)
            #expect(try await Self.record(pool).left == nil)
            #expect(try await pool.store.release(held, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await pool.queue() == ["t2"])
            #expect(try await pool.store.cordon(host, .schedulable, by: "ada", why: "") == .ok)
            #expect(try await pool.lease(of: "t2") != nil)
            #expect(try await !Self.record(pool).host.isDraining)
            #expect(try await pool.store.drain(HostID("h9"), deadline: nil, by: "", why: "") == .unknownHost)
        }
    }

    @Test func `revokes what is held at its deadline, whichever coordinator is left to see it`() async throws {
        try await withPool(units: 2) { pool in
            let host = try #require(Self.host)
            let lease = try await pool.grant("t1")
            _ = try await pool.store.drain(host, deadline: .milliseconds(20), by: "ada", why: "new fan")
            try await eventually("its time is over") {
                try await pool.beat(coordinator: "c2")
                return try await pool.state(of: "h1/0") == .ending
            }
            let told = try await pool.agentMessages("a1", atLeast: 2)
            #expect(told.last == .revoke(lease, .forceReleased, by: "ada", why: "new fan"))
            _ = try await pool.store.end(pool.origin(), lease, reason: .forceReleased)
            #expect(
                try await pool.store.renew(
                    lease, token: TokenHash("hash-t1"), nonce: "n", coordinator: pool.coordinator)
                    == .gone(.forceReleased, by: "ada"))
            let drained = try await Self.record(pool)
            #expect(drained.host.isCordoned && drained.host.isDraining && drained.left == nil)
            let kinds = try await pool.store.history(after: "0", limit: 100).events.map(\.kind)
            #expect(kinds.count { $0 == .draining } == 1 && kinds.count { $0 == .drainOver } == 1)
        }
    }

    @Test func `ends a lease that turns up when its time is over`() async throws {
        try await withPool { pool in
            let host = try #require(Self.host)
            let lease = try await pool.grant("t1")
            _ = try await pool.store.drain(host, deadline: .zero, by: "ada", why: "")
            try await eventually("its time is over") {
                try await pool.beat()
                return try await pool.state(of: "h1/0") == .ending
            }
            // Its agent, which has not heard of that, reports another that Redis has lost.
            let other = try LeaseID("h1/0#\(lease.fencing.value + 1)")
            try await pool.heartbeat([pool.report("h1/0", .held(pool.held(other, ticket: "t2")))])
            #expect(try await pool.state(of: "h1/0") == .held)
            try await eventually("it is looked at again") {
                try await Self.leap(pool)
                try await pool.beat()
                return try await pool.state(of: "h1/0") == .ending
            }
        }
    }

    @Test func `counts a second for a heartbeat and no more, so that no step of the clock ends a lease`() async throws {
        try await withPool { pool in
            let host = try #require(Self.host)
            _ = try await pool.grant("t1")
            _ = try await pool.store.drain(host, deadline: .seconds(30), by: "", why: "")
            try await Self.leap(pool)
            try await pool.beat()
            #expect(try await Self.record(pool).left == 29_000)
            #expect(try await pool.state(of: "h1/0") == .held)
            // Asked again it has the new time from now.
            _ = try await pool.store.drain(host, deadline: .seconds(500), by: "", why: "")
            #expect(try await Self.record(pool).left == 500_000)
        }
    }

    @Test func `that is uncordoned revokes nothing`() async throws {
        try await withPool { pool in
            let host = try #require(Self.host)
            _ = try await pool.grant("t1")
            _ = try await pool.store.drain(host, deadline: .milliseconds(500), by: "", why: "")
            _ = try await pool.store.cordon(host, .schedulable, by: "", why: "")
            try await Self.leap(pool)
            try await pool.beat()
            #expect(try await pool.state(of: "h1/0") == .held)
        }
    }
}
