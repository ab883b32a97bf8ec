import EventLoop
import Glibc
import HTTP
import JSON
import TestSupport

/// A holder is stopped for three times its lease while another takes its unit. Its first `verify` afterwards has to be
/// refused, the guarded device has to take nothing of it, and its renewal has to say that it is over and why.
actor StopScenario {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    static let ttl = 1000  // milliseconds

    private let loop: EventLoop
    private let world: World
    private let caller: Caller
    private var random: RandomSource
    private var failures: [String] = []

    init(_ world: World, seed: UInt64) throws {
        self.world = world
        loop = world.loop
        caller = Caller(loop, world.history, [.unix(path: "\(world.directory)/c0.sock")], token: nil)
        random = RandomSource(seed: seed)
    }

    static func plan(_ plan: Plan) -> Plan {
        var plan = plan
        plan.agents = 2
        plan.unitsAHost = 5
        plan.probedAgent = -1
        plan.workers = 0
        plan.longestTTL = .seconds(60)
        return plan
    }

    func run(rounds: Int) async -> [String] {
        let units = (0..<world.plan.agents).flatMap { host in
            (0..<world.plan.unitsAHost).map { (host, "\(world.plan.host(host))/\($0)") }
        }
        var done = 0
        while done < rounds {
            let batch = units.prefix(rounds - done)
            await withTaskGroup { group in
                for (index, (host, unit)) in batch.enumerated() {
                    let name = "s\(done + index)"
                    group.addTask(executorPreference: loop) { await self.round(name, host, unit) }
                }
            }
            done += batch.count
        }
        judge(rounds)
        caller.close()
        return failures
    }

    private func round(_ name: String, _ host: Int, _ unit: String) async {
        let door = "unix://\(world.stateDirectory(of: "a\(host)"))/agent.sock"
        var command = ChildCommand([
            world.plan.program, "holder", "--name", name, "--unit", unit, "--history",
            "\(world.directory)/history/\(name)",
            "--coordinators", "unix://\(world.directory)/c0.sock", "--device", "unix://\(world.directory)/device.sock",
            "--agent", door, "--ttl", "\(Self.ttl)",
        ])
        command.diesWithParent = .kill
        do throws(LoopError) {
            let child = try ChildProcess.start(command, deadline: .seconds(40), on: loop)
            guard await holds(name) else { return failures.append("\(name) never held \(unit)") }
            await loop.sleep(for: .milliseconds(random.below(Self.ttl / 2)))
            Glibc.kill(child.processID, SIGSTOP)
            async let pause: Void = loop.sleep(for: .milliseconds(3 * Self.ttl))
            let other = await successor(name, unit)
            await pause
            Glibc.kill(child.processID, SIGCONT)
            _ = await child.finish()
            if let other { await caller.giveBack(other) }
        } catch {
            failures.append("\(name): \(error)")
        }
    }

    private func holds(_ name: String) async -> Bool {
        for _ in 0..<1000 {
            if let bytes = try? Files.read("\(world.directory)/history/\(name)"),
                String(decoding: bytes, as: UTF8.self).contains("\"holds\"")
            {
                return true
            }
            await loop.sleep(for: .milliseconds(20))
        }
        return false
    }

    /// Takes the unit that the stopped one held, and works with it.
    private func successor(_ name: String, _ unit: String) async -> Caller.Answer? {
        let answer = await caller.call(
            "lock", number: "n\(name).0/0", at: 0, "/v1/gpu/lock",
            ["id": .string("n\(name)"), "unit": .string(unit), "ttl": 30, "timeout": 20], timeout: .seconds(25),
            facts: ["h": .string("n\(name)"), "sel": .string("unit=\(unit)")])
        guard answer.status == 200, let lease = answer.body["lease"], let fencing = answer.body["fencing_token"] else {
            failures.append("nobody else got \(unit): \(answer.status)")
            return nil
        }
        let operation: JSONObject = ["unit": .string(unit), "fencing_token": fencing, "lease": lease]
        let device = HTTPEndpoint.unix(path: "\(world.directory)/device.sock")
        let written = await caller.ask("/operate", of: device, operation, timeout: .seconds(2))
        if written.status != 200 { failures.append("n\(name) may not use \(unit)") }
        return answer
    }

    private func judge(_ rounds: Int) {
        guard let records = try? Records("\(world.directory)/history") else { return failures.append("no history") }
        let woke = records.all("woke")
        var reasons: [String: Int] = [:]
        for entry in woke {
            let name = entry.facts["h"]?.string ?? ""
            if entry.facts["verify"]?.string != "stale" {
                failures.append("\(name): verify said \(entry.facts["verify"] ?? .null)")
            }
            if entry.facts["operate"]?.integer != 409 {
                failures.append("\(name): the device took an operation of a lease that was over")
            }
            if entry.facts["renew"]?.integer != 410 {
                failures.append("\(name): renew was answered \(entry.facts["renew"] ?? .null)")
            }
            reasons[entry.facts["why"]?.string ?? "", default: 0] += 1
        }
        if woke.count != rounds { failures.append("\(woke.count) of \(rounds) holders woke up") }
        Console.write(
            "\(woke.count) holders stopped for \(3 * Self.ttl) ms with leases of \(Self.ttl) ms; renew said \(reasons)\n"
        )
    }
}
