import EventLoop
import LeaseModel
import Settings
import Telemetry

/// `leasehold-coordinator` from its arguments to its exit code.
package enum CoordinatorProgram {
    package static let version = "0.1.0"

    /// How the program ended, as its exit code says it.
    package enum Exit: Int32, Sendable { case stopped = 0, failed = 1, usage = 2 }

    /// Runs a coordinator on the calling thread until a signal or an error ends it.
    ///
    /// - Parameter arguments: Without the program's name.
    package static func run(arguments: [String], environment: [String: String]) -> Exit {
        let options: CoordinatorOptions
        do {
            let path = CoordinatorOptions.table.peek(
                CoordinatorOptions.config, arguments: arguments, environment: environment)
            let file = try path.map { path in try ConfigurationFile(Self.text(of: path), path: path) }
            switch try CoordinatorOptions.table.read(arguments: arguments, environment: environment, file: file) {
            case .help:
                Console.write(CoordinatorOptions.table.help)
                return .stopped
            case .version:
                Console.write("leasehold-coordinator \(version)\n")
                return .stopped
            case .settings(let given):
                options = try CoordinatorOptions(given, environment: environment, version: version)
            }
        } catch {
            Console.write("leasehold-coordinator: \(error)\n", to: .error)
            return .usage
        }
        do throws(LoopError) {
            let loop = try EventLoop()
            let run = CoordinatorRun(options, loop: loop)
            run.assumeIsolated { $0.begin() }
            loop.run()
            return run.assumeIsolated { $0.exit }
        } catch {
            Console.write("leasehold-coordinator: \(error.description)\n", to: .error)
            return .failed
        }
    }

    private static func text(of path: String) throws(SettingsError) -> String {
        do throws(LoopError) {
            return String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
        } catch {
            throw SettingsError(
                "--config: \(path) cannot be read (\(error.description)). Name a file that this user can read.")
        }
    }
}

/// One run of the program: the coordinator, the signals, and how it ended.
private actor CoordinatorRun {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let options: CoordinatorOptions
    private let loop: EventLoop
    private var coordinator: Coordinator?
    private var signals: Signals?
    private var isEnding = false
    private(set) var exit = CoordinatorProgram.Exit.stopped

    init(_ options: CoordinatorOptions, loop: EventLoop) {
        self.options = options
        self.loop = loop
    }

    func begin() {
        Environment.raiseFileLimit()
        let loop = loop
        let log = Log(
            level: options.logLevel, format: options.logFormat, sink: { Console.write($0 + "\n", to: .error) },
            clock: { loop.wallClock })
        do throws(LoopError) {
            signals = try Signals(loop: loop) { [weak self] signal in self?.assumeIsolated { $0.heard(signal) } }
        } catch {
            Console.write("leasehold-coordinator: \(error.description)\n", to: .error)
            exit = .failed
            return loop.stop()
        }
        coordinator = Coordinator(settings: options.settings, loop: loop, log: log) { [weak self] error in
            self?.assumeIsolated { $0.end(because: error) }
        }
        loop.spawn { await self.start() }
    }

    private func start() async {
        do throws(CoordinatorError) {
            try await coordinator?.start()
        } catch {
            end(because: error)
        }
    }

    private func heard(_ signal: Signals.Signal) {
        switch signal {
        case .hangUp: loop.spawn { await self.coordinator?.lookAtFiles() }
        case .user1: break
        case .interrupt, .terminate, .quit, .kill:
            // A second signal does not wait for clients that do not take their answers.
            if isEnding { loop.stop() } else { end(because: nil) }
        }
    }

    private func end(because error: CoordinatorError?) {
        guard !isEnding else { return }
        isEnding = true
        if let error {
            Console.write("leasehold-coordinator: \(error.description)\n", to: .error)
            exit = .failed
        }
        loop.spawn {
            await self.coordinator?.stop()
            self.loop.stop()
        }
    }
}
