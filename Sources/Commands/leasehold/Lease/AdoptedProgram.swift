import EventLoop
import HTTP

/// A program that ran already and is put under a lease, until it ends, the lease is lost, or a signal comes.
actor AdoptedProgram {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe surroundings.loop.asUnownedSerialExecutor() }

    private enum Outcome: Sendable {
        case gone
        case lost(LeaseKeeper.Loss)
        case interrupted(Signals.Signal)
        case refused(String)
    }

    private let process: ForeignProcess
    private let grant: Grant
    private let service: Service
    private let surroundings: Surroundings
    private let connection: AgentConnection
    private var answer: PreemptAnswer
    private var outcome: Outcome?
    private var waiting: CheckedContinuation<Outcome, Never>?
    private var isWatched = false

    init(
        _ process: ForeignProcess, grant: Grant, settings: HeldProgram.Settings, service: Service,
        surroundings: Surroundings
    ) {
        self.process = process
        self.grant = grant
        self.service = service
        self.surroundings = surroundings
        connection = AgentConnection(
            socket: settings.agentSocket, grant: grant, process: process.number, adopts: true, loop: surroundings.loop)
        answer = PreemptAnswer(
            signal: settings.onPreempt, hook: settings.hook, grant: grant, surroundings: surroundings)
    }

    func run() async throws(Failure) -> ExitCode {
        await surroundings.interruptions.listen { [weak self] signal in
            self?.assumeIsolated { $0.end(.interrupted(signal)) }
        }
        let following = surroundings.loop.spawn { await self.follow() }
        let error = surroundings.error
        let keeper = LeaseKeeper(
            grant, service: service, loop: surroundings.loop, warn: { error.line("leasehold: " + $0) },
            onWish: { [weak self] wish in self?.assumeIsolated { if !$0.isWatched { $0.wanted(wish) } } })
        let keeping = surroundings.loop.spawn { if let loss = await keeper.keep() { await self.end(.lost(loss)) } }
        let outcome = await whenOver()
        following.cancel()
        keeping.cancel()
        // By its token, so that it is given back once, also where the agent was faster.
        let failure: String? =
            if case .lost = outcome { nil } else { await LeaseKeeper.release(grant.token, service: service) }
        if let failure { error.line("leasehold: " + Texts.notGivenBack(grant.lease, failure)) }
        switch outcome {
        case .gone:
            error.line("leasehold: " + Texts.adoptedEnded(process.number))
            return .done
        case .lost(let loss):
            error.line("leasehold: " + loss.text)
            error.line("leasehold: " + Texts.adoptedLost(process.number))
            return .negative
        case .interrupted(let signal):
            error.line("leasehold: " + Texts.adoptedLeft(process.number))
            return .signalled(signal)
        case .refused(let why): throw Failure(.negative, Texts.notAdopted(process.number, why))
        }
    }

    private func whenOver() async -> Outcome {
        if let outcome { return outcome }
        return await withCheckedContinuation { waiting = $0 }
    }

    private func end(_ outcome: Outcome) {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        waiting?.resume(returning: outcome)
        waiting = nil
    }

    private func follow() async {
        let end = await connection.follow(
            while: { [process] in process.isAlive },
            onOpen: { [weak self] in self?.assumeIsolated { $0.watched() } },
            onEvent: { [weak self] event in
                self?.assumeIsolated { $0.heard(event) }
            })
        switch end {
        case .over: if !process.isAlive { self.end(.gone) }
        case .refused(let why), .unreachable(let why): self.end(.refused(why))
        }
    }

    private func watched() {
        guard !isWatched else { return }
        isWatched = true
        surroundings.error.line("leasehold: " + Texts.adopted(process.number, grant))
    }

    private func heard(_ event: ServerSentEvent) {
        if let loss = LeaseKeeper.Loss(event, of: grant.lease) { return end(.lost(loss)) }
        answer.heard(event) { process.signal($0) }
    }

    private func wanted(_ wish: PreemptWish) { answer.wanted(wish) { process.signal($0) } }
}
