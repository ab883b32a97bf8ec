import EventLoop
import LoadGenerator
import Settings

/// The program: sets the ground up, runs the parts that are asked for, reports.
package enum Bench {
    /// - Returns: the exit code.
    package static func run(arguments: [String], environment: [String: String]) -> Int32 {
        let options: BenchOptions
        do throws(SettingsError) {
            switch try BenchOptions.table.read(arguments: arguments, environment: environment) {
            case .help:
                Console.write(BenchOptions.table.help)
                return 0
            case .version:
                Console.write("bench\n")
                return 0
            case .settings(let given): options = try BenchOptions(given)
            }
            if let exercise = options.exercise { return exercise.name.perform(exercise.count) ? 0 : 1 }
        } catch {
            Console.write("bench: \(error.description)\n", to: .error)
            return 2
        }
        do throws(LoopError) {
            Environment.raiseFileLimit()
            let loop = try EventLoop()
            let session = BenchSession(options, loop: loop)
            loop.spawn { await session.run() }
            loop.run()
            return session.assumeIsolated { $0.hasFailed } ? 1 : 0
        } catch {
            Console.write("bench: \(error.description)\n", to: .error)
            return 1
        }
    }
}

/// One run of the suite.
actor BenchSession {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let options: BenchOptions
    private let loop: EventLoop
    private let directory = "/tmp/leasehold-bench-\(SecureRandom.randomHex(bytes: 4))"
    private var report = Report()
    private var signals: Signals?
    private(set) var hasFailed = false

    init(_ options: BenchOptions, loop: EventLoop) {
        self.options = options
        self.loop = loop
    }

    func run() async {
        do {
            // Servers end with this process; the directory would be left behind.
            signals = try Signals(loop: loop) { [directory] _ in
                try? Files.removeTree(directory)
                Environment.exit(1)
            }
            try Files.makeDirectory(directory)
            report.machine = "\(Host.processors) processors, load \(rounded(Host.load, 1)) at the start"
            if options.wantsPeersInstalled, options.parts.contains(.locks) { await installPeers() }
            for part in BenchOptions.Part.allCases where options.parts.contains(part) { await attempt(part) }
            try report.write(options)
        } catch {
            Console.write("bench: \(error)\n", to: .error)
            hasFailed = true
        }
        try? Files.removeTree(directory)
        loop.stop()
    }

    private var ground: Ground {
        let programs = Environment.executablePath.map(Files.directory(of:)) ?? ".build/release"
        return Ground(loop: loop, directory: directory, programs: programs, peers: options.peers)
    }

    private func installPeers() async {
        say("installing what is compared, into Debian's places and \(options.peers) …")
        do throws(LoopError) {
            let result = try await ChildProcess.run(
                ChildCommand(["scripts/bench-peers", options.peers]), deadline: .seconds(600), on: loop)
            for line in String(decoding: result.output, as: UTF8.self).split(separator: "\n") { leave("\(line)") }
        } catch {
            leave("what is compared could not be installed: \(error.description)")
        }
    }

    /// A part that fails does not take the others' figures with it.
    private func attempt(_ part: BenchOptions.Part) async {
        do {
            try await run(part)
        } catch {
            leave("\(part.rawValue) failed: \(error)")
        }
    }

    private func run(_ part: BenchOptions.Part) async throws {
        say("\(part.rawValue): \(part.what)")
        switch part {
        case .locks: try await locks()
        case .ceiling: report.tables.append(try await Ceiling(ground: ground, seconds: options.seconds).run())
        case .waiters:
            let counts = options.isQuick ? [16, 1000] : [16, 1000, 10_000]
            let waiters = Waiters(ground: ground, rounds: options.rounds, counts: counts, seconds: options.seconds)
            let (table, measurements) = try await waiters.run()
            report.tables.append(table)
            for measurement in measurements { report.measurements.add(measurement) }
        case .renewals:
            try await crowd("Renewals", room: "renewals", hosts: options.isQuick ? 5 : 50, units: 200) {
                try await $0.renewals(leases: options.isQuick ? 1000 : 10_000, seconds: options.seconds)
            }
        case .status: try await status()
        case .events:
            try await crowd("Event streams", room: "events", hosts: 1, units: 8) {
                try await $0.followers(500, pairsASecond: 10, seconds: options.seconds)
            }
        case .hosts:
            let hosts = Hosts(ground: ground)
            try await facts("Hosts", options.isQuick ? hosts.agents(10, unitsEach: 8) : hosts.agents(50, unitsEach: 8))
            try await facts("Hosts in the record only", hosts.simulated(1250, unitsEach: 8))
        case .force:
            let force =
                options.isQuick
                ? Force(ground: ground, hosts: 20, unitsEach: 8, waiting: 200)
                : Force(ground: ground, hosts: 200, unitsEach: 8, waiting: 2000)
            try await facts("Force-release of everything", force.run())
        case .cost:
            let (tables, plots) = try await GrantCost(ground: ground, isShort: options.isQuick).run()
            report.tables += tables
            report.plots += plots
        }
    }

    private func facts(_ title: String, _ rows: [[String]]) {
        report.tables.append(TextTable(title: title, heads: ["what", "measured"], rows: rows))
    }

    /// Lets a crowd at a product of its own.
    private func crowd(
        _ title: String, room: String, hosts: Int, units: Int, _ work: (Crowd) async throws -> [[String]]
    ) async throws {
        let product = try await Leasehold.start(on: ground, room: room, hosts: hosts, units: units)
        facts(title, try await work(Crowd(product)))
        await product.stop()
    }

    private func status() async throws {
        let product = try await Leasehold.start(on: ground, room: "status", hosts: 1, units: 1600)
        let crowd = Crowd(product)
        _ = try await crowd.take(800)
        var table = TextTable(
            title: "Status, 1,600 units, 800 of them held, asked for 100 times a second",
            heads: ["path", "p50 / p99 ms", "KB", "coordinator µs", "Redis µs"])
        for path in ["/v1/gpu/status?view=brief", "/v1/gpu/status"] {
            table.rows.append(try await crowd.polls(aSecond: 100, path: path, seconds: options.seconds))
        }
        report.tables.append(table)
        await product.stop()
    }

    private func say(_ text: String) { Console.write("bench: \(text)\n", to: .error) }

    /// Something is left out: said at once and in the report.
    private func leave(_ text: String) {
        say(text)
        report.omissions.append(text)
    }

    // MARK: Locks

    private func contenders() async -> [any Contender] {
        let ground = ground
        let starts: [(name: String, start: () async throws -> any Contender)] = [
            ("raw Redis SET+DEL", { try await RawRedis.start(on: ground) }),
            ("leasehold", { try await Leasehold.start(on: ground) }),
            ("leasehold, Swift library", { try await SwiftLibrary.start(on: ground) }),
            ("etcd lock, HTTP", { try await Etcd.start(on: ground) }),
            ("ZooKeeper + kazoo", { try await PythonClients.start(.kazoo, on: ground) }),
            ("redis-py", { try await PythonClients.start(.redisPy, on: ground) }),
            ("python-redis-lock", { try await PythonClients.start(.pythonRedisLock, on: ground) }),
            ("PostgreSQL advisory", { try await Postgres.start(on: ground) }),
            ("asyncio bridge", { try await Bridge.start(on: ground) }),
        ]
        var contenders: [any Contender] = []
        for (name, start) in starts where options.only.isEmpty || options.only.contains(where: name.contains) {
            do {
                contenders.append(try await start())
            } catch {
                leave("\(name) is left out: \(error)")
            }
        }
        return contenders
    }

    private func locks() async throws {
        let contenders = await contenders()
        let workloads =
            options.clients.map { workload(.uncontended, $0) } + options.waiters.map { workload(.contended, $0) }
        for round in 1...options.rounds {
            for workload in workloads {
                for contender in contenders {
                    if let why = contender.objection(to: workload) {
                        if round == 1 { report.omissions.append("\(contender.name), \(workload.name): \(why)") }
                        continue
                    }
                    await measure(contender, workload, round)
                }
            }
        }
        for contender in contenders { await contender.stop() }
    }

    private func workload(_ shape: LockWorkload.Shape, _ clients: Int) -> LockWorkload {
        LockWorkload(
            shape: shape, clients: clients, warmUp: min(options.seconds / 3, .seconds(1)), duration: options.seconds)
    }

    private func measure(_ contender: any Contender, _ workload: LockWorkload, _ round: Int) async {
        do {
            let before = try await contender.redis?.counters()
            let result = try await contender.run(workload)
            var measurement = Measurement(contender: contender.name, workload: workload.name, round: round)
            measurement.note(result, servers: contender.servers.map(\.kind))
            if let before, let after = try await contender.redis?.counters() {
                let pairs = Double(max(result.totalPairs, 1))
                measurement.note("redis_commands_per_pair", (after.commands - before.commands) / pairs)
                measurement.note("redis_scripts_per_pair", (after.scripts - before.scripts) / pairs)
                measurement.note("redis_bytes_in_per_pair", (after.bytesIn - before.bytesIn) / pairs)
                measurement.note("redis_bytes_out_per_pair", (after.bytesOut - before.bytesOut) / pairs)
                measurement.note("redis_publish_per_pair", (after.publishes - before.publishes) / pairs)
            }
            report.measurements.add(measurement)
            let rate = measurement["pairs_per_s"].map { rounded($0, 0) } ?? "?"
            say("round \(round), \(workload.name), \(contender.name): \(rate) pairs/s")
        } catch {
            leave("round \(round), \(workload.name), \(contender.name) failed: \(error)")
        }
    }
}
