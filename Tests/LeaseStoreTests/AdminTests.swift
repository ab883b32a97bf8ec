import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `Admins and selectors` {
    @Test func `reset ends the leases in scope and lets the queue go on`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            _ = try await pool.grant("t2")
            _ = try await pool.ask("t3")
            let outcome = try await pool.store.revoke(.unit(first.unit), mode: .reset, by: "ada", why: "stuck")
            #expect(outcome.ending == [first])
            #expect(try await pool.state(of: "h1/0") == .ending)
            #expect(try await pool.queue() == ["t3"])
            #expect(
                try await pool.store.renew(
                    first, token: TokenHash("hash-t1"), nonce: "n", coordinator: pool.coordinator)
                    == .gone(.reset, by: "ada"))
            guard case .ended(let next) = try await pool.store.end(pool.origin(), first, reason: .revoked),
                case .offer(let offer)? = next.first
            else { throw NoLease(ticket: "t3") }
            #expect(offer.terms.ticket.text == "t3")
        }
    }

    @Test func `force-release-all refuses every waiter and grants to none of them`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            for number in 2...9 { _ = try await pool.ask("t\(number)") }
            let outcome = try await pool.store.revoke(.all, mode: .forceReleaseAll, by: "ada", why: "fire")
            #expect(outcome.refused == 8)
            #expect(outcome.ending == [lease])
            #expect(try await pool.store.end(pool.origin(), lease, reason: .revoked) == .ended(next: []))
            #expect(try await pool.state(of: "h1/0") == .free)
            let messages = try await pool.coordinatorMessages("c1", atLeast: 9).dropFirst()
            for message in messages {
                guard case .refused(_, by: "ada", why: "fire") = message else {
                    Issue.record("a waiter was told \(message)")
                    continue
                }
            }
            // A refused ticket stays refused, also when its coordinator had not heard of it.
            #expect(try await pool.ask("t5", age: .again(score: 1)) == .refused(by: "ada", why: "fire"))
            // Who asks anew is served.
            guard case .offered = try await pool.ask("t10") else { throw NoLease(ticket: "t10") }
        }
    }

    @Test func `an offer that is not confirmed is withdrawn by force and refused`() async throws {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            let lease = try await pool.requireLease(of: "t1")
            let outcome = try await pool.store.revoke(.all, mode: .forceReleaseAll, by: "", why: "")
            #expect(outcome.withdrawn == [lease])
            #expect(outcome.refused == 1)
            #expect(try await pool.store.confirm(pool.origin(), lease) == .gone)
            #expect(try await pool.state(of: "h1/0") == .free)
        }
    }

    @Test func `a selector takes what fits, the smallest first`() async throws {
        try await withRedis { redis in
            let pool = try await Pool(redis)
            try await pool.heartbeat(
                [
                    pool.report("h1/0", memoryMB: 80_000), pool.report("h1/1", memoryMB: 24_000),
                    pool.report("h1/2", memoryMB: 8_000), pool.report("h1/model-load", memoryMB: 0, kind: .modelLoad),
                ], labels: ["zone": "a"])
            func unit(_ ticket: String, _ selector: Selector) async throws -> String? {
                _ = try await pool.ask(ticket, selector: selector)
                return try await pool.lease(of: ticket)?.unit.text
            }
            #expect(try await unit("t1", Selector(minimumMemoryMB: 20_000)) == "h1/1")
            #expect(try await unit("t2", .anyGPU) == "h1/2")
            #expect(try await unit("t3", Selector(minimumMemoryMB: 90_000)) == nil)
            #expect(try await unit("t4", Selector(labels: ["zone": "b"])) == nil)
            #expect(try await unit("t5", Selector(kind: .modelLoad, scope: .host(HostID("h1")))) == "h1/model-load")
            #expect(try await unit("t6", Selector(deviceType: "cpu")) == nil)
            #expect(try await unit("t7", Selector(deviceType: "discrete", labels: ["zone": "a"])) == "h1/0")
            #expect(try await pool.ask("t8", selector: Selector(scope: .host(HostID("h9")))) == .unknownHost)
            #expect(try await pool.ask("t9", selector: Selector(scope: .unit(UnitID("h1/7")))) == .unknownUnit)
            await pool.end()
        }
    }

    @Test func `a unit that becomes free goes to the oldest among all queues it satisfies`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("holder")
            _ = try await pool.ask("big", selector: Selector(minimumMemoryMB: 90_000))
            _ = try await pool.ask("fits", selector: Selector(minimumMemoryMB: 1_000))
            _ = try await pool.ask("unit", selector: Selector(scope: .unit(UnitID("h1/0"))))
            _ = try await pool.ask("any")
            _ = try await pool.store.release(lease, token: TokenHash("hash-holder"), by: "")
            #expect(try await pool.lease(of: "fits") != nil)
            #expect(try await pool.queue() == ["big", "unit", "any"])
        }
    }

    @Test func `a cordoned host is offered to nobody until it is uncordoned`() async throws {
        try await withPool { pool in
            let host = try HostID("h1")
            #expect(try await pool.store.cordon(host, .cordoned, by: "ada", why: "fan") == .ok)
            guard case .queued = try await pool.ask("t1") else { throw NoLease(ticket: "t1") }
            #expect(try await pool.store.cordon(host, .schedulable, by: "ada", why: "") == .ok)
            #expect(try await pool.lease(of: "t1") != nil)
            #expect(try await pool.store.cordon(HostID("h9"), .cordoned, by: "", why: "") == .unknownHost)
        }
    }
}
