import LeaseModel
import LeaseStore
import RedisClient
import TestSupport
import Testing

@Suite struct `A request for several units` {
    static func two(host: String? = nil, count: Int = 2, memory: Int = 0) throws -> Selector {
        try Selector(
            scope: try host.map { .host(try HostID($0)) } ?? .any, minimumMemoryMB: memory, count: count)
    }

    private static func leaseRecord(_ pool: Pool, _ ticket: String) async throws -> LeaseRecord? {
        try await pool.store.snapshot().leases.first { $0.terms.ticket.text == ticket }
    }

    private static func units(_ pool: Pool, of ticket: String) async throws -> [String] {
        guard let record = try await leaseRecord(pool, ticket) else { return [] }
        return ([record.lease.unit] + record.also).map(\.text)
    }

    private static func states(_ pool: Pool, host: String = "h1") async throws -> [UnitRecord.State] {
        try await pool.store.snapshot().units.filter { $0.properties.unit.host.text == host }
            .sorted { $0.properties.unit < $1.properties.unit }.map(\.state)
    }

    @Test func `has all of them by one offer, one confirm and one release`() async throws {
        try await withPool(units: 3) { pool in
            guard case .offered = try await pool.ask("wide", selector: Self.two()) else {
                throw NoLease(ticket: "wide")
            }
            let lease = try await pool.requireLease(of: "wide")
            guard case .offer(let offer) = try await pool.agentMessages("a1", atLeast: 1)[0] else {
                throw NoLease(ticket: "wide")
            }
            #expect(offer.lease == lease)
            #expect(offer.units.map(\.text) == ["h1/0", "h1/1"])
            #expect(try await Self.states(pool) == [.offered, .offered, .free])
            #expect(try await pool.store.confirm(pool.origin(), lease) == .held)
            #expect(try await Self.states(pool) == [.held, .held, .free])
            guard case .granted(let grant) = try await pool.coordinatorMessages("c1", atLeast: 1)[0] else {
                throw NoLease(ticket: "wide")
            }
            #expect(grant.also.map(\.text) == ["h1/1"])
            let snapshot = try await pool.store.snapshot()
            #expect(snapshot.leases.count == 1)
            #expect(snapshot.units.filter { $0.lease == lease }.count == 2)
            _ = try await pool.ask("narrow")
            _ = try await pool.ask("other")
            #expect(try await pool.lease(of: "other") == nil)
            #expect(try await pool.store.release(lease, token: TokenHash("hash-wide"), by: "") == .released(1))
            #expect(try await Self.states(pool) == [.offered, .free, .offered])
            #expect(try await pool.requireLease(of: "other").fencing > lease.fencing)
        }
    }

    @Test func `is served by one host, and by one that has as many`() async throws {
        try await withPool(units: 1) { pool in
            try await pool.heartbeat(
                [pool.report("h2/0", memoryMB: 48_000), pool.report("h2/1", memoryMB: 48_000), pool.report("h2/2")],
                origin: pool.origin("h2", "a2"))
            _ = try await pool.ask("large", selector: Self.two(memory: 40_000))
            #expect(try await Self.units(pool, of: "large") == ["h2/0", "h2/1"])
            // One unit is free on each of two hosts, and no host has two.
            #expect(try await pool.ask("wide", selector: Self.two()) != .offered(score: 0))
            #expect(try await pool.lease(of: "wide") == nil)
            #expect(try await pool.queue() == ["wide"])
            #expect(try await pool.ask("elsewhere", selector: Self.two(host: "h9")) == .unknownHost)
        }
    }

    @Test(arguments: ["rejected", "cancelled", "lapsed"])
    func `gives all of them back where its offer comes to nothing, and keeps its score`(_ how: String) async throws {
        try await withPool(units: 2) { pool in
            guard case .offered(let score) = try await pool.ask("wide", selector: Self.two()) else {
                throw NoLease(ticket: "wide")
            }
            let lease = try await pool.requireLease(of: "wide")
            switch how {
            case "rejected":
                _ = try await pool.store.reject(pool.origin(), lease, highest: FencingToken(0), why: "test")
                #expect(try await Self.states(pool) == [.unheard, .unheard])
                #expect(try await pool.ask("wide", selector: Self.two()) == .queued(score: score))
                try await pool.heartbeat([pool.report("h1/0"), pool.report("h1/1")], first: false)
                #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
                #expect(try await pool.requireLease(of: "wide").fencing > lease.fencing)
            case "cancelled":
                try await pool.cancel("wide", why: .cancelled)
                #expect(try await Self.states(pool) == [.free, .free])
            default:
                try await Self.pass(seconds: 3, pool)
                #expect(try await Self.states(pool) == [.unheard, .unheard])
                #expect(try await pool.store.confirm(pool.origin(), lease) == .gone)
                #expect(try await pool.ask("wide", selector: Self.two()) == .queued(score: score))
            }
        }
    }

    @Test func `keeps what becomes free until it has all, and gives those behind it nothing before`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            let second = try await pool.grant("t2")
            _ = try await pool.ask("wide", selector: Self.two())
            _ = try await pool.ask("behind")
            _ = try await pool.store.release(first, token: TokenHash("hash-t1"), by: "")
            #expect(try await Self.states(pool) == [.reserved, .held])
            // Its agent says that it is free: that changes nothing.
            try await pool.heartbeat(
                [pool.report("h1/0"), pool.report("h1/1", .held(pool.held(second, ticket: "t2")))], first: false)
            #expect(try await Self.states(pool) == [.reserved, .held])
            _ = try await pool.store.release(second, token: TokenHash("hash-t2"), by: "")
            #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
            #expect(try await pool.queue() == ["behind"])
            #expect(try await Self.gathers(pool) == [])
        }
    }

    @Test func `holds nothing back on a host that could never serve it`() async throws {
        try await withPool(units: 2) { pool in
            try await pool.heartbeat(
                [pool.report("h2/0"), pool.report("h2/1"), pool.report("h2/2")], origin: pool.origin("h2", "a2"))
            for ticket in ["t1", "t2", "t3", "t4"] { _ = try await pool.ask(ticket) }
            // Four of five are taken, and h1 has two.
            _ = try await pool.ask("wide", selector: Self.two(count: 3))
            #expect(try await !Self.states(pool).contains(.reserved))
            let lease = try #require(
                try await pool.store.snapshot().leases.first { $0.lease.unit.host.text == "h1" })
            let ticket = lease.terms.ticket.text
            #expect(try await pool.store.confirm(pool.origin(), lease.lease) == .held)
            #expect(
                try await pool.store.release(lease.lease, token: TokenHash("hash-\(ticket)"), by: "") == .released(1))
            #expect(try await !Self.states(pool).contains(.reserved))
            guard case .offered = try await pool.ask("narrow") else { throw NoLease(ticket: "narrow") }
        }
    }

    @Test func `takes what is free when it asks, too`() async throws {
        try await withPool(units: 2) { pool in
            let held = try await pool.grant("t1")
            _ = try await pool.ask("wide", selector: Self.two())
            #expect(try await Self.states(pool) == [.held, .reserved])
            _ = try await pool.ask("behind")
            #expect(try await pool.queue() == ["wide", "behind"])
            _ = try await pool.store.release(held, token: TokenHash("hash-t1"), by: "")
            #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
        }
    }

    @Test func `is passed by whoever comes before it, also from what is held back for it`() async throws {
        try await withPool(units: 3) { pool in
            let first = try await pool.grant("t1")
            let second = try await pool.grant("t2")
            _ = try await pool.grant("t3")
            _ = try await pool.ask("wide", priority: .dreamer, selector: Self.two(count: 3))
            _ = try await pool.ask("mic", priority: .voice)
            _ = try await pool.store.release(first, token: TokenHash("hash-t1"), by: "")
            #expect(try await pool.lease(of: "mic") != nil)
            _ = try await pool.store.release(second, token: TokenHash("hash-t2"), by: "")
            #expect(try await Self.states(pool) == [.offered, .reserved, .held])
            guard case .offered = try await pool.ask("mic-later", priority: .voice) else {
                throw NoLease(ticket: "mic-later")
            }
            #expect(try await Self.states(pool) == [.offered, .offered, .held])
            // Who comes behind it takes nothing from it.
            try await pool.cancel("mic-later", why: .cancelled)
            #expect(try await Self.states(pool) == [.offered, .reserved, .held])
            guard case .queued = try await pool.ask("dream", priority: .dreamer) else { throw NoLease(ticket: "dream") }
        }
    }

    @Test func `of two the one that is ahead has what is held back on a host`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            let second = try await pool.grant("t2")
            _ = try await pool.ask("later", priority: .dreamer, selector: Self.two())
            _ = try await pool.store.release(first, token: TokenHash("hash-t1"), by: "")
            #expect(try await Self.states(pool) == [.reserved, .held])
            _ = try await pool.ask("ahead", priority: .voice, selector: Self.two(host: "h1"))
            _ = try await pool.store.release(second, token: TokenHash("hash-t2"), by: "")
            #expect(try await Self.units(pool, of: "ahead") == ["h1/0", "h1/1"])
            #expect(try await pool.queue() == ["later"])
            let lease = try await pool.requireLease(of: "ahead")
            #expect(try await pool.store.confirm(pool.origin(), lease) == .held)
            _ = try await pool.store.release(lease, token: TokenHash("hash-ahead"), by: "")
            #expect(try await Self.units(pool, of: "later") == ["h1/0", "h1/1"])
        }
    }

    @Test func `holds units back for 30 s, then for as long not at all, then for 60 s`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            _ = try await pool.grant("t2")
            _ = try await pool.ask("wide", selector: Self.two())
            _ = try await pool.ask("behind")
            _ = try await pool.store.release(first, token: TokenHash("hash-t1"), by: "")
            try await Self.pass(seconds: 15, pool)
            #expect(try await Self.states(pool) == [.reserved, .held])
            try await Self.pass(seconds: 16, pool)
            let behind = try await pool.requireLease(of: "behind")
            #expect(try await pool.store.confirm(pool.origin(), behind) == .held)
            _ = try await pool.ask("next")
            // Others come first now, and where nobody waits the unit is free for whoever asks.
            _ = try await pool.store.release(behind, token: TokenHash("hash-behind"), by: "")
            let next = try await pool.requireLease(of: "next")
            #expect(try await pool.store.confirm(pool.origin(), next) == .held)
            try await Self.pass(seconds: 10, pool)
            _ = try await pool.store.release(next, token: TokenHash("hash-next"), by: "")
            #expect(try await Self.states(pool) == [.free, .held])
            let last = try await pool.grant("last")
            // What the attempt took by the test's own clock is made up for as well.
            try await Self.pass(seconds: 60, pool)
            _ = try await pool.ask("after")
            _ = try await pool.store.release(last, token: TokenHash("hash-last"), by: "")
            #expect(try await Self.states(pool) == [.reserved, .held])
            try await Self.pass(seconds: 35, pool)
            #expect(try await Self.states(pool) == [.reserved, .held])
            try await Self.pass(seconds: 26, pool)
            #expect(try await pool.lease(of: "after") != nil)
        }
    }

    @Test func `that gives up leaves what was held back to the others, for as long as it had it`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            _ = try await pool.grant("t2")
            _ = try await pool.ask("wide", selector: Self.two())
            _ = try await pool.store.release(first, token: TokenHash("hash-t1"), by: "")
            try await Self.pass(seconds: 10, pool)
            try await pool.cancel("wide", why: .timeout)
            #expect(try await Self.states(pool) == [.free, .held])
            // The same again at once holds nothing back.
            _ = try await pool.ask("again", selector: Self.two())
            #expect(try await Self.states(pool) == [.free, .held])
            try await pool.cancel("again", why: .timeout)
            try await Self.pass(seconds: 100, pool)
            _ = try await pool.ask("later", selector: Self.two())
            #expect(try await Self.states(pool) == [.reserved, .held])
        }
    }

    @Test func `that gives up has the agent told at once of who gets what was held back`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            _ = try await pool.grant("t2")
            _ = try await pool.ask("wide", selector: Self.two())
            _ = try await pool.store.release(first, token: TokenHash("hash-t1"), by: "")
            _ = try await pool.ask("narrow", priority: .dreamer)
            #expect(try await Self.states(pool) == [.reserved, .held])
            try await pool.cancel("wide", why: .cancelled)
            let lease = try await pool.requireLease(of: "narrow")
            // After the offers of the first two and the word that the first has ended.
            guard case .offer(let offer)? = try await pool.agentMessages("a1", atLeast: 4).last else {
                throw NoLease(ticket: "narrow")
            }
            #expect(offer.lease == lease)
        }
    }

    /// Two units, each held for 40 s at a time and never free together; somebody always waits for one.
    @Test func `does not starve, and units are held back for half of the time at most`() async throws {
        try await withPool(units: 2) { pool in
            var holders: [String: (ticket: String, lease: LeaseID, since: Int)] = [:]
            var names = 0
            func wait() async throws {
                names += 1
                _ = try await pool.ask("n\(names)")
            }
            func confirm(at second: Int) async throws {
                for lease in try await pool.store.snapshot().leases where lease.state == .offered {
                    #expect(try await pool.store.confirm(pool.origin(), lease.lease) == .held)
                    holders[lease.lease.unit.text] = (lease.terms.ticket.text, lease.lease, second)
                }
            }
            for _ in 0..<2 { try await wait() }
            try await confirm(at: 0)
            // So that they are out of step.
            holders["h1/1"]?.since = -20
            _ = try await pool.ask("wide", selector: Self.two())
            for _ in 0..<3 { try await wait() }
            var heldBack = 0
            var second = 0
            while holders.values.allSatisfy({ $0.ticket != "wide" }) {
                guard second < 400 else { throw NoLease(ticket: "wide") }
                second += 1
                try await Self.pass(seconds: 1, pool, holders: holders.mapValues { ($0.ticket, $0.lease) })
                for (unit, holder) in holders where second - holder.since >= 40 {
                    holders[unit] = nil
                    _ = try await pool.store.release(holder.lease, token: TokenHash("hash-\(holder.ticket)"), by: "")
                    try await wait()
                }
                try await confirm(at: second)
                heldBack += try await Self.states(pool).contains(.reserved) ? 1 : 0
                // What it has had, and the attempt that may succeed: 60 s.
                #expect(heldBack <= second / 2 + 60)
            }
            #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
        }
    }

    @Test func `is restored with all its units where Redis has lost it`() async throws {
        try await withPool(units: 2) { pool in
            _ = try await pool.ask("wide", selector: Self.two())
            let lease = try await pool.requireLease(of: "wide")
            _ = try await pool.store.confirm(pool.origin(), lease)
            try await pool.forget()
            _ = try await pool.ask("narrow")
            let table = [
                try pool.report("h1/0", .held(pool.held(lease, ticket: "wide")), highest: lease.fencing.value),
                try pool.report("h1/1", .bound(lease), highest: lease.fencing.value),
            ]
            try await pool.heartbeat(table)
            #expect(try await Self.states(pool) == [.held, .held])
            #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
            #expect(try await pool.queue() == ["narrow"])
            try await pool.heartbeat(table, first: false)
            #expect(try await Self.states(pool) == [.held, .held])
            #expect(try await pool.store.release(lease, token: TokenHash("hash-wide"), by: "") == .released(1))
            #expect(try await Self.states(pool).sorted { $0.rawValue < $1.rawValue } == [.free, .offered])
            let narrow = try await pool.requireLease(of: "narrow")
            #expect(narrow.fencing > lease.fencing)
        }
    }

    @Test func `whose release its agent has not heard of ends there, and all its units go on`() async throws {
        try await withPool(units: 2) { pool in
            _ = try await pool.ask("wide", selector: Self.two())
            let lease = try await pool.requireLease(of: "wide")
            _ = try await pool.store.confirm(pool.origin(), lease)
            _ = try await pool.store.release(lease, token: TokenHash("hash-wide"), by: "")
            _ = try await pool.ask("t1")
            let outcome = try await pool.heartbeat([
                pool.report("h1/0", .held(pool.held(lease, ticket: "wide"))), pool.report("h1/1", .bound(lease)),
            ])
            guard case .heard(let mail) = outcome else { throw NoLease(ticket: "t1") }
            #expect(mail.first == .end(lease, TokenHash("hash-wide"), .released))
            #expect(try await Self.units(pool, of: "wide") == [])
            #expect(try await pool.queue() == [])
            #expect(try await Self.states(pool).filter { $0 == .offered }.count == 1)
        }
    }

    @Test func `is revoked by any of its units, once`() async throws {
        try await withPool(units: 3) { pool in
            _ = try await pool.ask("wide", selector: Self.two())
            let lease = try await pool.requireLease(of: "wide")
            _ = try await pool.store.confirm(pool.origin(), lease)
            let revoked = try await pool.store.revoke(.unit(UnitID("h1/1")), mode: .revoke, by: "ada", why: "test")
            #expect(revoked.ending == [lease])
            #expect(try await Self.states(pool) == [.ending, .ending, .free])
            _ = try await pool.store.end(pool.origin(), lease, reason: .revoked)
            #expect(try await Self.states(pool) == [.free, .free, .free])
            _ = try await pool.ask("again", selector: Self.two(count: 3))
            _ = try await pool.store.confirm(pool.origin(), pool.requireLease(of: "again"))
            let all = try await pool.store.revoke(.all, mode: .forceReleaseAll, by: "ada", why: "test")
            #expect(all.ending.count == 1)
            #expect(try await Self.states(pool) == [.ending, .ending, .ending])
        }
    }

    @Test func `has nothing held back on a host that is cordoned, drained or silent`() async throws {
        try await withPool(units: 2) { pool in
            let host = try HostID("h1")
            let held = try await pool.grant("t1")
            _ = try await pool.ask("wide", selector: Self.two())
            #expect(try await Self.states(pool) == [.held, .reserved])
            _ = try await pool.store.cordon(host, .cordoned, by: "ada", why: "")
            #expect(try await Self.states(pool) == [.held, .free])
            _ = try await pool.store.release(held, token: TokenHash("hash-t1"), by: "")
            _ = try await pool.store.cordon(host, .schedulable, by: "ada", why: "")
            #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
            _ = try await pool.store.drain(host, deadline: nil, by: "ada", why: "")
            #expect(try await Self.states(pool) == [.free, .free])
            #expect(try await pool.queue() == ["wide"])
            _ = try await pool.store.cordon(host, .schedulable, by: "ada", why: "")
            #expect(try await Self.units(pool, of: "wide") == ["h1/0", "h1/1"])
            _ = try await pool.store.depart(pool.origin())
            #expect(try await Self.states(pool) == [.offered, .offered])
        }
    }

    private static func gathers(_ pool: Pool) async throws -> [String] {
        guard
            case .array(let hosts) = try await pool.redis.client.command(["ZRANGE", "lh:{default}:gathers", "0", "-1"])
        else { return ["?"] }
        return hosts.map { "\($0)" }
    }

    /// Lets the pool's clock go on, with what the agent and the coordinator say meanwhile.
    private static func pass(
        seconds: Int, _ pool: Pool, holders: [String: (ticket: String, lease: LeaseID)]? = nil
    ) async throws {
        _ = try await pool.redis.client.command([
            "HINCRBY", "lh:{default}:clock", "offset", .integer(Int64(seconds) * 1_000_000),
        ])
        let snapshot = try await pool.store.snapshot()
        let reports = try snapshot.units.map { unit -> UnitReport in
            var state = UnitReport.State.free
            if let lease = unit.lease, unit.state == .held,
                let ticket = snapshot.leases.first(where: { $0.lease == lease })?.terms.ticket.text
            {
                state =
                    lease.unit == unit.properties.unit ? .held(try pool.held(lease, ticket: ticket)) : .bound(lease)
            }
            return UnitReport(properties: unit.properties, state: state, highestFencing: FencingToken(0))
        }
        if snapshot.units.allSatisfy({ $0.state != .offered }) { try await pool.heartbeat(reports, first: false) }
        try await pool.beat()
    }
}
