import LeaseModel
import Testing

@testable import Agent

@Suite struct `A lease that is asked to be given back` {
    private static func wish(_ ticket: String = "voice") throws -> Preemption {
        Preemption(ticket: TicketID(ticket), holder: try HolderID("Root-Mic"), priority: 0, by: "local")
    }

    /// A bench whose lease 5 has a grace of 20 s and is asked back now.
    private static func asked() throws -> Bench {
        var bench = try Bench.open()
        try bench.grant(5, ttl: .seconds(600), grace: .seconds(20))
        let asked = OwnLease.Asked(try wish(), deadline: bench.now + .seconds(20))
        #expect(
            bench.hear(.preempt(try Bench.lease(5), try wish())) == [
                .writeJournal, .tellAsked(try Bench.lease(5), asked),
            ])
        return bench
    }

    private static func insist(_ bench: Bench, _ ticket: String = "voice") throws -> Bench.Action {
        .say(.insist(try Bench.lease(5), TicketID(ticket), by: "local"), session: bench.machine.session)
    }

    private static func answer(_ answer: AgentMachine.InsistAnswer, _ ticket: String = "voice") throws -> Bench.Event {
        .insistAnswered(session: 1, try Bench.lease(5), TicketID(ticket), answer)
    }

    @Test func `stands, is renewed, and keeps its first deadline however often it is asked`() throws {
        var bench = try Self.asked()
        #expect(bench.hear(.preempt(try Bench.lease(5), try Self.wish()), after: .seconds(5)) == [])
        #expect(try bench.renew(5).contains(try bench.renewed(5, ttl: .seconds(600))))
        bench.hear(.preempt(try Bench.lease(5), try Self.wish("mic")), after: .seconds(5))
        #expect(bench.machine.asked(of: try Bench.lease(5))?.preemption.ticket == TicketID("mic"))
        #expect(bench.machine.asked(of: try Bench.lease(5))?.deadline == bench.now + .seconds(10))
        #expect(bench.state() == "held 5")
    }

    @Test func `ends by nothing but the word that its waiter waits still, once its grace is over`() throws {
        var bench = try Self.asked()
        #expect(!bench.handle(.clockReached, after: .seconds(19)).contains(try Self.insist(bench)))
        #expect(bench.handle(.clockReached, after: .seconds(1)).contains(try Self.insist(bench)))
        #expect(bench.state() == "held 5")
        #expect(bench.handle(try Self.answer(.failed)) == [])
        #expect(!bench.handle(.clockReached, after: .seconds(1)).contains(try Self.insist(bench)))
        #expect(bench.handle(.clockReached, after: .seconds(1)).contains(try Self.insist(bench)), "said again")
        #expect(bench.handle(try Self.answer(.ending)) == [try bench.end(5, .preempted)])
        #expect(bench.state() == "free")
    }

    @Test func `and runs something: that has a last moment to end, and then the unit is free`() throws {
        var bench = try Self.asked()
        try bench.run(5)
        bench.handle(.clockReached, after: .seconds(20))
        let stop = AgentMachine.Action.stopProcesses(
            try Bench.lease(5), Bench.process, grace: Limits.preemptedGrace)
        #expect(bench.handle(try Self.answer(.ending)) == [.writeJournal, stop])
        #expect(bench.state() == "ending 5")
        #expect(bench.handle(.processesGone(try Bench.lease(5))) == [try bench.end(5, .preempted)])
    }

    @Test func `is left alone once the waiter is gone`() throws {
        var bench = try Self.asked()
        #expect(bench.hear(.spare(try Bench.lease(5), TicketID("other"))) == [])
        #expect(
            bench.hear(.spare(try Bench.lease(5), TicketID("voice"))) == [
                .writeJournal, .tellAsked(try Bench.lease(5), nil),
            ])
        #expect(!bench.handle(.clockReached, after: .seconds(20)).contains(try Self.insist(bench)))
        bench = try Self.asked()
        bench.handle(.clockReached, after: .seconds(20))
        #expect(bench.handle(try Self.answer(.spared)).contains(.tellAsked(try Bench.lease(5), nil)))
        #expect(bench.machine.asked(of: try Bench.lease(5)) == nil)
        #expect(bench.state() == "held 5")
    }

    @Test func `stands while Redis cannot be asked`() throws {
        var bench = try Self.asked()
        bench.handle(.disconnected)
        #expect(bench.handle(.clockReached, after: .seconds(21)) == [])
        bench.connect()
        #expect(bench.state() == "held 5")
        bench.now = bench.now + AgentMachine.insistPause
        #expect(bench.handle(.clockReached).contains(try Self.insist(bench)))
    }

    @Test func `is remembered with its deadline by the next run of the agent`() throws {
        let before = try Self.asked()
        var bench = try Bench(past: .remembered(before.machine.memory), at: before.now + .seconds(8))
        bench.connect()
        #expect(bench.machine.asked(of: try Bench.lease(5))?.deadline == bench.now + .seconds(12))
    }

    @Test func `of another id, or an ended one, is not`() throws {
        var bench = try Bench.open()
        #expect(bench.hear(.preempt(try Bench.lease(5), try Self.wish())) == [])
        try bench.grant(6)
        #expect(bench.hear(.preempt(try Bench.lease(5), try Self.wish())) == [])
        #expect(bench.handle(try Self.answer(.ending)) == [bench.heartbeat], "the table tells how it is")
        #expect(bench.state() == "held 6")
    }
}
