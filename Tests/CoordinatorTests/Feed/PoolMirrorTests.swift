import LeaseModel
import LeaseStore
import RedisClient
import TestSupport
import Testing

@testable import Coordinator

@Suite struct `A coordinator's copy of the pool` {
    /// What two copies must agree on, as text that shows where they do not.
    private func shown(_ copy: PoolMirror) -> [String] {
        var copy = copy
        var lines = copy.hostOrder.compactMap { copy.hosts[$0] }.map { host in
            "host \(host.host) \(host.instance) present: \(host.isPresent) cordoned: \(host.isCordoned) \(host.units)"
        }
        lines += copy.unitOrder.compactMap { copy.units[$0] }.map { unit in
            "unit \(unit.properties.unit) \(unit.state) \(unit.lease?.text ?? "-")"
        }
        lines += copy.leases.values.sorted { $0.lease < $1.lease }.map { lease in
            // What an offer was asked for with is told when it is granted.
            let more =
                lease.state == .offered
                ? "" : " '\(lease.caller)' \(lease.metadata) \(lease.preemption.map { "\($0)" } ?? "-")"
            return
                "lease \(lease.lease) \(lease.state) \(lease.holder) \(lease.ticket) \(lease.priority) \(lease.ttl) \(lease.also)\(more)"
        }
        lines += copy.queue().map { waiter in
            "waiter \(waiter.ticket) \(waiter.holder) '\(waiter.caller)' \(waiter.coordinator) \(waiter.priority) "
                + "\(waiter.selector) \(waiter.score) \(waiter.since)"
        }
        return lines
    }

    /// The full status, of a coordinator that has told it before or for the first time.
    private func status(_ copy: PoolMirror, isFirst: Bool) throws -> String {
        var copy = copy
        if isFirst { copy.forgetRendered() }
        let setting = StatusReply.Setting(
            pools: [.standard], scope: .pool, version: "1", coordinator: InstanceID("c"), now: 1_000_000_000_000,
            degradedReason: nil, age: .zero)
        let reply = StatusReply(&copy, setting)
        return String(decoding: reply.body(.full), as: UTF8.self)
    }

    private func copy(_ store: LeaseStore) async throws -> (mirror: PoolMirror, last: String) {
        let snapshot = try await store.snapshot()
        var mirror = PoolMirror()
        mirror.take(snapshot)
        return (mirror, snapshot.lastEvent)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `kept by events it is the same as one that is read`(seed: UInt64) async throws {
        try await withRedis { redis in
            var pool = try await RandomPool(redis, seed: seed)
            var random = RandomSource(seed: seed + 100)
            var (followed, last) = try await copy(pool.store)
            for step in 0..<RandomSource.rounds(250) {
                let before = last
                for _ in 0...random.below(6) { try await pool.step() }
                let page = try await pool.store.history(after: last, limit: 10_000)
                for event in page.events { followed.apply(event) }
                last = page.last ?? last
                if page.events.contains(where: { PoolMirror.changesHosts($0.kind) }) {
                    followed = try await copy(pool.store).mirror
                }
                #expect(
                    try status(followed, isFirst: false) == status(followed, isFirst: true),
                    "step \(step) of seed \(seed)")
                followed.renderStatus()
                #expect(
                    try status(followed, isFirst: false) == status(followed, isFirst: true),
                    "rendered at step \(step) of seed \(seed)")
                let (read, _) = try await copy(pool.store)
                #expect(shown(followed) == shown(read), "step \(step) of seed \(seed): \(pool.deeds.suffix(8))")
                for lease in read.leases.values {
                    let mine = followed.leases[lease.lease]
                    // A heartbeat moves it by what the way to Redis takes.
                    #expect(
                        abs((mine?.expires ?? 0) - (lease.expires ?? 0)) < 2000, "\(lease) \(String(describing: mine))")
                    #expect(abs((mine?.granted ?? 0) - (lease.granted ?? 0)) < 2000)
                }
                // Events that come late, on another connection than what was read, change nothing for good.
                var late = read
                for event in page.events where RedisStreamID(event.id) > RedisStreamID(before) { late.apply(event) }
                #expect(
                    shown(late) == shown(read), "late events, step \(step) of seed \(seed): \(pool.deeds.suffix(8))")
                if shown(followed) != shown(read) { return }
            }
        }
    }

    @Test func `leases that are over are forgotten by their tickets, and how long they were held is known`() throws {
        var mirror = PoolMirror()
        let lease = try lease(1_000, of: "n1/0")
        func event(_ kind: PoolEvent.Kind, at moment: Int64, _ fields: [String: String]) -> PoolEvent {
            PoolEvent(id: "\(moment)-0", kind: kind, at: moment, fields: fields)
        }
        for round in 0..<3 as Range<Int64> {
            let began = 10_000 * round
            mirror.apply(
                event(
                    .granted, at: began,
                    [
                        "lease": lease.text, "unit": "n1/0", "ticket": "t1", "holder": "a", "priority": "15",
                        "ttl": "60000", "expires": "\(began + 60_000)",
                    ]))
            #expect(mirror.lease(of: TicketID("t1"))?.holder == "a")
            #expect(mirror.apply(event(.released, at: began + 2000, ["lease": lease.text, "state": "free"])) == lease)
            #expect(mirror.lease(of: TicketID("t1")) == nil)
        }
        #expect(mirror.holds.typical(.standard) == 2000)
        #expect(mirror.holds.typical(.voice) == nil)
    }
}
