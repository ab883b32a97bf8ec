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
    }

    private let command: [String]
    private let grant: Grant
    private let settings: Settings
    private let service: Service
    private let surroundings: Surroundings
    private let keeper: LeaseKeeper
    private var child: ChildProcess?
    private var foreground: TerminalForeground?
    private var killTimer: LoopTimer?
    private var isLost = false

    /// What the children of a program that has ended get to end as well.
    private static let leftoverGrace = Duration.seconds(5)

    init(_ command: [String], grant: Grant, settings: Settings, service: Service, surroundings: Surroundings) {
        self.command = command
        self.grant = grant
        self.settings = settings
        self.service = service
        self.surroundings = surroundings
        let error = surroundings.error
        // Where nobody else ends the program, it has to be gone before the unit may be another's.
        let margin = settings.onLost == .kill ? min(settings.grace, grant.ttl / 3) : .zero
        keeper = LeaseKeeper(grant, service: service, loop: surroundings.loop, margin: margin) {
            error.line("leasehold: " + $0)
        }
    }

    /// The variables that a program under this lease finds beside those of this process.
    static func variables(of grant: Grant) -> [String: String] {
        var variables = grant.variables
        variables["LEASEHOLD_LEASE"] = grant.lease
        variables["LEASEHOLD_UNIT"] = grant.unit
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
        let registering = surroundings.loop.spawn { await self.tellAgent(child.processID) }
        let keeping = surroundings.loop.spawn {
            if let loss = await self.keeper.keep() { await self.lost(loss) }
        }
        let result = await child.finish()
        foreground?.end(result.exit)
        foreground = nil
        await endLeftovers(of: child.processID)
        killTimer?.disarm()
        keeping.cancel()
        registering.cancel()
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

    /// Tells the agent which process runs under the lease, so that it ends with it also when this program is killed.
    private func tellAgent(_ process: Int32) async {
        let agent = HTTPClient(loop: surroundings.loop)
        defer { agent.close() }
        let body: JSONObject = ["token": .string(grant.token.revealed), "pid": .integer(Int64(process))]
        do throws(HTTPError) {
            let response = try await agent.send(
                .post, "/v1/agent/processes", to: .unix(path: settings.agentSocket),
                body: JSONValue.object(body).encoded(), timeout: .seconds(5))
            // One that has ended and is not reaped yet shows no environment any more: nobody needs to watch it.
            guard response.status != 200, ProcessGroup.startTicks(ofProcess: process) != nil else { return }
            let message = (try? JSONParser.parse(response.body))?.object?.text("msg") ?? "status \(response.status)"
            surroundings.error.line("leasehold: " + Texts.agentRefused(message))
        } catch {
            guard error.kind != .cancelled, child?.isRunning == true else { return }
            surroundings.error.line("leasehold: " + Texts.agentNotTold(error.message))
        }
    }

    // MARK: While it runs

    private func forward(_ signal: Signals.Signal) { child?.signal(signal) }

    private func changed(_ change: TerminalForeground.Change) {
        switch change {
        case .stopping: surroundings.error.line("leasehold: " + Texts.stopping(grant.ttl))
        case .goesOn:
            surroundings.loop.spawn {
                if let loss = await self.keeper.renewNow() { await self.lost(loss) }
            }
        }
    }

    private func lost(_ loss: LeaseKeeper.Loss) {
        guard !isLost, let child, child.isRunning else { return }
        isLost = true
        surroundings.error.line("leasehold: " + loss.text)
        guard settings.onLost == .kill else { return }
        let grace = min(settings.grace, loss.unitIsOurs)
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
            guard surroundings.loop.now < end else {
                ProcessGroup.signal(group, .kill)
                return
            }
            await surroundings.loop.sleep(for: .milliseconds(50))
        }
    }

    private func giveBack() async {
        guard !isLost, let why = await LeaseKeeper.release(grant.token, service: service) else { return }
        surroundings.error.line("leasehold: " + Texts.notGivenBack(grant.lease, why))
    }
}
