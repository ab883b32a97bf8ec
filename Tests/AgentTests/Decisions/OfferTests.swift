import LeaseModel
import Testing

@testable import Agent

@Suite struct `An agent takes an offer` {
    @Test func `when the unit is free: journal first, then confirm`() throws {
        var bench = try Bench.open()
        #expect(bench.hear(.offer(try Bench.offer(5))) == [try bench.confirm(5)])
        #expect(bench.state() == "confirming 5")
        #expect(bench.machine.memory.units[0].known?.standing == .confirming)
        #expect(try bench.answerConfirm(5, .held) == [])
        #expect(bench.state() == "held 5")
    }

    @Test func `and counts its time from the moment it heard it`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5, ttl: .seconds(60))))
        let heard = bench.now
        bench.now = bench.now + .seconds(1)
        try bench.answerConfirm(5, .held)
        #expect(try bench.deadline() == heard + .seconds(60))
    }

    @Test func `never before the session's first heartbeat is answered, but then from the moment it was heard`() throws
    {
        var bench = try Bench()
        bench.handle(.connected)
        #expect(bench.hear(.offer(try Bench.offer(5))) == [])
        let heard = bench.now
        bench.now = bench.now + .seconds(1)
        #expect(bench.answerHeartbeat(.heard([])) == [try bench.confirm(5)])
        #expect(try bench.deadline() == heard + .seconds(60))
    }

    @Test func `not one of another session`() throws {
        var bench = try Bench.open()
        let mail = AgentMail(session: bench.machine.session - 1, messages: [.offer(try Bench.offer(5))])
        #expect(bench.handle(.mail(mail)) == [])
        #expect(bench.state() == "free")
    }

    @Test(arguments: [4, 5] as [Int64])
    func `only above the unit's highest fencing token, and tells that one`(_ fencing: Int64) throws {
        var bench = try Bench.open()
        try bench.grant(5)
        bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released))
        let actions = bench.hear(.offer(try Bench.offer(fencing)))
        #expect(actions.rejections == [[fencing, 5]])
        #expect(actions.last == bench.heartbeat)
    }

    @Test func `not while another lease is held`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        #expect(bench.hear(.offer(try Bench.offer(6))).rejections == [[6, 5]])
        #expect(bench.state() == "held 5")
    }

    @Test func `in place of the lease that its holder released, where the token is the present one`() throws {
        var bench = try Bench.open()
        try bench.grant(5)
        let after = ReleasedLease(lease: try Bench.lease(5), token: TokenHash("k5"))
        #expect(bench.hear(.offer(try Bench.offer(6, after: after))) == [try bench.confirm(6)])
        #expect(bench.state() == "confirming 6")
    }

    @Test(arguments: [("h1/0#5", "earlier"), ("h1/0#4", "k5")])
    func `not in place of a lease released with an earlier token, or of another lease`(_ released: (String, String))
        throws
    {
        var bench = try Bench.open()
        try bench.grant(5)
        let after = ReleasedLease(lease: try LeaseID(released.0), token: TokenHash(released.1))
        #expect(bench.hear(.offer(try Bench.offer(6, after: after))).rejections == [[6, 5]])
        #expect(bench.state() == "held 5")
    }

    @Test func `once: the same offer again changes nothing`() throws {
        var bench = try Bench.open()
        let offer = AgentMessage.offer(try Bench.offer(5))
        bench.hear(offer)
        #expect(bench.hear(offer) == [])
        try bench.answerConfirm(5, .held)
        #expect(bench.hear(offer, after: .seconds(30)) == [])
        #expect(try bench.deadline() == Bench.start + .seconds(60))
    }

    @Test func `not of a unit that it does not have`() throws {
        var bench = try Bench.open()
        let actions = bench.hear(.offer(try Bench.offer(6, on: "h1/7")))
        #expect(actions.rejections == [[6, 0]])
        #expect(actions.heartbeats == 1)
    }

    @Test(
        arguments: [.zero, .seconds(-1), Limits.longestTTL + .milliseconds(1), .milliseconds(Int64.max)] as [Duration])
    func `not for a time that no lease has, and then the unit rests a while`(_ ttl: Duration) throws {
        var bench = try Bench.open()
        #expect(bench.hear(.offer(try Bench.offer(5, ttl: ttl))).rejections == [[5, 0]])
        #expect(bench.state() == "resting")
    }

    @Test func `of several units one by one`() throws {
        var bench = try Bench.open(["h1/0", "h1/1"])
        let actions = bench.hear(.offer(try Bench.offer(5)), .offer(try Bench.offer(6, on: "h1/1")))
        #expect(actions == [try bench.confirm(5), try bench.confirm(6, on: "h1/1")])
    }
}

@Suite struct `A confirm` {
    @Test func `whose offer does not stand frees the unit`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        #expect(
            try bench.answerConfirm(5, .gone) == [
                .heartbeat(session: 1, isFirst: false, bench.machine.reports(at: bench.now))
            ])
        #expect(bench.state() == "free")
    }

    @Test func `lets later offers wait, of which the last is taken when it was in vain`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        #expect(bench.hear(.offer(try Bench.offer(6))) == [])
        let heard = bench.now + .milliseconds(10)
        #expect(bench.hear(.offer(try Bench.offer(7)), after: .milliseconds(10)) == [])
        bench.now = bench.now + .seconds(1)
        #expect(try bench.answerConfirm(5, .gone) == [try bench.confirm(7)])
        #expect(try bench.deadline() == heard + .seconds(60))
    }

    @Test func `that was taken refuses the offer that waited, unless its lease was released meanwhile`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)), .offer(try Bench.offer(6)))
        #expect(try bench.answerConfirm(5, .held).rejections == [[6, 5]])

        bench = try Bench.open()
        let after = ReleasedLease(lease: try Bench.lease(5), token: TokenHash("k5"))
        bench.hear(.offer(try Bench.offer(5)), .offer(try Bench.offer(6, after: after)))
        #expect(try bench.answerConfirm(5, .held) == [try bench.confirm(6)])
    }

    @Test func `without an answer holds the unit, and after two seconds a new session asks`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        try bench.answerConfirm(5, .failed)
        #expect(bench.state() == "confirming 5")
        #expect(bench.machine.wakeAt == bench.now + .seconds(2))
        #expect(bench.handle(.clockReached, after: .seconds(2)) == [.reconnect])
        #expect(bench.handle(.clockReached, after: .seconds(1)) == [])
        bench.handle(.disconnected)
        let first = bench.handle(.connected)
        #expect(first == [.heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now))])
        #expect(bench.state() == "confirming 5")
        bench.answerHeartbeat(.heard([.confirmed(try Bench.lease(5))]))
        #expect(bench.state() == "held 5")
    }

    @Test func `that the next session calls withdrawn frees the unit for the offer that comes with that word`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        bench.handle(.disconnected)
        bench.handle(.connected)
        let answer: [AgentMessage] = [
            .end(try Bench.lease(5), TokenHash("k5"), .withdrawn), .offer(try Bench.offer(6)),
        ]
        #expect(bench.answerHeartbeat(.heard(answer)) == [try bench.confirm(6)])
    }

    @Test func `that the next session does not mention stays as it is: silence proves nothing`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        bench.handle(.disconnected, after: .seconds(5))
        bench.connect()
        #expect(bench.state() == "confirming 5")
        #expect(bench.handle(.clockReached, after: .seconds(1)) == [])
        #expect(bench.handle(.clockReached, after: .seconds(1)) == [.reconnect])
    }

    @Test func `to a Redis that has lost the host opens a new session`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        let actions = try bench.answerConfirm(5, .unknownHost)
        #expect(actions == [.heartbeat(session: 2, isFirst: true, bench.machine.reports(at: bench.now))])
        #expect(bench.state() == "confirming 5")
    }

    @Test func `answered in an earlier session says nothing`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        bench.connect()
        #expect(bench.handle(.confirmAnswered(session: 1, try Bench.lease(5), .gone)) == [])
        #expect(bench.handle(.confirmAnswered(session: 1, try Bench.lease(5), .staleSession)) == [])
        #expect(bench.state() == "confirming 5")
    }

    @Test func `ends by the agent's own clock too`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5, ttl: .seconds(1))))
        bench.handle(.disconnected)
        bench.handle(.clockReached, after: .seconds(3) - .nanoseconds(1))
        #expect(bench.state() == "confirming 5")
        bench.handle(.clockReached, after: .nanoseconds(1))
        #expect(bench.state() == "free")
    }

    @Test func `that the journal does not take is a rejection, and the unit rests a while`() throws {
        var bench = try Bench.open()
        bench.hear(.offer(try Bench.offer(5)))
        let actions = bench.handle(.journalFailed(.confirm(try Bench.lease(5))))
        #expect(actions.rejections == [[5, 5]])
        #expect(bench.state() == "resting")
        let later = bench.handle(.clockReached, after: Limits.heartbeat)
        #expect(later.last == bench.heartbeat)
        #expect(bench.state() == "free")
    }
}
