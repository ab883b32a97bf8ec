import LeaseModel
import Testing

@testable import Coordinator

@Suite struct `Who is asked to give a unit back` {
    private static let now = BootInstant(sinceBoot: .seconds(1000))
    private static let poolNow: Int64 = 1_000_000

    private static func wish(_ ticket: String, _ priority: Priority = .voice, _ selector: Selector = .anyGPU)
        -> Preemptions.Wish
    {
        Preemptions.Wish(ticket: TicketID(ticket), selector: selector, priority: priority, by: "local")
    }

    /// A lease on the unit `h1/N`, granted so many seconds ago.
    private static func lease(
        _ number: Int, priority: Int, age: Int64 = 60, for ticket: String? = nil, memoryMB: Int = 24_000
    ) throws -> Preemptions.Candidate {
        let unit = try UnitID("h1/\(number)")
        return Preemptions.Candidate(
            lease: LeaseID(unit: unit, fencing: FencingToken(7)), priority: priority,
            granted: poolNow - age * 1000, preemptor: ticket.map { TicketID($0) },
            properties: UnitProperties(
                unit: unit, kind: .gpu, memoryMB: memoryMB, deviceType: "discrete", details: "{}"), labels: [:])
    }

    private static func chosen(
        _ wish: Preemptions.Wish, _ candidates: [Preemptions.Candidate],
        policy: Preemptions.Policy = Preemptions.Policy()
    ) -> Preemptions.Action? {
        var preemptions = Preemptions(policy: policy)
        preemptions.waits(wish)
        return preemptions.look(at: candidates, poolNow: poolNow, at: now).first
    }

    @Test func `is the holder of the worst priority, of several the one that began last`() throws {
        let leases = [
            try Self.lease(0, priority: 15), try Self.lease(1, priority: 20, age: 90),
            try Self.lease(2, priority: 20, age: 30), try Self.lease(3, priority: 20, age: 60),
        ]
        let wish = Self.wish("voice")
        #expect(Self.chosen(wish, leases) == .preempt(wish, leases[2].lease))
    }

    @Test func `is nobody too near in priority, too young, asked for another, or on a unit that will not do`() throws {
        let chat = Self.wish("chat", .console)
        #expect(Self.chosen(chat, [try Self.lease(0, priority: 19)]) == nil)
        #expect(Self.chosen(chat, [try Self.lease(0, priority: 20)]) != nil)
        #expect(Self.chosen(chat, [try Self.lease(0, priority: 20, age: 9)]) == nil)
        #expect(Self.chosen(chat, [try Self.lease(0, priority: 20, for: "other")]) == nil)
        let big = Self.wish("big", .voice, try Selector(minimumMemoryMB: 40_000))
        #expect(Self.chosen(big, [try Self.lease(0, priority: 20)]) == nil)
        #expect(Self.chosen(big, [try Self.lease(0, priority: 20, memoryMB: 48_000)]) != nil)
        let off = Preemptions.Policy(distance: 0)
        #expect(Self.chosen(Self.wish("voice"), [try Self.lease(0, priority: 100)], policy: off) == nil)
    }

    @Test func `is one at a time for each waiter, and another for each`() throws {
        var preemptions = Preemptions(policy: Preemptions.Policy())
        let leases = try (0..<3).map { try Self.lease($0, priority: 20) }
        let (voice, mic) = (Self.wish("voice"), Self.wish("mic"))
        preemptions.waits(voice)
        preemptions.waits(mic)
        let first = preemptions.look(at: leases, poolNow: Self.poolNow, at: Self.now)
        #expect(first == [.preempt(voice, leases[2].lease), .preempt(mic, leases[1].lease)])
        #expect(preemptions.look(at: leases, poolNow: Self.poolNow, at: Self.now) == [], "both are under way")
        _ = preemptions.answered(voice.ticket, .asked(leases[2].lease), at: Self.now)
        _ = preemptions.answered(mic.ticket, .notNow, at: Self.now)
        #expect(
            preemptions.look(at: leases, poolNow: Self.poolNow, at: Self.now) == [.preempt(mic, leases[1].lease)],
            "who was refused looks again, and not at the one that is asked")
        let later = Self.now + Preemptions.repetition
        #expect(
            preemptions.look(at: leases, poolNow: Self.poolNow, at: later) == [.preempt(voice, leases[2].lease)],
            "a wish is said again, for the same lease")
    }

    @Test func `is let off when the waiter is gone, also where the answer comes after that`() throws {
        var preemptions = Preemptions(policy: Preemptions.Policy())
        let lease = try Self.lease(0, priority: 20)
        let wish = Self.wish("voice")
        preemptions.waits(wish)
        #expect(preemptions.over(wish.ticket) == [], "nobody was asked")
        preemptions.waits(wish)
        _ = preemptions.look(at: [lease], poolNow: Self.poolNow, at: Self.now)
        #expect(preemptions.over(wish.ticket) == [.spare(wish.ticket, lease.lease)])
        #expect(
            preemptions.answered(wish.ticket, .asked(lease.lease), at: Self.now) == [.spare(wish.ticket, lease.lease)])
        #expect(preemptions.over(wish.ticket) == [])
        #expect(preemptions.isEmpty)
    }

    @Test func `stays asked where the waiter goes on at another coordinator, which finds it`() throws {
        var preemptions = Preemptions(policy: Preemptions.Policy())
        let lease = try Self.lease(0, priority: 20)
        let wish = Self.wish("voice")
        preemptions.waits(wish)
        _ = preemptions.look(at: [lease], poolNow: Self.poolNow, at: Self.now)
        #expect(preemptions.over(wish.ticket, isElsewhere: true) == [])
        let asked = [try Self.lease(1, priority: 100), try Self.lease(0, priority: 20, for: "voice")]
        #expect(Self.chosen(wish, asked) == .preempt(wish, lease.lease))
    }
}
