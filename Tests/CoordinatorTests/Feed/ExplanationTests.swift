import LeaseModel
import Testing

@testable import Coordinator
@testable import LeaseStore

@Suite struct `Why a request waits` {
    private static let now: Int64 = 1_000_000

    private func unit(_ name: String, _ state: UnitRecord.State, _ lease: LeaseID? = nil, memoryMB: Int = 24_000) throws
        -> UnitRecord
    {
        UnitRecord(
            properties: UnitProperties(
                unit: try UnitID(name), kind: .gpu, memoryMB: memoryMB, deviceType: "discrete", details: "{}"),
            state: state, lease: lease)
    }

    private func terms(_ ticket: String, _ holder: String, priority: Int, selector: String = "gpu/any", age: Int64 = 0)
        throws -> LeaseTerms
    {
        let score = (Self.now - age) * 1000 + Int64(priority) * Aging.standard.microsecondsPerPoint
        return LeaseTerms(
            holder: try HolderID(holder), caller: "", ticket: TicketID(ticket), coordinator: InstanceID("c1"),
            priority: priority, selector: selector, score: score, ttl: .seconds(120), metadata: "")
    }

    private func mirror(_ units: [UnitRecord], _ waiters: [LeaseTerms], held: [LeaseRecord] = []) throws -> PoolMirror {
        var mirror = PoolMirror()
        let host = HostRecord(
            host: try HostID("n1"), instance: InstanceID("a1"), address: "", version: "", labels: ["zone": "a"],
            isPresent: true, isCordoned: false, units: units.map(\.properties.unit))
        mirror.take(
            PoolSnapshot(
                lastEvent: "0-0", at: PoolInstant(milliseconds: Self.now), hosts: [host], units: units, leases: held,
                waiters: waiters))
        return mirror
    }

    private func held(_ lease: LeaseID, by holder: String, since: Int64, ends: Int64) throws -> LeaseRecord {
        LeaseRecord(
            lease: lease, terms: try terms("of-\(holder)", holder, priority: 15), state: .held,
            granted: PoolInstant(milliseconds: Self.now - since), expires: PoolInstant(milliseconds: Self.now + ends))
    }

    @Test func `it names who is served before, who holds, and how many compete`() throws {
        let (one, two) = (try lease(1, of: "n1/0"), try lease(2, of: "n1/1"))
        var mirror = try mirror(
            [unit("n1/0", .held, one), unit("n1/1", .held, two)],
            [
                terms("t1", "mic", priority: 0), terms("t2", "other", priority: 15),
                terms("t3", "elsewhere", priority: 0, selector: "gpu/host=n2"),
                terms("t4", "loader", priority: 0, selector: "model-load/any"),
                terms("t5", "old", priority: 20, age: 200_000),
            ], held: [held(one, by: "a", since: 0, ends: 50_000), held(two, by: "b", since: 0, ends: 20_000)])
        let waiter = try #require(mirror.waiters[TicketID("t2")])
        let why = mirror.explanation(of: waiter, at: Self.now, aging: .standard)
        #expect(why.ahead.map(\.holder) == ["old", "mic", "elsewhere"])
        #expect(mirror.position(of: TicketID("t2")) == 4)
        #expect(why.depth == 4)
        #expect(why.blocking.map(\.holder) == ["b", "a"])
        #expect(why.expectedWait == nil)
        #expect(
            why.sentence
                == "4th for gpu/any, which 2 units meet. Served in the order of arrival + priority × 6 s; elsewhere (priority 0) is next before you. b holds n1/1."
        )
        let only = try #require(mirror.waiters[TicketID("t3")])
        #expect(
            mirror.explanation(of: only, at: Self.now, aging: .standard).sentence
                == "No unit of the pool meets gpu/host=n2 at present. Ask for less, or wait for a host that has one.")
        #expect(mirror.position(of: TicketID("t9")) == nil)
    }

    @Test func `an expected wait comes only from what was seen`() throws {
        let present = try lease(1, of: "n1/0")
        var mirror = try mirror(
            [unit("n1/0", .held, present), unit("n1/1", .resting)],
            [terms("t1", "x", priority: 15), terms("t2", "y", priority: 15)],
            held: [held(present, by: "a", since: 4000, ends: 50_000)])
        let second = try #require(mirror.waiters[TicketID("t2")])
        #expect(mirror.explanation(of: second, at: Self.now, aging: .standard).expectedWait == nil)
        #expect(mirror.expectedWaits(at: Self.now).isEmpty)
        for number in 1...3 as ClosedRange<Int64> {
            let past = try lease(100 + number, of: "n1/9")
            let fields = [
                "lease": past.text, "unit": "n1/9", "priority": "15", "ttl": "1000",
                "expires": "\(1000 * number + 1000)",
            ]
            mirror.apply(PoolEvent(id: "\(number)-0", kind: .granted, at: 1000 * number, fields: fields))
            mirror.apply(PoolEvent(id: "\(number)-1", kind: .released, at: 1000 * number + 10_000, fields: fields))
        }
        let why = mirror.explanation(of: second, at: Self.now, aging: .standard)
        // The present holder has 6 of its 10 s left, the one ahead then takes 10 s.
        #expect(why.expectedWait == 16_000)
        #expect(mirror.expectedWaits(at: Self.now) == [TicketID("t1"): 6000, TicketID("t2"): 16_000])
        #expect(
            why.sentence.hasSuffix(
                "1 of them cannot be granted at present: not heard of, resting after a restart, or cordoned."))
    }

    @Test func `the status expects of each what its explanation does, and of a class never seen nothing`() throws {
        let present = try lease(1, of: "n1/0")
        var mirror = try mirror(
            [unit("n1/0", .held, present), unit("n1/1", .free)],
            [
                terms("t1", "x", priority: 15, age: 5000), terms("t2", "y", priority: 15, selector: "gpu/unit=n1/0"),
                terms("t3", "z", priority: 15), terms("t4", "dream", priority: 20), terms("t5", "last", priority: 20),
                terms("t6", "nowhere", priority: 15, selector: "gpu/host=n9"),
            ], held: [held(present, by: "a", since: 4000, ends: 50_000)])
        for number in 1...3 as ClosedRange<Int64> {
            let past = try lease(100 + number, of: "n1/9")
            let fields = ["lease": past.text, "priority": "15", "ttl": "1000", "expires": "\(1000 * number + 1000)"]
            mirror.apply(PoolEvent(id: "\(number)-0", kind: .granted, at: 1000 * number, fields: fields))
            mirror.apply(PoolEvent(id: "\(number)-1", kind: .released, at: 1000 * number + 10_000, fields: fields))
        }
        let all = mirror.expectedWaits(at: Self.now)
        for (ticket, waiter) in mirror.waiters {
            #expect(mirror.explanation(of: waiter, at: Self.now, aging: .standard).expectedWait == all[ticket])
        }
        // Behind a dreamer nobody knows, since none has been seen to hold.
        #expect(all[TicketID("t4")] != nil && all[TicketID("t5")] == nil && all[TicketID("t6")] == nil)
    }

    @Test func `with strict aging it says so, and counts in words`() throws {
        let crowd = try (0..<23).map { try terms("t\($0 + 10)", "w\($0)", priority: 15, age: Int64(100 - $0)) }
        var mirror = try mirror([unit("n1/0", .free)], crowd)
        func sentence(_ number: Int) throws -> String {
            let waiter = try #require(mirror.waiters[TicketID("t\(number + 9)")])
            return mirror.explanation(of: waiter, at: Self.now, aging: .strict).sentence
        }
        for (number, word) in [
            (1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (23, "23rd"),
        ] {
            #expect(try sentence(number).hasPrefix("\(word) for gpu/any, which 1 unit meets."))
        }
        #expect(try sentence(2).hasSuffix("Lower priority numbers are served first, then those that came first."))
    }
}
