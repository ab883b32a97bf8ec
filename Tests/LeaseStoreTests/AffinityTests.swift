import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `Which free unit is taken` {
    /// Asks, confirms where it is offered, and returns the unit.
    private static func take(_ pool: Pool, _ ticket: String, _ affinity: String = "") async throws -> LeaseID {
        _ = try await pool.ask(ticket, affinity: affinity)
        let lease = try await pool.requireLease(of: ticket)
        let host = lease.unit.host.text
        _ = try await pool.store.confirm(pool.origin(host, host == "h1" ? "a1" : "a2"), lease)
        return lease
    }

    private static func release(_ pool: Pool, _ lease: LeaseID, _ ticket: String) async throws {
        _ = try await pool.store.release(lease, token: TokenHash("hash-\(ticket)"), by: "")
    }

    @Test func `a warm one first, whatever its size, else the smallest`() async throws {
        try await withRedis { redis in
            let pool = try await Pool(redis)
            try await pool.heartbeat([
                pool.report("h1/0", memoryMB: 8_000), pool.report("h1/1", memoryMB: 24_000),
                pool.report("h1/2", memoryMB: 80_000),
            ])
            let small = try await Self.take(pool, "t1")
            let middle = try await Self.take(pool, "t2")
            let large = try await Self.take(pool, "t3", "model:qwen")
            #expect([small, middle, large].map(\.unit.text) == ["h1/0", "h1/1", "h1/2"])
            for (lease, ticket) in [(small, "t1"), (middle, "t2"), (large, "t3")] {
                try await Self.release(pool, lease, ticket)
            }
            #expect(try await Self.take(pool, "t4", "model:other").unit.text == "h1/0")
            let warm = try await Self.take(pool, "t5", "model:qwen")
            #expect(warm.unit.text == "h1/2")
            // It is held: nobody waits for it while another is free.
            #expect(try await Self.take(pool, "t6", "model:qwen").unit.text == "h1/1")
            // Both are warm now: the one that served it last comes first, and one that a condition rules out not at all.
            try await Self.release(pool, warm, "t5")
            _ = try await pool.ask("t7", selector: Selector(scope: .unit(UnitID("h1/2"))), affinity: "model:qwen")
            #expect(try await pool.lease(of: "t7")?.unit.text == "h1/2")
            await pool.end()
        }
    }

    @Test func `a unit is warm for what it served last`() async throws {
        try await withPool(units: 2) { pool in
            for (ticket, affinity) in [("t1", "a"), ("t2", "b"), ("t3", "")] {
                let lease = try await Self.take(pool, ticket, affinity)
                #expect(lease.unit.text == "h1/0")
                try await Self.release(pool, lease, ticket)
            }
            let other = try await pool.grant("t4")
            #expect(other.unit.text == "h1/0")
            let second = try await Self.take(pool, "t5", "a")
            #expect(second.unit.text == "h1/1", "h1/0 is warm for b now")
            try await Self.release(pool, other, "t4")
            try await Self.release(pool, second, "t5")
            #expect(try await Self.take(pool, "t6", "a").unit.text == "h1/1")
            #expect(try await Self.take(pool, "t7", "b").unit.text == "h1/0")
            let left = try await pool.redis.client.command(["ZCARD", "lh:{default}:warm:a"])
            #expect(left == .integer(1))
        }
    }

    @Test func `a unit that was waited for is warm too, also after a rejected offer`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            let second = try await pool.grant("t2")
            _ = try await pool.ask("t3", affinity: "a")
            try await Self.release(pool, second, "t2")
            let rejected = try await pool.requireLease(of: "t3")
            _ = try await pool.store.reject(pool.origin(), rejected, highest: FencingToken(0), why: "test")
            try await Self.release(pool, first, "t1")
            let lease = try await pool.requireLease(of: "t3")
            #expect(lease.unit == first.unit)
            _ = try await pool.store.confirm(pool.origin(), lease)
            try await Self.release(pool, lease, "t3")
            try await pool.heartbeat([pool.report("h1/0"), pool.report("h1/1")], first: false)
            #expect(try await Self.take(pool, "t4", "a").unit == first.unit)
        }
    }

    @Test func `equal ones are spread over the hosts, the first of a host first`() async throws {
        try await withPool(units: 3) { pool in
            try await pool.heartbeat(
                (0..<3).map { try pool.report("h2/\($0)") }, origin: try pool.origin("h2", "a2"))
            var taken: [String] = []
            for number in 1...6 { taken.append(try await Self.take(pool, "t\(number)").unit.text) }
            #expect(taken == ["h1/0", "h2/0", "h1/1", "h2/1", "h1/2", "h2/2"])
            let leases = try await pool.store.snapshot().leases
            for lease in leases where lease.lease.unit.host.text == "h2" {
                try await Self.release(pool, lease.lease, lease.terms.ticket.text)
            }
            let one = try await pool.requireLease(of: "t1")
            try await Self.release(pool, one, "t1")
            #expect(try await Self.take(pool, "t7").unit.host.text == "h2")
        }
    }

    @Test func `its traces go with the unit`() async throws {
        try await withPool { pool in
            let lease = try await Self.take(pool, "t1", "a")
            try await Self.release(pool, lease, "t1")
            try await pool.heartbeat([], first: false)
            #expect(try await pool.redis.client.command(["EXISTS", "lh:{default}:warm:a"]) == .integer(0))
        }
    }
}
