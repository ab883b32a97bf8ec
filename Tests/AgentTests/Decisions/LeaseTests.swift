import LeaseModel
import Testing

@testable import Agent

@Suite struct `A renewal` {
    @Test func `moves the deadline first, to its own moment and the ttl of the grant`() throws {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60))
        #expect(try bench.renew(5, after: .seconds(30)) == [try bench.renewed(5)])
        #expect(try bench.deadline() == bench.now + .seconds(60))
        #expect(bench.machine.memory.units[0].known?.lease.deadline == bench.now + .seconds(60))
    }

    @Test func `may bring another token, and then the one before proves nothing`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(try bench.renew(5, newToken: "new") == [try bench.renewed(5, token: "new")])
        #expect(try bench.renew(5, token: "k5") == [try bench.refusal(5, .duplicate)])
        #expect(bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released)) == [])
        #expect(bench.state() == "held 5")
        bench.hear(.end(try Bench.lease(5), TokenHash("new"), .released))
        #expect(bench.state() == "free")
    }

    @Test func `of a lease that has passed its deadline is refused, also within the lock-delay`() throws {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60))
        #expect(try bench.renew(5, after: .seconds(60)) == [try bench.refusal(5, .expired)])
        #expect(try bench.deadline() == bench.now)
    }

    @Test func `of a lease that is not here is refused`() throws {
        var bench = try Bench.open()
        #expect(try bench.renew(5) == [try bench.refusal(5, .lost)])
    }

    @Test func `of a lease that is ending is refused with the reason`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        try bench.run(5)
        bench.hear(.revoke(try Bench.lease(5), .reset, by: "ann", why: "test"))
        #expect(try bench.renew(5) == [try bench.refusal(5, .reset)])
    }

    @Test func `is answered once for each sending`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(try bench.renew(5, nonce: "a") == [try bench.renewed(5, nonce: "a")])
        #expect(try bench.renew(5, nonce: "b") == [try bench.renewed(5, nonce: "b")])
        #expect(bench.handle(.wordAnswered(session: 1, .failed)) == [])
    }

    @Test func `that the journal does not take leaves time and token as they were, and is not answered`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        let deadline = try bench.deadline()
        let actions = try bench.renew(5, newToken: "new", after: .seconds(10))
        guard case .journalThenSay(let word, _)? = actions.first else {
            Issue.record("no renewal")
            return
        }
        #expect(bench.handle(.journalFailed(word)) == [])
        #expect(try bench.deadline() == deadline)
        #expect(try bench.renew(5) == [try bench.renewed(5)])
    }

    @Test func `that the journal did take is not undone by a later one that it does not`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        _ = try bench.renew(5, newToken: "new", after: .seconds(10))
        let told = try bench.deadline()
        guard case .journalThenSay(let word, _)? = try bench.renew(5, token: "new", after: .seconds(10)).first else {
            Issue.record("no renewal")
            return
        }
        bench.handle(.journalFailed(word))
        #expect(try bench.deadline() == told)
        #expect(try bench.renew(5, token: "new") == [try bench.renewed(5, token: "new")])
    }
}

@Suite struct `A lease ends` {
    @Test func `by the agent's clock: at its deadline and the lock-delay, first here and then in Redis`() throws {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60))
        bench.handle(.clockReached, after: .seconds(62) - .nanoseconds(1))
        #expect(bench.state() == "held 5")
        #expect(bench.handle(.clockReached, after: .nanoseconds(1)).first == (try bench.end(5, .expired)))
        #expect(bench.state() == "free")
    }

    @Test func `and the next offer comes back in the answer`() throws {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60))
        bench.handle(.clockReached, after: .seconds(62))
        let next = bench.handle(.endAnswered(session: 1, next: [.offer(try Bench.offer(6))]))
        #expect(next == [try bench.confirm(6)])
    }

    @Test func `without Redis too, and the next session's table says so`() throws {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60))
        bench.handle(.disconnected)
        #expect(bench.handle(.clockReached, after: .seconds(62)) == [])
        #expect(bench.state() == "free")
        #expect(
            bench.handle(.connected) == [.heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now))])
    }

    @Test func `while a session opens, and is told as soon as that is open`() throws {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60))
        bench.now = bench.now + .seconds(61)
        bench.handle(.disconnected)
        bench.handle(.connected)
        bench.handle(.clockReached, after: .seconds(1))
        #expect(bench.answerHeartbeat(.heard([])) == [bench.heartbeat])
    }

    @Test func `at once by its holder's word, without lock-delay`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(
            bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released), .offer(try Bench.offer(6))) == [
                try bench.confirm(6)
            ])
    }

    @Test func `by an admin's word, which names the lease alone`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        bench.hear(.end(try Bench.lease(5), .any, .reset))
        #expect(bench.state() == "free")
    }

    @Test func `when it is revoked and nothing is known to run under it: at once`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(
            bench.hear(.revoke(try Bench.lease(5), .revoked, by: "ann", why: "test")) == [try bench.end(5, .revoked)])
        #expect(bench.state() == "free")
    }

    @Test func `when it is revoked and something runs: after that is gone`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        try bench.run(5)
        let stop = AgentMachine.Action.stopProcesses(try Bench.lease(5), Bench.process, grace: .seconds(30))
        let revoke = AgentMessage.revoke(try Bench.lease(5), .forceReleased, by: "ann", why: "test")
        #expect(bench.hear(revoke) == [.writeJournal, stop])
        #expect(bench.state() == "ending 5")
        #expect(bench.hear(revoke) == [])
        #expect(bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released)) == [])
        #expect(bench.hear(.offer(try Bench.offer(6))).rejections == [[6, 5]])
        #expect(bench.handle(.processesGone(try Bench.lease(5))) == [try bench.end(5, .forceReleased)])
        #expect(bench.state() == "free")
    }

    @Test func `when what ran under it has died`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        try bench.run(5)
        #expect(bench.handle(.processesGone(try Bench.lease(5))) == [try bench.end(5, .released)])
    }

    @Test func `by time and something runs: that is told to end at the deadline, and the unit is free when it is gone`()
        throws
    {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(60), grace: .seconds(7))
        try bench.run(5)
        #expect(bench.machine.wakeAt == bench.now + .seconds(5), "the next heartbeat")
        let actions = bench.handle(.clockReached, after: .seconds(60))
        let stop = AgentMachine.Action.stopProcesses(try Bench.lease(5), Bench.process, grace: .seconds(7))
        #expect(actions.prefix(2) == [.writeJournal, stop])
        #expect(bench.state() == "ending 5")
        #expect(try bench.renew(5) == [try bench.refusal(5, .expired)])
        bench.handle(.clockReached, after: .seconds(600))
        #expect(bench.state() == "ending 5", "however long it takes")
        #expect(bench.handle(.processesGone(try Bench.lease(5))) == [try bench.end(5, .expired)])
        #expect(bench.state() == "free")
    }

    @Test func `when who renewed it is gone: what runs is told to end, and then the unit is free`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(bench.handle(.keeperGone(try Bench.lease(5))) == [], "nothing runs under it")
        try bench.run(5)
        let actions = bench.handle(.keeperGone(try Bench.lease(5)))
        let stop = AgentMachine.Action.stopProcesses(try Bench.lease(5), Bench.process, grace: .seconds(30))
        #expect(actions == [.writeJournal, stop, bench.heartbeat])
        #expect(bench.state() == "ending 5")
        #expect(bench.handle(.keeperGone(try Bench.lease(5))) == [])
        #expect(bench.handle(.processesGone(try Bench.lease(5))) == [try bench.end(5, .released)])
        #expect(bench.state() == "free")
    }

    @Test func `not because a process is told with a token that is not the present one`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(bench.handle(.processStarted(try Bench.lease(5), TokenHash("other"), Bench.process)) == [])
        #expect(bench.machine.processes.isEmpty)
    }

    @Test func `not by a revocation of another lease, which is answered by the table`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(bench.hear(.revoke(try Bench.lease(4), .revoked, by: "ann", why: "test")) == [bench.heartbeat])
        #expect(bench.state() == "held 5")
    }

    @Test func `not because Redis does not know it`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        bench.handle(.wordAnswered(session: 1, .unknownHost))
        bench.answerHeartbeat(.heard([]))
        #expect(bench.state() == "held 5")
    }
}

@Suite struct `A fencing token` {
    @Test func `is current until its lease's deadline and stale from then on`() throws {
        var bench = try Bench.open()
        let unit = try UnitID("h1/0")
        #expect(bench.machine.verify(unit, FencingToken(5), at: bench.now) == .stale)
        try bench.grant(5, ttl: .seconds(60))
        #expect(bench.machine.verify(unit, FencingToken(5), at: bench.now) == .current)
        #expect(bench.machine.verify(unit, FencingToken(4), at: bench.now) == .stale)
        #expect(bench.machine.verify(unit, FencingToken(5), at: bench.now + .seconds(60)) == .stale)
        bench.answerHeartbeat(.staleSession)
        #expect(bench.machine.verify(unit, FencingToken(5), at: bench.now) == .stale)
    }
}

extension Bench {
    static let process = LeaseProcess(
        group: 4711, startTicks: 99, keeper: LeaseProcess.Keeper(process: 4710, startTicks: 98))

    mutating func run(_ fencing: Int64) throws {
        let event = Event.processStarted(try Self.lease(fencing), TokenHash("k\(fencing)"), Self.process)
        #expect(handle(event) == [.writeJournal])
        #expect(machine.processes.map(\.process) == [Self.process])
    }
}
