import LeaseModel
import Testing

@testable import Agent

@Suite struct `A session` {
    @Test func `begins with each connection and says the whole table`() throws {
        var bench = try Bench(["h1/1", "h1/0"])
        let first = bench.handle(.connected)
        #expect(first == [.heartbeat(session: 1, isFirst: true, bench.machine.reports(at: bench.now))])
        #expect(bench.machine.reports(at: bench.now).map(\.properties.unit.text) == ["h1/0", "h1/1"])
        bench.answerHeartbeat(.heard([]))
        bench.handle(.disconnected)
        #expect(
            bench.handle(.connected).first
                == .heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now)))
    }

    @Test func `begins with each opening of the inbox, which may lead to another server`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        let first = bench.handle(.subscribed)
        #expect(first == [.heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now))])
        bench.answerHeartbeat(.heard([]))
        let end = AgentMessage.end(try Bench.lease(5), TokenHash("k5"), .withdrawn)
        #expect(bench.handle(.mail(AgentMail(session: 1, messages: [end]))) == [])
        #expect(bench.state() == "held 5")
    }

    @Test func `has a heartbeat every five seconds and at once when asked`() throws {
        var bench = try Bench.open()
        #expect(bench.machine.wakeAt == bench.now + .seconds(5))
        #expect(bench.handle(.clockReached, after: .seconds(5)) == [bench.heartbeat])
        #expect(bench.hear(.speak) == [bench.heartbeat])
        #expect(bench.machine.wakeAt == bench.now + .seconds(5))
    }

    @Test func `speaks at once when Redis has lost what it knew, or when its session opens`() throws {
        var bench = try Bench.open()
        #expect(bench.handle(.forgotten) == [bench.heartbeat])
        #expect(bench.machine.wakeAt == bench.now + .seconds(5))
        bench.handle(.connected)
        #expect(bench.handle(.forgotten) == [])
        #expect(bench.answerHeartbeat(.heard([])) == [bench.heartbeat])
    }

    @Test func `is tried again where its first heartbeat has no answer`() throws {
        var bench = try Bench()
        bench.handle(.connected)
        bench.answerHeartbeat(.failed)
        #expect(bench.machine.wakeAt == bench.now + .seconds(1))
        let again = bench.handle(.clockReached, after: .seconds(1))
        #expect(again == [.heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now))])
    }

    @Test func `does not open with an answer that came after the connection ended`() throws {
        var bench = try Bench()
        bench.handle(.connected)
        bench.handle(.disconnected)
        bench.answerHeartbeat(.heard([.offer(try Bench.offer(5))]))
        #expect(!bench.machine.isOpen)
        #expect(bench.state() == "free")
    }

    @Test func `is refused where the host id is live elsewhere`() throws {
        var bench = try Bench()
        bench.handle(.connected)
        #expect(bench.answerHeartbeat(.hostInUse(InstanceID("b"))) == [.refused(InstanceID("b"))])
    }

    @Test func `waits for the other's presence to lapse where Redis came back from an old copy`() throws {
        var bench = try Bench.open()
        bench.handle(.disconnected)
        bench.handle(.connected)
        #expect(bench.answerHeartbeat(.hostInUse(InstanceID("b"))) == [])
        #expect(bench.handle(.clockReached, after: .seconds(1)).heartbeats == 1)
        bench.answerHeartbeat(.heard([]))
        #expect(bench.machine.isOpen)
    }

    @Test(arguments: 0..<3)
    func `that a successor has ended is the last: nothing is said any more`(_ word: Int) throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        let actions =
            switch word {
            case 0: bench.answerHeartbeat(.staleSession)
            case 1: try bench.answerConfirm(5, .staleSession)
            default: bench.handle(.wordAnswered(session: 1, .staleSession))
            }
        #expect(actions == [.succeeded])
        #expect(bench.handle(.connected) == [])
        #expect(bench.hear(.offer(try Bench.offer(6))) == [])
        #expect(bench.machine.wakeAt == nil)
    }

    @Test func `keeps a bounded number of early messages`() throws {
        var bench = try Bench()
        bench.handle(.connected)
        for fencing in 1...2000 as ClosedRange<Int64> { bench.hear(.offer(try Bench.offer(fencing))) }
        #expect(bench.machine.early.count == 1024)
    }
}

@Suite struct `Devices` {
    @Test func `that come are reported free, with the fencing token they had`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released))
        #expect(bench.handle(.inventory([])).heartbeats == 1)
        #expect(bench.state() == "no unit")
        #expect(bench.machine.memory.units.map(\.highest.value) == [5])
        bench.handle(.inventory([try Bench.unit("h1/0"), try Bench.unit("h1/1")]))
        #expect(bench.machine.reports(at: bench.now).map(\.highestFencing.value) == [5, 0])
    }

    @Test func `that go keep their lease until it ends, and then their fencing token`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        bench.handle(.inventory([]))
        #expect(bench.state() == "held 5")
        #expect(bench.hear(.offer(try Bench.offer(6))).rejections == [[6, 5]])
        let actions = bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released))
        #expect(actions == [.heartbeat(session: 1, isFirst: false, [])])
        #expect(bench.machine.memory.units.map(\.highest.value) == [5])
    }
}

@Suite struct `A restart` {
    static func memory(_ standing: AgentMemory.Standing = .held, deadline: BootInstant) throws -> AgentMemory {
        var own = try Bench.own(5, deadline: deadline)
        if case .ending = standing { own.process = Bench.process }
        return AgentMemory(
            instance: InstanceID("before"),
            units: [
                AgentMemory.Unit(
                    unit: try UnitID("h1/0"), highest: FencingToken(5),
                    known: AgentMemory.Lease(lease: own, standing: standing))
            ], longestTTL: .seconds(300))
    }

    @Test func `keeps leases with their deadlines as they stand`() throws {
        let deadline = Bench.start + .seconds(7)
        var bench = try Bench.open(past: .remembered(Self.memory(deadline: deadline)))
        #expect(bench.state() == "held 5")
        #expect(try bench.deadline() == deadline)
        bench.handle(.clockReached, after: .seconds(9))
        #expect(bench.state() == "free")
    }

    @Test func `asks whether a confirm was taken`() throws {
        var bench = try Bench(past: .remembered(Self.memory(.confirming, deadline: Bench.start + .seconds(7))))
        #expect(bench.state() == "confirming 5")
        bench.connect([.confirmed(try Bench.lease(5))])
        #expect(bench.state() == "held 5")
    }

    @Test func `goes on ending what was being ended`() throws {
        var bench = try Bench(past: .remembered(Self.memory(.ending(.reset), deadline: Bench.start + .seconds(7))))
        #expect(bench.handle(.clockReached) == [.stopProcesses(try Bench.lease(5), Bench.process, grace: .seconds(30))])
        #expect(bench.state() == "ending 5")
        bench.handle(.processesGone(try Bench.lease(5)))
        #expect(bench.state() == "free")
    }

    @Test func `says in its journal what it knew before`() throws {
        let memory = try Self.memory(deadline: Bench.start + .seconds(7))
        let bench = try Bench(past: .remembered(memory))
        #expect(bench.machine.memory.units == memory.units)
        #expect(bench.machine.memory.longestTTL == memory.longestTTL)
        #expect(bench.machine.memory.instance == InstanceID("a1"))
    }

    @Test func `of the host adopts nothing: its units rest until no lease of before can stand`() throws {
        let memory = try Self.memory(deadline: Bench.start + .seconds(7))
        let soon = BootInstant(sinceBoot: .seconds(20))
        var bench = try Bench(past: .rebooted(memory), at: soon)
        bench.connect()
        #expect(bench.state() == "resting")
        #expect(bench.hear(.offer(try Bench.offer(6))).rejections == [[6, 5]])
        bench.now = BootInstant(sinceBoot: .seconds(302))
        bench.handle(.clockReached)
        #expect(bench.state() == "free")
        #expect(bench.hear(.offer(try Bench.offer(5))).rejections == [[5, 5]])

        let late = try Bench(past: .rebooted(memory), at: BootInstant(sinceBoot: .seconds(302)))
        #expect(late.state() == "free")
    }

    @Test func `without a journal rests from its start, and its fencing tokens begin at the wall clock`() throws {
        let wall: Int64 = 1_764_000_000_000_000
        var bench = try Bench.open(past: .unknown(wallClockMicroseconds: wall))
        #expect(bench.state() == "resting")
        bench.handle(.clockReached, after: Limits.longestTTL + Limits.lockDelay - .nanoseconds(1))
        #expect(bench.state() == "resting")
        bench.handle(.clockReached, after: .nanoseconds(1))
        #expect(bench.state() == "free")
        #expect(bench.hear(.offer(try Bench.offer(wall))).rejections == [[wall, wall]])
        #expect(bench.hear(.offer(try Bench.offer(wall + 1))) == [try bench.confirm(wall + 1)])
    }

    @Test(arguments: [false, true])
    func `in the middle of a rest goes on resting`(_ hasRebooted: Bool) throws {
        let past =
            hasRebooted
            ? AgentPast.rebooted(try Self.memory(deadline: Bench.start)) : .unknown(wallClockMicroseconds: 9)
        let now = BootInstant(sinceBoot: .seconds(20))
        let before = try Bench(past: past, at: now)
        let memory = before.machine.memory
        var bench = try Bench(["h1/0", "h1/1"], past: .remembered(memory), at: now + .seconds(1))
        #expect(bench.state() == "resting")
        #expect(bench.state("h1/1") == "resting")
        #expect(bench.machine.memory.restingUntil == memory.restingUntil)
        bench.now = try #require(memory.restingUntil)
        bench.handle(.clockReached)
        #expect(bench.state() == "free")
        #expect(try Bench(past: .remembered(memory), at: bench.now).state() == "free")
    }

    @Test func `of the host after its journal was lost rests for the longest lease there is`() throws {
        let before = try Bench(past: .unknown(wallClockMicroseconds: 9))
        let bench = try Bench(past: .rebooted(before.machine.memory), at: BootInstant(sinceBoot: .seconds(20)))
        #expect(
            bench.machine.memory.restingUntil
                == BootInstant(sinceBoot: Limits.longestTTL + Limits.lockDelay))
        #expect(bench.state() == "resting")
    }

    @Test func `after an agent with another journal rests, but for the leases that it knows`() throws {
        var bench = try Bench(["h1/0", "h1/1"], past: .remembered(Self.memory(deadline: Bench.start + .seconds(60))))
        #expect(bench.machine.ancestors == [InstanceID("before")])
        bench.handle(.connected)
        let actions = bench.answerHeartbeat(.succeedsAnother(InstanceID("other"), highest: FencingToken(9)))
        #expect(actions.first == .writeJournal)
        #expect(actions.last == .heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now)))
        let memory = bench.machine.memory
        #expect(memory.ancestors == [InstanceID("other"), InstanceID("before")])
        #expect(memory.restingUntil == Bench.start + Limits.longestTTL + Limits.lockDelay)
        #expect(memory.units.map(\.highest.value) == [9, 9])
        #expect([bench.state("h1/0"), bench.state("h1/1")] == ["held 5", "resting"])
        bench.answerHeartbeat(.heard([]))
        // When its lease has ended the unit rests as well: the other agent may have given it to somebody.
        bench.handle(.clockReached, after: .seconds(62))
        #expect(bench.state("h1/0") == "resting")
        // A further restart knows of it.
        let next = try Bench(["h1/0"], past: .remembered(bench.machine.memory), at: bench.now)
        #expect(next.state("h1/0") == "resting")
        #expect(next.machine.ancestors == [InstanceID("a1"), InstanceID("other"), InstanceID("before")])
        bench.handle(.clockReached, after: Limits.longestTTL)
        #expect([bench.state("h1/0"), bench.state("h1/1")] == ["free", "free"])
    }

    @Test func `in a directory that was just made begins at once`() throws {
        #expect(try Bench.open().state() == "free")
    }
}
