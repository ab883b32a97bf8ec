import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `What a resource is told of a fencing token` {
    private func verify(_ lease: LeaseID, _ pool: Pool) async throws -> VerifyOutcome {
        try await pool.store.verify(lease.unit, lease.fencing)
    }

    @Test func `follows the life of its lease`() async throws {
        try await withPool { pool in
            let unit = try UnitID("h1/0")
            #expect(try await pool.store.verify(UnitID("h9/0"), FencingToken(1)) == .unknownUnit)
            #expect(try await pool.store.verify(unit, FencingToken(1)) == .stale)
            _ = try await pool.ask("t1")
            let lease = try await pool.requireLease(of: "t1")
            // Another copy of Redis may have taken the confirm.
            #expect(try await verify(lease, pool) == .unheard)
            #expect(try await pool.store.confirm(pool.origin(), lease) == .held)
            #expect(try await verify(lease, pool) == .current(holder: "holder-t1"))
            #expect(try await pool.store.verify(unit, FencingToken(lease.fencing.value - 1)) == .stale)
            _ = try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "me")
            #expect(try await verify(lease, pool) == .stale)
            let next = try await pool.grant("t2")
            #expect(try await verify(lease, pool) == .stale)
            #expect(try await verify(next, pool) == .current(holder: "holder-t2"))
            _ = try await pool.store.revoke(.all, mode: .reset, by: "ada", why: "")
            #expect(try await verify(next, pool) == .stale)
        }
    }

    @Test func `is nothing where nobody can know it`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            try await pool.forget()
            #expect(try await verify(lease, pool) == .unknownUnit)
            try await pool.heartbeat([pool.report("h1/0", .held(pool.held(lease, ticket: "t1")))])
            #expect(try await verify(lease, pool) == .current(holder: "holder-t1"))
        }
        try await withPool { pool in
            // An offer that was not taken: nothing is known of the unit before its agent has spoken.
            let lease = try await pool.grant("t1")
            _ = try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "me")
            _ = try await pool.ask("t2")
            let offered = try await pool.requireLease(of: "t2")
            _ = try await pool.store.reject(pool.origin(), offered, highest: FencingToken(0), why: "busy")
            #expect(try await pool.state(of: "h1/0") == .unheard)
            #expect(try await pool.store.verify(UnitID("h1/0"), FencingToken(7)) == .unheard)
        }
    }
}
