import EventLoop
import Glibc
import HTTP
import JSON
import TestSupport

/// Hosts are cut off on which `leasehold run` holds units, while others wait for these very units. Every process under
/// the lease has to be dead before the unit is offered to the next, and, where nobody else ends it, before the end of
/// the lease that `run` was told.
actor CutScenario {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// What runs under a lease: shell commands that write down each process.
    private static let programs = [
        "ends when asked": "ready; exec sleep 1000",
        "does not end when asked": "trap '' TERM; ready; exec sleep 1000",
        "has children": "sleep 1000 & echo $! >&3; sleep 1000 & echo $! >&3; ready; wait",
        "has a child that does not end when asked":
            "(trap '' TERM; exec sleep 1000) & echo $! >&3; ready; exec sleep 1000",
        "does not end when asked, nor do its children":
            "trap '' TERM; sleep 1000 & echo $! >&3; sleep 1000 & echo $! >&3; ready; while :; do wait; done",
    ]

    private struct Round: Sendable {
        let name: String
        /// The host that `run` is on, which is cut off.
        let host: Int
        let unit: String
        /// Whether the unit is another host's: then no agent knows of the program.
        let isElsewhere: Bool
        /// Whether `run` itself is killed while its host is cut off.
        let isKilled: Bool
        let program: String
        let ttl: Double
        let grace: Double
        var lease = ""
        var processes: [Int32] = []
        /// That of the last of the processes.
        var death = Deaths.Death(after: 0, before: 0)
        /// The lease lived through the cut; the tool ended the program.
        var hasGoneOn = false
        /// The lease of the next.
        var next = ""
    }

    private struct Cut: Sendable {
        var begun: Int64 = 0
        var isOver = false
    }

    private let loop: EventLoop
    private let world: World
    private let caller: Caller
    private let deaths: Deaths
    private var random: RandomSource
    private var cuts: [Int: Cut] = [:]
    private var rounds: [Round] = []
    private var failures: [String] = []

    init(_ world: World, seed: UInt64) throws {
        self.world = world
        loop = world.loop
        // Where the next waits: reached past all cuts.
        caller = Caller(
            loop, world.history, (0..<world.plan.coordinators).map { .unix(path: world.socket("c\($0)")) },
            token: World.secret)
        deaths = try Deaths()
        random = RandomSource(seed: seed)
    }

    static func plan(_ plan: Plan) -> Plan {
        var plan = plan
        plan.unitsAHost = 5
        plan.workers = 0
        plan.longestTTL = .seconds(60)
        return plan
    }

    func run(rounds count: Int) async -> [String] {
        await deaths.begin()
        var done = 0
        while done < count {
            let batch = batch(done, upTo: count - done)
            await withTaskGroup { group in
                for host in Set(batch.map(\.host)).sorted() {
                    let rounds = batch.filter { $0.host == host }
                    group.addTask(executorPreference: loop) { await self.run(rounds, on: host) }
                }
            }
            done += batch.count
        }
        await deaths.end()
        await world.watch.end()
        judge()
        caller.close()
        return failures
    }

    // MARK: Rounds

    /// Programs on two hosts, with all units of these and those of the third, which is not cut off.
    private func batch(_ first: Int, upTo limit: Int) -> [Round] {
        var hosts = Array(0..<world.plan.agents)
        hosts.shuffle(using: &random)
        let units = hosts.flatMap { host in
            (0..<world.plan.unitsAHost).map { (host, "\(world.plan.host(host))/\($0)") }
        }
        return units.shuffled(using: &random).prefix(limit).enumerated().map { index, place in
            let isElsewhere = place.0 == hosts[2]
            return Round(
                name: "k\(first + index)", host: isElsewhere ? hosts[random.below(2)] : place.0, unit: place.1,
                isElsewhere: isElsewhere, isKilled: !isElsewhere && random.below(2) == 0,
                program: random.element(Self.programs.keys.sorted()), ttl: random.element([2, 3, 4]),
                grace: random.element([0.1, 0.5, 2, 30]))
        }
    }

    private func run(_ rounds: [Round], on host: Int) async {
        var started: [(Round, ChildProcess)] = []
        for round in rounds {
            if let one = await start(round) { started.append(one) }
        }
        await withTaskGroup { group in
            cuts[host] = Cut()
            group.addTask(executorPreference: loop) { await self.cut(host) }
            for (round, child) in started {
                group.addTask(executorPreference: loop) { await self.follow(round, child) }
            }
        }
    }

    private func cut(_ host: Int) async {
        guard let network = world.plan.network else { return }
        let place = world.plan.place(of: "a\(host)")
        let cut: Network.Cut = random.element([.both, .sent, .received])
        await loop.sleep(for: .milliseconds(random.below(1500)))
        let lasts = random.below(6) == 0 ? 300 + random.below(1000) : 2000 + random.below(5000)
        let facts: JSONObject = ["host": .string("n\(place)"), "cut": .string("\(cut)")]
        await shell(network.cutting(place, cut))
        cuts[host]?.begun = Moment.now
        world.history.note("cut", facts)
        await loop.sleep(for: .milliseconds(lasts))
        await shell(network.healing(place))
        cuts[host]?.isOver = true
        world.history.note("healed", facts)
    }

    /// Without standing still for it: deaths are looked at meanwhile.
    private func shell(_ arguments: [String]) async {
        let result = try? await ChildProcess.run(ChildCommand(arguments), deadline: .seconds(10), on: loop)
        if result?.exit != .exited(0) { failures.append("a host could not be cut off or healed") }
    }

    private func start(_ round: Round) async -> (Round, ChildProcess)? {
        let file = "\(world.directory)/\(round.name)"
        let coordinator = "c\(random.below(world.plan.coordinators))"
        let text =
            "exec 3> \(file); ready() { echo lease $LEASEHOLD_LEASE >&3; }; echo $$ >&3; "
            + (Self.programs[round.program] ?? "")
        let socket = "\(world.stateDirectory(of: "a\(round.host)"))/agent.sock"
        var command = ChildCommand(
            Network.entering(world.plan.place(of: "a\(round.host)")) + [
                "\(world.plan.programs)/leasehold", "run", "--url",
                "http://\(Network.address(world.plan.place(of: coordinator))):8080", "--id", round.name, "--unit",
                round.unit, "--ttl", "\(round.ttl)", "--grace", "\(round.grace)", "--timeout", "20", "--agent-socket",
                round.isElsewhere ? "/none" : socket, "--", "sh", "-c", text,
            ])
        command.environment = Environment.all.merging(["LEASEHOLD_TOKEN": World.secret]) { $1 }
        command.output = .file("\(world.directory)/logs/\(round.name)")
        command.errorOutput = .file("\(world.directory)/logs/\(round.name)")
        command.diesWithParent = .kill
        guard let child = try? ChildProcess.start(command, on: loop) else {
            failures.append("\(round.name) cannot be started")
            return nil
        }
        var round = round
        for _ in 0..<500 {
            let words = ((try? Files.read(file)) ?? []).split { $0 == 10 || $0 == 32 }
                .map { String(decoding: $0, as: UTF8.self) }
            if let index = words.firstIndex(of: "lease"), index + 1 < words.count {
                round.lease = words[index + 1]
                round.processes = words[..<index].compactMap { Int32($0) }
                for process in round.processes where !(await deaths.watch(process)) {
                    failures.append("\(round.name) ended at once")
                    return nil
                }
                return (round, child)
            }
            await loop.sleep(for: .milliseconds(20))
        }
        failures.append("\(round.name) never held \(round.unit)")
        child.signal(.kill)
        return nil
    }

    private func follow(_ begun: Round, _ child: ChildProcess) async {
        var round = begun
        async let answer = next(begun)
        await outlive(&round, child)
        if let death = await deaths.end(of: round.processes) {
            round.death = death
        } else {
            failures.append("\(round.name) does not end")
        }
        let taken = await answer
        round.next = taken?.body["lease"]?.string ?? ""
        if let taken { await caller.giveBack(taken) }
        let killer = loop.timer { child.signal(.kill) }
        killer.arm(after: .seconds(10))
        _ = await child.finish()
        killer.disarm()
        rounds.append(round)
    }

    /// Returns when no process of the round lives.
    private func outlive(_ round: inout Round, _ child: ChildProcess) async {
        var killAt = Int64.max
        if round.isKilled {
            while cuts[round.host]?.begun == 0 { await loop.sleep(for: .milliseconds(5)) }
            killAt = Moment.now + Int64(random.below(Int(round.ttl * 1_000_000)))
        }
        var patience: Int64?
        while await deaths.end(of: round.processes) == nil {
            if Moment.now >= killAt {
                Glibc.kill(child.processID, SIGKILL)
                killAt = .max
            }
            if cuts[round.host]?.isOver == true, patience == nil {
                patience = Moment.now + Int64(round.ttl * 1_000_000) + 2_000_000
            }
            if let end = patience, Moment.now > end {
                guard !round.hasGoneOn else { return }
                round.hasGoneOn = true
                patience = Moment.now + 5_000_000
                Glibc.kill(-round.processes[0], SIGKILL)
            }
            await loop.sleep(for: .milliseconds(5))
        }
    }

    private func next(_ round: Round) async -> Caller.Answer? {
        let holder = "n\(round.name)"
        let answer = await caller.call(
            "lock", number: "\(holder).0/0", at: random.below(world.plan.coordinators), "/v1/gpu/lock",
            ["id": .string(holder), "unit": .string(round.unit), "ttl": 30, "timeout": 60], timeout: .seconds(65),
            facts: ["h": .string(holder), "sel": .string("unit=\(round.unit)")])
        guard answer.status == 200 else {
            failures.append("nobody else got \(round.unit) after \(round.name): \(answer.status)")
            return nil
        }
        return answer
    }

    // MARK: Verdict

    private func judge() {
        guard let records = try? Records("\(world.directory)/history") else { return failures.append("no history") }
        // The clock of Redis is this machine's here.
        let sinceBoot = Moment.now - Self.wallClock
        var offered: [String: Int64] = [:]
        var prolonged: [String: Int64] = [:]
        for event in records.all("event") {
            guard let lease = event.facts["lease"]?.string, let at = (event.facts["at"]?.string).flatMap({ Int64($0) })
            else { continue }
            let moment = at * 1000 + sinceBoot
            switch event.facts["type"]?.string {
            case "offered": offered[lease] = moment
            case "granted", "renewed": prolonged[lease] = max(prolonged[lease] ?? 0, moment + 1000)
            default: break
            }
        }
        var before: [Int64] = []
        var beforeElsewhere: [Int64] = []
        var inTime: [Int64] = []
        for round in rounds {
            let about =
                "\(round.name) (\(round.program), ttl \(round.ttl), grace \(round.grace)"
                + "\(round.isElsewhere ? ", another host's unit" : "")\(round.isKilled ? ", run killed" : ""))"
            guard let next = offered[round.next], let last = prolonged[round.lease] else {
                failures.append("\(about): no events of it and the next")
                continue
            }
            // Its millisecond may have been nearly over.
            if round.death.after > next + 1000 {
                failures.append(
                    "\(about) lived \((round.death.after - next) / 1000) ms after its unit was offered to the next")
            }
            guard !round.hasGoneOn else { continue }
            before.append(next - round.death.before)
            if round.isElsewhere { beforeElsewhere.append(next - round.death.before) }
            // What a coordinator tells (docs/http.md): a quarter less where the lease is short, else a second.
            let told = last + Int64(round.ttl * 1_000_000) - min(Int64(round.ttl * 250_000), 1_000_000)
            guard !round.isKilled else { continue }
            inTime.append(told - round.death.before)
            if round.death.before > told {
                failures.append("\(about) lived \((round.death.before - told) / 1000) ms after the end of its lease")
            }
        }
        func spread(_ times: [Int64]) -> String {
            let sorted = times.sorted()
            guard let least = sorted.first else { return "0 of 0" }
            return "\(sorted.count { $0 >= 0 }) of \(sorted.count), \(sorted[sorted.count / 2] / 1000) ms median, "
                + "\(least / 1000) ms least before it"
        }
        Console.write(
            """
            \(rounds.count) rounds, in \(rounds.count { $0.isKilled }) run itself was killed: \(before.count) lost their lease
            dead before the next was offered the unit: \(spread(before))
            the same with another host's unit, whose agent knows nothing of the program: \(spread(beforeElsewhere))
            dead before the end of the lease where run was not killed: \(spread(inTime))

            """)
    }

    private static var wallClock: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
