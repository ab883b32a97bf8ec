import EventLoop
import LeaseModel
import Telemetry

/// `leasehold-agent` from its arguments to its exit code.
package enum AgentProgram {
    package static let version = "0.1.0"

    /// How the program ended, as its exit code says it.
    package enum Exit: Int32, Sendable { case stopped = 0, failed = 1, usage = 2, hostInUse = 3 }

    /// Runs an agent on the calling thread until a signal or an error ends it.
    ///
    /// - Parameter arguments: Without the program's name.
    package static func run(arguments: [String], environment: [String: String]) -> Exit {
        let options: AgentOptions
        if arguments.first == "join" {
            return JoinProgram.run(arguments: Array(arguments.dropFirst()), environment: environment)
        }
        let isInit = arguments.first == "init"
        do throws(AgentOptions.Invalid) {
            options = try AgentOptions(arguments: Array(arguments.dropFirst(isInit ? 1 : 0)), environment: environment)
        } catch {
            Console.write("leasehold-agent: \(error.description)\n", to: .error)
            return .usage
        }
        if options.wantsHelp {
            Console.write(AgentOptions.help)
            return .stopped
        }
        if options.wantsVersion {
            Console.write("leasehold-agent \(version)\n")
            return .stopped
        }
        do throws(LoopError) {
            let loop = try EventLoop()
            if isInit { return makeFirstState(options.settings, uptime: loop.now) }
            let run = AgentRun(options, loop: loop, environment: environment)
            run.assumeIsolated { $0.begin() }
            loop.run()
            return run.assumeIsolated { $0.exit }
        } catch {
            Console.write("leasehold-agent: \(error.description)\n", to: .error)
            return .failed
        }
    }

    private static func makeFirstState(_ settings: AgentSettings, uptime: Duration) -> Exit {
        let directory = settings.stateDirectory
        do {
            let state = try JournalFile(directory: directory).makeFirst(
                instance: InstanceID(SecureRandom.randomHex(bytes: 16)), uptime: settings.isFirstJoin ? nil : uptime,
                longestTTL: settings.longestTTL, lockDelay: settings.lockDelay)
            Console.write("leasehold-agent: \(state.description(of: directory))\n")
            return .stopped
        } catch {
            Console.write("leasehold-agent: \(error)\n", to: .error)
            return .failed
        }
    }
}

/// One run of the program: the agent, the signals, and how it ended.
private actor AgentRun {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let options: AgentOptions
    private let loop: EventLoop
    private let environment: [String: String]
    private var agent: Agent?
    private var signals: Signals?
    private var isEnding = false
    private(set) var exit = AgentProgram.Exit.stopped

    init(_ options: AgentOptions, loop: EventLoop, environment: [String: String]) {
        self.options = options
        self.loop = loop
        self.environment = environment
    }

    func begin() {
        Environment.raiseFileLimit()
        do throws(LoopError) {
            signals = try Signals(loop: loop) { [weak self] signal in self?.assumeIsolated { $0.heard(signal) } }
        } catch {
            return fail(error.description)
        }
        let loop = loop
        let log = Log(
            level: options.logLevel, format: options.logFormat, sink: { Console.write($0 + "\n", to: .error) },
            clock: { loop.wallClock })
        var search = DeviceSearchSettings(environment: environment)
        search.options = options.devices
        search.numbersPath = options.settings.stateDirectory + "/devices"
        let devices = DeviceSearch.source(of: search, on: options.settings.host, loop: loop, log: log)
        agent = Agent(settings: options.settings, loop: loop, log: log, devices: devices) { [weak self] error in
            self?.assumeIsolated { $0.end(because: error) }
        }
        loop.spawn { await self.start() }
    }

    private func start() async {
        do throws(AgentError) {
            try await agent?.start()
        } catch {
            end(because: error)
        }
    }

    private func heard(_ signal: Signals.Signal) {
        switch signal {
        case .hangUp: loop.spawn { await self.agent?.probe() }
        case .interrupt, .terminate, .quit, .kill, .user1:
            // A second signal does not wait for a Redis that does not answer.
            if isEnding { loop.stop() } else { end(because: nil) }
        }
    }

    private func fail(_ why: String) {
        Console.write("leasehold-agent: \(why)\n", to: .error)
        exit = .failed
        loop.stop()
    }

    private func end(because error: AgentError?) {
        guard !isEnding else { return }
        isEnding = true
        if let error {
            Console.write("leasehold-agent: \(error.description)\n", to: .error)
            switch error {
            case .hostInUse, .succeeded: exit = .hostInUse
            default: exit = .failed
            }
        }
        loop.spawn {
            await self.agent?.stop()
            self.loop.stop()
        }
    }
}
