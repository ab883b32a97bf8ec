import EventLoop
import Glibc
import HTTP
import JSON
import RedisClient
import Telemetry

/// All programs of a run, each a process, with a relay wherever one of them talks to another.
actor World {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// One program: what it is started with, and the process it is just now.
    final class Program {
        let name: String
        var command: ChildCommand
        var child: ChildProcess?
        /// Whether it is started again when it ends.
        var isWanted = true
        /// Whether a fault holds it down; then it starts again when that is over.
        var isHeldDown = false
        var isStopped = false
        /// It was asked to end.
        var isAsked = false
        /// A fault has just ended it.
        var isKilled = false
        var starts = 0

        init(_ name: String, _ command: ChildCommand) {
            self.name = name
            self.command = command
        }
    }

    let loop: EventLoop
    let directory: String
    let plan: Plan
    let history: History
    private(set) var programs: [String: Program] = [:]
    private(set) var relays: [String: Relay] = [:]
    /// Redis has thrown records away, so that others may have lost what they belong to.
    private(set) var hasEvicted = false
    private(set) var crashes: [String] = []
    /// What Redis has, past all cuts.
    let watch: RedisWatch
    private var device: GuardedDevice?
    private var mounts: [String] = []
    /// Of `FakeClock`.
    var clockLibrary: String?
    private var isEnding = false

    init(_ plan: Plan, directory: String, loop: EventLoop) throws {
        self.plan = plan
        self.loop = loop
        self.directory = directory
        history = try History("\(directory)/history/tool")
        let doors = plan.redisServers.map { Self.door($0, plan, directory, loop) }
        watch = RedisWatch(doors, pool: "default", history: history, loop: loop)
    }

    // MARK: Starting

    func begin() async throws {
        try plan.network?.build()
        clockLibrary = try FakeClock.prepare(in: directory)
        if plan.network == nil { try startRedis() } else { try await startRedisServers() }
        await watch.begin()
        for index in 0..<plan.coordinators { try startCoordinator(index) }
        for index in 0..<plan.agents { try startAgent(index) }
        let device = GuardedDevice(loop: loop, history: history, agents: agentDoors)
        try device.listen("\(directory)/device.sock")
        self.device = device
        try await isServing(within: .seconds(15))
        for index in 0..<plan.workers { try startWorker(index) }
    }

    private func startRedis() throws {
        try Files.makeDirectory(redisDirectory("redis"))
        let environment = try clockLibrary.map { try FakeClock.environment($0, in: directory, by: .zero) }
        let arguments = [
            "redis-server", "--unixsocket", socket("redis"), "--unixsocketperm", "700", "--save", "", "--appendonly",
            "yes", "--appendfsync", "everysec", "--dir", redisDirectory("redis"), "--maxmemory-policy", "noeviction",
            "--aof-load-truncated", "yes", "--loglevel", "warning", "--port", "0",
        ]
        try start("redis", arguments, environment: environment)
    }

    /// Stands for every password of a run.
    static let secret = "a-password-of-this-run"

    /// Where a program finds Redis.
    private func redisURL(for name: String) throws -> String {
        if plan.network != nil { return sentinelURL }
        return "unix://" + (try relay("\(name)-redis", to: socket("redis")))
    }

    /// Where this process asks a Redis server or sentinel, past all relays and cuts.
    nonisolated func door(_ name: String) -> RedisDoor { Self.door(name, plan, directory, loop) }

    private static func door(_ name: String, _ plan: Plan, _ directory: String, _ loop: EventLoop) -> RedisDoor {
        let isOpen = plan.network == nil || name.hasPrefix("s")
        return RedisDoor(
            name: name, path: "\(directory)/\(name).sock", password: isOpen ? nil : secret, loop: loop)
    }

    private func startCoordinator(_ index: Int) throws {
        let name = "c\(index)"
        var arguments = [
            "\(plan.programs)/leasehold-coordinator", "--redis", try redisURL(for: name), "--listen",
            "unix:\(directory)/\(name).sock", "--max-ttl", "\(plan.longestTTL.inSeconds)", "--log-level", "info",
        ]
        if plan.network != nil {
            let tokens = "\(directory)/tokens"
            let line = "fleet roles=client,operator,admin sha256=\(Digest.sha256Hex(Self.secret))\n"
            try Files.replace(tokens, with: Array(line.utf8))
            arguments += ["--listen", "\(Network.address(plan.place(of: name))):8080", "--tokens", tokens]
        }
        try start(
            name, arguments, environment: try skewed(name, by: index.isMultiple(of: 2) ? .seconds(600) : .seconds(-600))
        )
    }

    /// The environment of a program whose wall clock is off; nil where there is no C compiler.
    func skewed(_ name: String, by skew: Duration) throws -> [String: String]? {
        guard let library = clockLibrary else { return nil }
        let room = clockDirectory(name)
        try Files.makeDirectory(room)
        return try FakeClock.environment(library, in: room, by: skew)
    }

    private func startAgent(_ index: Int) throws {
        let name = "a\(index)"
        let link = try redisURL(for: name)
        let state = stateDirectory(of: name)
        try Files.makeDirectory(state)
        if plan.isRoot {
            // Small enough to be filled in an instant.
            let mounted = try Shell.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", state])
            if mounted { mounts.append(state) }
        }
        try start(
            name, agentCommand(index, state: state, link: link) + ["--first-join"], environment: try probed(index))
        programs[name]?.command.arguments.removeAll { $0 == "--first-join" }
    }

    /// The command line of the agent of this number.
    func agentCommand(_ index: Int, state: String, link: String) -> [String] {
        let devices =
            index == plan.probedAgent
            ? ["--probe", "\(directory)/probe", "--probe-timeout", "0.5", "--probe-interval", "2"]
            : ["--simulate", "\(plan.unitsAHost)"]
        return [
            "\(plan.programs)/leasehold-agent", "--redis", link, "--host-id", plan.host(index),
            "--state-dir", state, "--lock-delay", "\(plan.lockDelay.inSeconds)", "--max-ttl",
            "\(plan.longestTTL.inSeconds)", "--max-grace", "0.2", "--log-level", "info",
        ] + devices
    }

    /// The agent of which devices are probed finds them by a script that can be made to hang.
    func probed(_ index: Int) throws -> [String: String]? {
        guard index == plan.probedAgent else { return nil }
        let driver = "\(directory)/driver.json"
        try Files.replace(driver, with: Array(#"{"ICD": {"library_path": "none.so", "api_version": "1.3.0"}}"#.utf8))
        var devices: [JSONValue] = []
        for number in 0..<plan.unitsAHost {
            devices.append([
                "name": .string("fake \(number)"), "type": "discrete", "vendor_id": 1, "device_id": 1,
                "device_uuid": .string("00000000-0000-0000-0000-00000000000\(number)"), "driver_uuid": "",
                "driver_name": "fake", "pci": .string("0000:0\(number + 1):00.0"),
                "heaps": [["bytes": 8_000_000_000, "device_local": true]],
            ])
        }
        let document = String(decoding: JSONValue.object(["devices": .array(devices)]).encoded(), as: UTF8.self)
        let script = """
            #!/bin/sh
            [ -e \(directory)/hang ] && exec sleep 100
            echo '\(document)'
            """
        try Files.replace("\(directory)/probe", with: Array(script.utf8), mode: 0o700)
        var environment = Environment.all
        environment["VK_DRIVER_FILES"] = driver
        return environment
    }

    private func startWorker(_ index: Int) throws {
        let name = "w\(index)"
        var doors: [String] = []
        for coordinator in 0..<plan.coordinators {
            if plan.network != nil {
                doors.append("http://\(Network.address(plan.place(of: "c\(coordinator)"))):8080")
            } else {
                let upstream = "\(directory)/c\(coordinator).sock"
                doors.append("unix://" + (try relay("\(name)-c\(coordinator)", to: upstream)))
            }
        }
        var seeds = RandomSeeds(plan.seed &+ UInt64(index) &* 7919)
        try start(name, workerCommand(index, doors, seed: seeds.next()))
    }

    private func workerCommand(_ index: Int, _ doors: [String], seed: UInt64) -> [String] {
        [
            plan.program, "client", "--name", "w\(index)", "--history", "\(directory)/history/w\(index)",
            "--coordinators", doors.joined(separator: ","), "--seed", "\(seed % 1_000_000_007)", "--hosts",
            (0..<plan.agents).map(plan.host).joined(separator: ","), "--units", "\(plan.unitsAHost)", "--device",
            "unix://\(directory)/device.sock", "--longest-ttl", "\(plan.clientTTL.microseconds / 1000)", "--clients",
            "\(plan.clientsAWorker)",
        ] + (plan.network == nil ? [] : ["--token", Self.secret])
    }

    // MARK: Programs

    func start(_ name: String, _ arguments: [String], environment: [String: String]? = nil) throws {
        let entering = plan.network == nil ? [] : Network.entering(plan.place(of: name))
        var command = ChildCommand(entering + arguments)
        command.environment = environment
        command.output = .file("\(directory)/logs/\(name)")
        command.errorOutput = .file("\(directory)/logs/\(name)")
        command.diesWithParent = .kill
        let program = Program(name, command)
        programs[name] = program
        try launch(program)
    }

    private func launch(_ program: Program) throws {
        program.isKilled = false
        program.isAsked = false
        program.isStopped = false
        program.starts += 1
        if program.name.hasPrefix("w"), program.starts > 1 { renew(program) }
        history.note("start", ["p": .string(program.name)])
        let child = try ChildProcess.start(program.command, on: loop)
        program.child = child
        let name = program.name
        child.whenFinished { result in self.assumeIsolated { $0.ended(name, child, result.exit) } }
    }

    /// A worker that starts again is another program: its clients have other names.
    private func renew(_ program: Program) {
        for (index, word) in program.command.arguments.enumerated() where word == "--name" {
            program.command.arguments[index + 1] = "\(program.name)x\(program.starts)"
        }
    }

    private func ended(_ name: String, _ child: ChildProcess, _ exit: ChildExit) {
        guard let program = programs[name], program.child === child else { return }
        program.child = nil
        history.note("exit", ["p": .string(name), "how": .string("\(exit)"), "killed": .bool(program.isKilled)])
        switch exit {
        case .exited(0), .exited(1), .exited(3): break
        case .signalled(SIGTERM) where program.isAsked: break  // before it listened to signals
        case _ where program.isKilled: break
        case .exited, .signalled: crashes.append("\(name) \(exit)")
        }
        guard program.isWanted, !program.isHeldDown, !isEnding else { return }
        let timer = loop.timer { self.assumeIsolated { $0.launchAgain(name) } }
        timer.arm(after: .milliseconds(300))
    }

    private func launchAgain(_ name: String) {
        guard let program = programs[name], program.child == nil, program.isWanted, !program.isHeldDown, !isEnding
        else {
            return
        }
        do { try launch(program) } catch { crashes.append("\(name) cannot be started: \(error)") }
    }

    /// Ends a program at once, as the kernel would that has no memory left; it starts again unless it is held down.
    func kill(_ name: String, holdDown: Bool = false) {
        guard let program = programs[name] else { return }
        program.isHeldDown = holdDown
        program.isKilled = true
        history.note("kill", ["p": .string(name)])
        program.child?.signal(.kill)
    }

    /// Does not start a program again that ends; ends it where it runs.
    func holdDown(_ name: String) {
        programs[name]?.isHeldDown = true
        if programs[name]?.child != nil { kill(name, holdDown: true) }
    }

    /// Lets a program that was held down start again.
    func letGo(_ name: String) {
        programs[name]?.isHeldDown = false
        launchAgain(name)
    }

    /// Asks a program to end, as a supervisor does; it starts again.
    func terminate(_ name: String) {
        history.note("terminate", ["p": .string(name)])
        programs[name]?.isAsked = true
        programs[name]?.child?.signal(.terminate)
    }

    func hangUp(_ name: String) { programs[name]?.child?.signal(.hangUp) }

    func stop(_ name: String) {
        guard let program = programs[name], let child = program.child, child.isRunning else { return }
        program.isStopped = true
        Glibc.kill(child.processID, SIGSTOP)
    }

    func goOn(_ name: String) {
        guard let program = programs[name] else { return }
        program.isStopped = false
        if let child = program.child, child.isRunning { Glibc.kill(child.processID, SIGCONT) }
    }

    func processID(of name: String) -> Int32? { programs[name]?.child?.processID }

    func evicts() { hasEvicted = true }

    func retire(_ name: String) { programs[name]?.isWanted = false }

    // MARK: Relays

    private func relay(_ name: String, to upstream: String) throws -> String {
        let path = "\(directory)/\(name).relay"
        relays[name] = try Relay(name, from: path, to: upstream, loop: loop)
        return path
    }

    func hold(_ names: [String], _ ways: Set<Relay.Way>) { for name in names { relays[name]?.hold(ways) } }
    func slow(_ names: [String], by delay: Duration) { for name in names { relays[name]?.slow(by: delay) } }
    func cut(_ names: [String]) { for name in names { relays[name]?.cut() } }
    func heal(_ names: [String]) { for name in names { relays[name]?.heal() } }

    // MARK: Places

    nonisolated func redisDirectory(_ server: String) -> String { "\(directory)/\(server)" }
    nonisolated func socket(_ program: String) -> String { "\(directory)/\(program).sock" }
    nonisolated func clockDirectory(_ program: String) -> String {
        program == "redis" ? directory : "\(directory)/\(program)-clock"
    }
    nonisolated func stateDirectory(of agent: String) -> String { "\(directory)/state-\(agent)" }
    nonisolated var agentDoors: [String: HTTPEndpoint] {
        var doors: [String: HTTPEndpoint] = [:]
        for index in 0..<plan.agents {
            doors[plan.host(index)] = .unix(path: "\(stateDirectory(of: "a\(index)"))/agent.sock")
        }
        return doors
    }

    // MARK: Ending

    /// Ends everything in order: clients, coordinators, agents, Redis. Tells what did not end when asked to.
    func end() async -> [String] {
        var stubborn = await endWorkers()
        isEnding = true
        for prefix in ["c", "a", "s", "r"] {
            stubborn += await end(programs.values.filter { $0.name.hasPrefix(prefix) }, within: .seconds(8))
        }
        for relay in relays.values { relay.close() }
        for mount in mounts { _ = try? Shell.run(["umount", mount]) }
        return stubborn
    }

    /// Lets the clients finish what they do.
    func endWorkers() async -> [String] {
        let workers = programs.values.filter { $0.name.hasPrefix("w") && $0.isWanted }
        for worker in workers { worker.isWanted = false }
        return await end(workers, within: .seconds(25))
    }

    private func end(_ programs: [Program], within: Duration) async -> [String] {
        for program in programs {
            goOn(program.name)
            program.child?.signal(.terminate)
        }
        let deadline = loop.now + within
        while programs.contains(where: { $0.child != nil }), loop.now < deadline {
            await loop.sleep(for: .milliseconds(50))
        }
        var stubborn: [String] = []
        for program in programs where program.child != nil {
            stubborn.append(program.name)
            program.isKilled = true
            program.child?.signal(.kill)
        }
        return stubborn
    }

    // MARK: Looking

    /// Waits until each coordinator sees every unit free or held.
    func isServing(within: Duration) async throws {
        let deadline = loop.now + within
        while loop.now < deadline {
            if await units(at: 0).count == plan.units, await units(at: plan.coordinators - 1).count == plan.units {
                return
            }
            await loop.sleep(for: .milliseconds(50))
        }
        throw Arguments.Wrong(description: "the programs were not ready within \(within); see \(directory)/logs")
    }

    func status(at coordinator: Int) async -> JSONObject? {
        let http = HTTPClient(loop: loop)
        defer { http.close() }
        let answer = try? await http.send(
            .get, "/v1/gpu/status", to: .unix(path: "\(directory)/c\(coordinator).sock"),
            headers: plan.network == nil ? .init() : ["Authorization": "Bearer \(Self.secret)"], timeout: .seconds(2))
        guard let answer, answer.status == 200 else { return nil }
        return (try? JSONParser.parse(answer.body))?.object
    }

    func units(at coordinator: Int) async -> [JSONObject] {
        (await status(at: coordinator))?["units"]?.array?.compactMap(\.object) ?? []
    }
}
