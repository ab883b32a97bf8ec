import Testing

@testable import HTTP

@Suite struct ConnectionMachineTests {
    private let limits = HTTPLimits()

    private func machine(at now: Duration = .zero) -> ConnectionMachine { ConnectionMachine(limits: limits, at: now) }

    private func answering(keepsAlive: Bool = true) -> ConnectionMachine {
        var machine = machine()
        machine.requestCame(keepsAlive: keepsAlive)
        return machine
    }

    @Test func `a request's deadline counts from its first byte and does not move`() {
        var machine = machine()
        machine.requestBegan(at: .seconds(3))
        #expect(machine.deadline == .seconds(13))
        machine.requestBegan(at: .seconds(9))
        #expect(machine.deadline == .seconds(13))
        #expect(machine.timeUp(at: .seconds(12)) == .wait)
        #expect(machine.timeUp(at: .seconds(13)) == .refuse(.tooSlow))
    }

    @Test func `a connection on which nothing comes is closed without a word`() {
        #expect(machine(at: .seconds(5)).timeUp(at: .seconds(14)) == .wait)
        #expect(machine(at: .seconds(5)).timeUp(at: .seconds(15)) == .close)
    }

    @Test func `no deadline hurries the handler`() {
        var machine = answering()
        #expect(machine.deadline == nil)
        #expect(machine.timeUp(at: .seconds(100_000)) == .wait)
        machine.streamBegan()
        #expect(machine.timeUp(at: .seconds(100_000)) == .wait)
    }

    @Test func `after an answer the next request is read, or the connection ends`() {
        var kept = answering()
        #expect(kept.answered(isSent: true, at: .seconds(1)) == .readNext)
        #expect(kept.stage == .waiting)
        #expect(kept.deadline == .seconds(1) + limits.idleTimeout)
        var last = answering(keepsAlive: false)
        #expect(last.answered(isSent: true, at: .seconds(1)) == .linger)
        #expect(last.timeUp(at: .seconds(1) + limits.lingerDeadline) == .close)
        var ended = answering()
        ended.endsAfterAnswer()
        #expect(ended.answered(isSent: true, at: .zero) == .linger)
    }

    @Test func `the next request waits until the answer before it is sent`() {
        var machine = answering()
        #expect(machine.answered(isSent: false, at: .zero) == .wait)
        #expect(machine.stage == .draining)
        #expect(machine.timeUp(at: limits.drainDeadline) == .giveUp)
        #expect(machine.drained(at: .zero) == .readNext)
    }

    @Test func `a stream that has drained goes on`() {
        var machine = answering()
        machine.streamBegan()
        #expect(machine.drained(at: .zero) == .wait)
        #expect(machine.stage == .streaming)
    }

    @Test func `a refusal is the connection's last answer`() {
        var machine = machine()
        machine.requestBegan(at: .zero)
        machine.refused()
        #expect(machine.isLast)
        #expect(machine.answered(isSent: true, at: .zero) == .linger)
    }

    @Test func `a peer that closes is told to a handler that owes an answer, and to nobody else`() {
        #expect(machine().peerClosed() == .close)
        var machine = machine()
        machine.requestBegan(at: .zero)
        #expect(machine.peerClosed() == .close)
        machine.requestCame(keepsAlive: true)
        #expect(machine.peerClosed() == .giveUp)
        machine.streamBegan()
        #expect(machine.peerClosed() == .giveUp)
        _ = machine.answered(isSent: false, at: .zero)
        #expect(machine.peerClosed() == .giveUp)
        machine.endsAfterAnswer()
        _ = machine.drained(at: .zero)
        #expect(machine.peerClosed() == .close)
        machine.closed()
        #expect(machine.peerClosed() == .wait)
    }

    @Test func `a server that closes answers whoever has begun`() {
        #expect(machine().serverCloses() == .close)
        var machine = machine()
        machine.requestBegan(at: .zero)
        #expect(machine.serverCloses() == .refuse(.shuttingDown))
        machine.requestCame(keepsAlive: true)
        #expect(machine.serverCloses() == .refuse(.shuttingDown))
        machine.streamBegan()
        #expect(machine.serverCloses() == .giveUp)
        machine.closed()
        #expect(machine.serverCloses() == .wait)
    }
}
