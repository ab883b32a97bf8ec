import EventLoop
import HTTP
import JSON

/// A program that runs under a lease, from its start to the giving back.
actor HeldProgram {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe surroundings.loop.asUnownedSerialExecutor() }

    struct Settings: Sendable {
        let agentSocket: String
        let grace: Duration
        let onLost: RunOptions.OnLost
        let onPreempt: RunOptions.OnPreempt
        let hook: PreemptHook?
    }

    private let command: [String]
    private let grant: Grant
    private let settings: Settings
    private let service: Service
    private let surroundings: Surroundings
    private var keeper: LeaseKeeper?
    private var child: ChildProcess?
    private var foreground: TerminalForeground?
    private var killTimer: LoopTimer?
    private var isLost = false
    /// From when on the unit may be another's: nothing of the program may live then. Nil while the lease stands.
    private var goneBy: Duration?
    /// The agent has taken notice of the program.
    private var isWatched = false
    private var answer: PreemptAnswer

    /// What the children of a program that has ended get to end as well.
    private static let leftoverGrace = Duration.seconds(5)
    /// How long a busy machine may take to send SIGKILL, and a process to be gone after it.
    private var killLead: Duration { min(.milliseconds(100), grant.ttl / 12) }

    init(_ command: [String], grant: Grant, settings: Settings, service: Service, surroundings: Surroundings) {
        self.command = command
        self.grant = grant
        self.settings = settings
        self.service = service
        self.surroundings = surroundings
        answer = PreemptAnswer(
            signal: settings.onPreempt, hook: settings.hook, grant: grant, surroundings: surroundings)
    }

    private func makeKeeper() -> LeaseKeeper {
        let error = surroundings.error
        // Where nobody else ends the program, it has to be gone before the unit may be another's.
        let margin = settings.onLost == .kill ? min(settings.grace + killLead, grant.ttl / 3) : .zero
        return LeaseKeeper(
            grant, service: service, loop: surroundings.loop, margin: margin, warn: { error.line("leasehold: " + $0) },
            onWish: { [weak self] wish in self?.assumeIsolated { if !$0.isWatched { $0.wanted(wish) } } })
    }

    /// The variables that a program under this lease finds beside those of this process.
    static func variables(of grant: Grant) -> [String: String] {
        var variables = grant.variables
        variables["LEASEHOLD_LEASE"] = grant.lease
        variables["LEASEHOLD_UNIT"] = grant.unit
        variables["LEASEHOLD_UNITS"] = grant.units.joined(separator: " ")
        variables["LEASEHOLD_HOLDER"] = grant.holder
        variables["LEASEHOLD_FENCING_TOKEN"] = String(grant.fencingToken)
        return variables
    }

    func run() async throws(Failure) -> ExitCode {
        let child: ChildProcess
        do throws(Failure) {
            child = try start()
        } catch {
            _ = await LeaseKeeper.release(grant.token, service: service)
            throw error
        }
        await surroundings.interruptions.listen { [weak self] signal in self?.assumeIsolated { $0.forward(signal) } }
        let keeper = makeKeeper()
        self.keeper = keeper
        let following = surroundings.loop.spawn { await self.followAgent(child.processID) }
        let keeping = surroundings.loop.spawn {
            if let loss = await keeper.keep() { await self.lost(loss) }
        }
        let result = await child.finish()
        foreground?.end(result.exit)
        foreground = nil
        await endLeftovers(of: child.processID)
        killTimer?.disarm()
        keeping.cancel()
        following.cancel()
        await giveBack()
        switch result.exit {
        case .exited(let code): return .code(code)
        case .signalled(let signal): return .code(128 + signal)
        }
    }

    // MARK: Start

    private func start() throws(Failure) -> ChildProcess {
        var child = ChildCommand(command)
        var variables = surroundings.environment
        variables["LEASEHOLD_LEASE_TOKEN"] = nil  // of another lease, if any
        for (name, value) in Self.variables(of: grant) { variables[name] = value }
        child.environment = variables
        child.input = .inherited
        child.output = .inherited
        child.errorOutput = .inherited
        let terminal = TerminalForeground.terminal
        child.group = terminal.map { .ownInForeground(terminal: $0) } ?? .own
        do throws(LoopError) {
            let started = try ChildProcess.start(child, on: surroundings.loop)
            self.child = started
            if let terminal {
                foreground = try TerminalForeground(terminal: terminal, child: started, loop: surroundings.loop) {
                    [weak self] change in self?.assumeIsolated { $0.changed(change) }
                }
            }
            return started
        } catch {
            if let terminal { TerminalForeground.takeBack(terminal) }
            self.child?.signal(.kill)
            throw Failure(.code(126), Texts.cannotStart(command[0], error.description))
        }
    }

    private func followAgent(_ process: Int32) async {
        guard settings.onLost == .kill else { return }
        let connection = AgentConnection(
            socket: settings.agentSocket, grant: grant, process: process, loop: surroundings.loop)
        let end = await connection.follow(
            while: { await self.isRunning(process) },
            onOpen: { [weak self] in self?.assumeIsolated { $0.isWatched = true } },
            onEvent: { [weak self] event in
                self?.assumeIsolated { $0.heard(event) }
            })
        switch end {
        case .over: break
        case .refused(let why): surroundings.error.line("leasehold: " + Texts.agentRefused(why))
        case .unreachable(let why): surroundings.error.line("leasehold: " + Texts.agentNotTold(why))
        }
    }

    /// False also for one that has ended and is not reaped yet: nobody needs to watch it, and the agent sees no
    /// environment of it any more.
    private func isRunning(_ process: Int32) -> Bool {
        child?.isRunning == true && ProcessGroup.startTicks(ofProcess: process) != nil
    }

    // MARK: While it runs

    private func forward(_ signal: Signals.Signal) { child?.signal(signal) }

    private func changed(_ change: TerminalForeground.Change) {
        switch change {
        case .stopping: surroundings.error.line("leasehold: " + Texts.stopping(grant.ttl))
        case .goesOn:
            surroundings.loop.spawn {
                if let loss = await self.keeper?.renewNow() { await self.lost(loss) }
            }
        }
    }

    private func heard(_ event: ServerSentEvent) {
        if let loss = LeaseKeeper.Loss(event, of: grant.lease) { return lost(loss) }
        answer.heard(event) { send($0) }
    }

    private func wanted(_ wish: PreemptWish) {
        guard !isLost, child?.isRunning == true else { return }
        answer.wanted(wish) { send($0) }
    }

    private func send(_ signal: Signals.Signal) {
        guard !isLost, let child else { return }
        child.signal(signal)
        ProcessGroup.continue(child.processID)
    }

    private func lost(_ loss: LeaseKeeper.Loss) {
        guard !isLost, let child else { return }
        isLost = true
        surroundings.error.line("leasehold: " + loss.text)
        guard settings.onLost == .kill else { return }
        let left = max(.zero, loss.unitIsOurs - killLead)
        goneBy = surroundings.loop.now + left
        guard child.isRunning else { return }  // what it left behind is being ended
        let grace = min(settings.grace, left)
        surroundings.error.line("leasehold: " + Texts.ending(grace))
        child.signal(.terminate)
        ProcessGroup.continue(child.processID)
        let timer = surroundings.loop.timer { [weak child] in child?.signal(.kill) }
        killTimer = timer
        timer.arm(after: grace)
    }

    // MARK: End

    /// What the program has left behind in its group uses the GPU still.
    private func endLeftovers(of group: Int32) async {
        guard ProcessGroup.hasLivingMember(group), settings.onLost == .kill else { return }
        if !isLost { surroundings.error.line("leasehold: " + Texts.leftovers) }
        ProcessGroup.signal(group, .terminate)
        let end = surroundings.loop.now + min(settings.grace, Self.leftoverGrace)
        while ProcessGroup.hasLivingMember(group) {
            let left = min(end, goneBy ?? end) - surroundings.loop.now
            guard left > .zero else {
                ProcessGroup.signal(group, .kill)
                return
            }
            await surroundings.loop.sleep(for: min(left, .milliseconds(50)))
        }
    }

    private func giveBack() async {
        guard !isLost, let why = await LeaseKeeper.release(grant.token, service: service) else { return }
        surroundings.error.line("leasehold: " + Texts.notGivenBack(grant.lease, why))
    }
}
