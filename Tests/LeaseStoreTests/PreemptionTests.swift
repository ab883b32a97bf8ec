import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `A waiter that asks for the unit of a lease` {
    private static func waits(_ pool: Pool, _ ticket: String, _ priority: Priority = .voice) async throws {
        guard case .queued = try await pool.ask(ticket, priority: priority) else { throw NoLease(ticket: ticket) }
    }

    private static func preempt(
        _ pool: Pool, _ lease: LeaseID, for ticket: String, distance: Int = 10, minRun: Duration = .zero
    ) async throws -> PreemptOutcome {
        try await pool.store.preempt(
            lease, for: TicketID(ticket), coordinator: pool.coordinator, distance: distance, minRun: minRun, by: "local"
        )
    }

    private static func wishes(_ pool: Pool) async throws -> [String: String] {
        var wishes: [String: String] = [:]
        for lease in try await pool.store.snapshot().leases {
            if let wish = lease.preemption { wishes[lease.terms.ticket.text] = wish.ticket.text }
        }
        return wishes
    }

    @Test func `has its holder asked, ends nothing, and gets the unit when it is given back`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("dreamer")
            try await Self.waits(pool, "voice")
            let before = try await pool.agentMessages("a1", atLeast: 1).count
            #expect(try await Self.preempt(pool, lease, for: "voice") == .asked(lease))
            let message = AgentMessage.preempt(
                lease,
                Preemption(ticket: TicketID("voice"), holder: try HolderID("holder-voice"), priority: 0, by: "local"))
            #expect(try await pool.agentMessages("a1", atLeast: before + 1).last == message)
            #expect(
                try await Self.preempt(pool, lease, for: "voice") == .asked(lease), "said again, it is passed on again")
            #expect(try await pool.agentMessages("a1", atLeast: before + 2).last == message)
            #expect(try await pool.lease(of: "dreamer") == lease)
            let record = try await pool.store.snapshot().leases[0]
            #expect(record.state == .held && record.preemption?.holder == "holder-voice")
            #expect(record.preemption?.grace == .seconds(7))
            _ = try await pool.store.release(lease, token: TokenHash("hash-dreamer"), by: "")
            #expect(try await pool.lease(of: "voice") != nil)
            #expect(try await Self.preempt(pool, lease, for: "voice") == .notNow, "it waits no more")
        }
    }

    @Test func `is held to the policy: distance, time that a lease is left alone, units that it would take`()
        async throws
    {
        try await withPool { pool in
            let lease = try await pool.grant("standard")
            try await Self.waits(pool, "voice")
            #expect(try await Self.preempt(pool, lease, for: "voice", distance: 16) == .notNow)
            #expect(try await Self.preempt(pool, lease, for: "voice", minRun: .seconds(60)) == .notNow)
            #expect(try await Self.preempt(pool, lease, for: "nobody") == .notNow)
            _ = try await pool.ask("big", priority: .voice, selector: Selector(minimumMemoryMB: 90_000))
            #expect(try await Self.preempt(pool, lease, for: "big") == .notNow)
            #expect(try await Self.wishes(pool) == [:])
            let host = try HostID("h1")
            _ = try await pool.store.cordon(host, .cordoned, by: "ops", why: "")
            #expect(try await Self.preempt(pool, lease, for: "voice") == .notNow, "the unit would go to nobody")
            _ = try await pool.store.cordon(host, .schedulable, by: "ops", why: "")
            #expect(try await Self.preempt(pool, lease, for: "voice", distance: 15) == .asked(lease))
        }
    }

    @Test func `has one holder asked at a time, and none that another has asked`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("a")
            let second = try await pool.grant("b")
            try await Self.waits(pool, "voice")
            try await Self.waits(pool, "mic")
            #expect(try await Self.preempt(pool, first, for: "voice") == .asked(first))
            #expect(try await Self.preempt(pool, second, for: "voice") == .asked(first), "the one that it has")
            #expect(try await Self.preempt(pool, first, for: "mic") == .notNow)
            #expect(try await Self.wishes(pool) == ["a": "voice"])
            // What the first waiter left behind binds nobody.
            try await pool.cancel("voice", why: .cancelled)
            #expect(try await Self.preempt(pool, first, for: "mic") == .asked(first))
            #expect(try await Self.wishes(pool) == ["a": "mic"])
        }
    }

    @Test func `takes its wish back, which its agent hears`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("dreamer")
            try await Self.waits(pool, "voice")
            _ = try await Self.preempt(pool, lease, for: "voice")
            #expect(try await pool.store.spare(lease, for: TicketID("other")) == .notAsked)
            #expect(try await pool.store.spare(lease, for: TicketID("voice")) == .spared)
            #expect(try await pool.store.spare(lease, for: TicketID("voice")) == .notAsked)
            let last = AgentMessage.spare(lease, TicketID("voice"))
            try await eventually("the agent hears it") {
                try await pool.agentMessages("a1", atLeast: 1).last == last
            }
            #expect(try await Self.wishes(pool) == [:])
        }
    }

    @Test func `when the grace is over: the lease is ending as by a revoke, but only while it waits`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("dreamer")
            let ticket = TicketID("voice")
            #expect(
                try await pool.store.insist(pool.origin(), lease, for: ticket, by: "local") == .spared, "nobody waits")
            try await Self.waits(pool, "voice")
            _ = try await Self.preempt(pool, lease, for: "voice")
            #expect(try await pool.store.insist(pool.origin(session: 0), lease, for: ticket, by: "") == .staleSession)
            #expect(try await pool.store.insist(pool.origin(), lease, for: ticket, by: "local") == .ending)
            #expect(try await pool.state(of: "h1/0") == .ending)
            #expect(try await pool.lease(of: "voice") == nil, "its agent has yet to say that it has ended")
            #expect(try await pool.store.insist(pool.origin(), lease, for: ticket, by: "local") == .ending, "again")
            #expect(
                try await pool.store.renew(
                    lease, token: TokenHash("hash-dreamer"), nonce: "n", coordinator: pool.coordinator)
                    == .gone(.preempted, by: "local"))
            _ = try await pool.store.end(pool.origin(), lease, reason: .preempted)
            #expect(try await pool.lease(of: "voice") != nil)
            #expect(try await pool.store.insist(pool.origin(), lease, for: ticket, by: "") == .unknownLease)
        }
    }

    @Test func `that was served elsewhere meanwhile leaves the holder alone when its grace is over`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("a")
            let second = try await pool.grant("b")
            try await Self.waits(pool, "voice")
            _ = try await Self.preempt(pool, first, for: "voice")
            _ = try await pool.store.release(second, token: TokenHash("hash-b"), by: "")
            #expect(try await pool.lease(of: "voice") != nil)
            #expect(try await pool.store.insist(pool.origin(), first, for: TicketID("voice"), by: "") == .spared)
            #expect(try await Self.wishes(pool) == [:])
            #expect(try await pool.lease(of: "a") == first)
        }
    }
}
