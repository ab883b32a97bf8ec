import Agent
import Coordinator
import EventLoop
import LeaseModel
import RedisClient
import Settings
import Telemetry

/// `leasehold up`: everything on one machine.
enum UpCommand {
    /// - Parameter arguments: Without `leasehold up`.
    /// - Returns: the exit code.
    static func run(arguments: [String], environment: [String: String]) -> Int32 {
        let options: UpOptions
        do throws(SettingsError) {
            switch try UpOptions.table.read(arguments: arguments, environment: environment) {
            case .help:
                Console.write(UpOptions.table.help)
                return 0
            case .version:
                Console.write("leasehold \(CoordinatorProgram.version)\n")
                return 0
            case .settings(let given): options = try UpOptions(given, environment: environment)
            }
        } catch {
            Console.write("leasehold up: \(error.description)\n", to: .error)
            return 2
        }
        do throws(LoopError) {
            let loop = try EventLoop()
            let up = Up(options, loop: loop, environment: environment)
            up.assumeIsolated { $0.begin() }
            loop.run()
            return up.assumeIsolated { $0.hasFailed } ? 1 : 0
        } catch {
            Console.write("leasehold up: \(error.description)\n", to: .error)
            return 1
        }
    }
}

/// One run of `up`: owns the three parts, starts them in order and stops them in the opposite one.
private actor Up {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// Between the end of a Redis that nobody stopped and the next one's start; twice as long after each that failed.
    private static let restartPause = Duration.milliseconds(100)
    private static let longestRestartPause = Duration.seconds(5)
    /// How long the banner waits for the agent and the pool to be there.
    private static let startDeadline = Duration.seconds(20)

    private let options: UpOptions
    private let loop: EventLoop
    private let environment: [String: String]
    private let log: Log
    private var lock: FileLock?
    private var server: PrivateServer?
    private var agent: Agent?
    private var coordinator: Coordinator?
    private var signals: Signals?
    private var isEnding = false
    private(set) var hasFailed = false

    init(_ options: UpOptions, loop: EventLoop, environment: [String: String]) {
        self.options = options
        self.loop = loop
        self.environment = environment
        log = Log(
            level: options.logLevel, format: options.logFormat, sink: { Console.write($0 + "\n", to: .error) },
            clock: { loop.wallClock })
    }

    func begin() {
        Environment.raiseFileLimit()
        do throws(LoopError) {
            signals = try Signals(loop: loop) { [weak self] signal in self?.assumeIsolated { $0.heard(signal) } }
        } catch {
            return end(because: error.description)
        }
        loop.spawn { await self.start() }
    }

    private func heard(_ signal: Signals.Signal) {
        switch signal {
        case .hangUp:
            loop.spawn {
                await self.coordinator?.lookAtFiles()
                await self.agent?.probe()
            }
        case .interrupt, .terminate, .quit, .kill, .user1:
            // A second signal does not wait for clients that do not take their answers.
            if isEnding { loop.stop() } else { end(because: nil) }
        }
    }

    // MARK: Start

    private func start() async {
        do {
            try takeState()
            let redis = try await startRedis()
            try await startCoordinator(redis)
            try await startAgent(redis)
        } catch {
            return end(because: "\(error)")
        }
        await waitUntilServing()
        if !isEnding { await greet() }
    }

    private func takeState() throws {
        let directory = options.stateDirectory
        do throws(LoopError) {
            try Files.makeDirectory(directory)
        } catch {
            throw SettingsError(Texts.noState(directory, error.description))
        }
        let owner = directory + "/up.pid"
        guard let lock = try FileLock.take(directory + "/up.lock") else {
            let process = (try? Files.read(owner, limit: 32)).map { String(decoding: $0, as: UTF8.self) } ?? "unknown"
            throw SettingsError(Texts.upTwice(directory, process))
        }
        self.lock = lock
        try Files.replace(owner, with: Array(String(Environment.processID).utf8))
    }

    private func startRedis() async throws -> RedisEndpoint {
        if let redis = options.redis { return redis }
        let server: PrivateServer
        do {
            server = try await startPrivate()
        } catch {
            guard setUnreadableFileAside() else { throw error }
            server = try await startPrivate()
        }
        server.onExit = { [weak self] exit in self?.assumeIsolated { $0.redisEnded(exit) } }
        self.server = server
        return server.endpoint
    }

    private func startPrivate() async throws -> PrivateServer {
        try await PrivateServer.start(
            loop: loop, directory: options.stateDirectory + "/redis", durability: options.durability, log: log)
    }

    /// Redis may forget everything, but not refuse to start: a file that it cannot read is kept under another name.
    /// False where that was not the reason.
    private func setUnreadableFileAside() -> Bool {
        let directory = options.stateDirectory + "/redis"
        let file = directory + "/appendonlydir"
        guard let said = try? Files.read(directory + "/redis.log"), Files.exists(file),
            String(decoding: said.suffix(4096), as: UTF8.self).contains("Bad file format reading the append only file")
        else { return false }
        let aside = "\(file).unreadable-\(loop.wallClock.components.seconds)"
        do throws(LoopError) {
            try Files.move(file, to: aside)
        } catch {
            return false
        }
        log.error("redis_file_set_aside", ["path": .text(aside)])
        return true
    }

    /// Agent and coordinator connect again by themselves: the next server has the same socket.
    private func redisEnded(_ exit: ChildExit) {
        guard !isEnding else { return }
        server = nil
        log.error("redis_server_ended", ["how": .text("\(exit)")])
        loop.spawn { await self.restartRedis() }
    }

    private func restartRedis() async {
        var pause = Self.restartPause
        while !isEnding, server == nil {
            await loop.sleep(for: pause)
            pause = min(pause * 2, Self.longestRestartPause)
            do {
                _ = try await startRedis()
                log.warning("redis_server_restarted")
            } catch {
                log.error("redis_server_failed", ["why": .text("\(error)")])
            }
        }
        if isEnding { await server?.stop() }
    }

    private func startCoordinator(_ redis: RedisEndpoint) async throws {
        var settings = options.coordinator
        settings.redis = redis
        settings.ownHost = options.host
        let coordinator = Coordinator(settings: settings, loop: loop, log: log) { [weak self] error in
            self?.assumeIsolated { $0.end(because: error.description) }
        }
        self.coordinator = coordinator
        try await coordinator.start()
    }

    private func startAgent(_ redis: RedisEndpoint) async throws {
        var settings = AgentSettings(
            redis: redis, host: options.host, stateDirectory: options.stateDirectory + "/agent",
            version: AgentProgram.version)
        // Made no earlier: where a start has failed before it, the directory has still held nothing.
        settings.isFirstJoin = try Files.makeDirectory(settings.stateDirectory)
        settings.labels = options.labels
        // Where a `leasehold run` of this machine finds it, wherever the state lies.
        settings.address = "unix://" + Agent.socketPath(in: settings.stateDirectory)
        settings.longestTTL = options.coordinator.longestTTL
        var search = DeviceSearchSettings(environment: environment)
        search.options = options.devices
        search.numbersPath = settings.stateDirectory + "/devices"
        let devices = DeviceSearch.source(of: search, on: options.host, loop: loop, log: log)
        let agent = Agent(settings: settings, loop: loop, log: log, devices: devices) { [weak self] error in
            self?.assumeIsolated { $0.end(because: error.description) }
        }
        self.agent = agent
        try await agent.start()
    }

    private func waitUntilServing() async {
        let end = loop.now + Self.startDeadline
        while loop.now < end, !isEnding {
            // Status shows the GPUs a moment after the agent has told of them.
            if await agent?.isRegistered == true, await coordinator?.isReady == true { return }
            await loop.sleep(for: .milliseconds(5))
        }
    }

    private func greet() async {
        let banner = Banner(
            version: CoordinatorProgram.version, urls: await coordinator?.urls ?? [], host: options.host,
            units: await agent?.devices ?? [], state: options.stateDirectory,
            redis: server.map { "a private one, process \($0.processID)" } ?? options.redis?.description ?? "")
        Console.write(banner.text)
    }

    // MARK: End

    private func end(because why: String?) {
        guard !isEnding else { return }
        isEnding = true
        if let why {
            Console.write("leasehold up: \(why)\n", to: .error)
            hasFailed = true
        }
        loop.spawn {
            await self.stop()
            self.loop.stop()
        }
    }

    private func stop() async {
        await coordinator?.stop()
        await agent?.stop()
        await server?.stop()
        lock = nil
    }
}
