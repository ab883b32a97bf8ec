import EventLoop
import Glibc
import RedisClient
import TestSupport

/// One run from its beginning to its verdict.
actor Run {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// What is done to the programs.
    enum Kind: Sendable { case nemesis, flush(rounds: Int), stop(rounds: Int), cut(rounds: Int) }

    private let loop: EventLoop
    private let kind: Kind
    private let plan: Plan
    private let directory: String
    private var signals: Signals?

    init(_ kind: Kind, _ plan: Plan, directory: String, loop: EventLoop) {
        self.kind = kind
        self.plan =
            switch kind {
            case .nemesis: plan
            case .flush: FlushScenario.plan(plan)
            case .stop: StopScenario.plan(plan)
            case .cut: CutScenario.plan(plan)
            }
        self.directory = directory
        self.loop = loop
    }

    func begin() throws {
        signals = try Signals(loop: loop) { _ in
            Console.write("chaos: stopped\n", to: .error)
            Environment.exit(1)  // every child asked to be killed when this process ends
        }
        loop.spawn {
            await self.run()
            self.loop.stop()
        }
    }

    private func run() async {
        do {
            let world = try World(plan, directory: directory, loop: loop)
            do {
                try await world.begin()
                try await act(in: world)
                await finish(world)
            } catch {
                world.history.note("final", ["what": .string("the run ended early: \(error)")])
            }
            for name in await world.end() {
                world.history.note("final", ["what": .string("\(name) did not end when it was asked to")])
            }
            for crash in await world.crashes { world.history.note("final", ["what": .string("crash: \(crash)")]) }
            noteOrphans(world.history)
        } catch {
            Console.write("chaos: \(error)\n", to: .error)
        }
    }

    private func act(in world: World) async throws {
        let failures: [String]
        switch kind {
        case .nemesis:
            await Nemesis(world: world, plan: plan).rage()
            failures = []
        case .flush(let rounds):
            world.history.note("loss", ["on": true])
            failures = await (try FlushScenario(world, seed: plan.seed)).run(rounds: rounds)
            world.history.note("loss", ["on": false])
        case .stop(let rounds): failures = await (try StopScenario(world, seed: plan.seed)).run(rounds: rounds)
        case .cut(let rounds): failures = await (try CutScenario(world, seed: plan.seed)).run(rounds: rounds)
        }
        for failure in failures { world.history.note("final", ["what": .string(failure)]) }
    }

    /// Nothing may be left over once the clients have gone.
    private func finish(_ world: World) async {
        for name in await world.endWorkers() {
            world.history.note("final", ["what": .string("\(name) did not end when it was asked to")])
        }
        let patience = min(plan.longestTTL, .seconds(30)) + plan.lockDelay + .seconds(6)
        var left = "nothing was seen"
        let deadline = loop.now + patience
        while loop.now < deadline {
            left = await leftovers(world)
            if left.isEmpty { break }
            await loop.sleep(for: .milliseconds(200))
        }
        if !left.isEmpty { world.history.note("final", ["what": .string("left over: \(left)")]) }
        await world.watch.end()
    }

    private func leftovers(_ world: World) async -> String {
        var found: [String] = []
        for coordinator in 0..<plan.coordinators {
            guard let status = await world.status(at: coordinator) else { return "c\(coordinator) does not answer" }
            for name in ["leases", "waiters"] {
                let count = status[name]?.array?.count ?? -1
                if count != 0 { found.append("\(count) \(name) at c\(coordinator)") }
            }
            let units = status["units"]?.array?.compactMap(\.object) ?? []
            if units.count != plan.units { found.append("\(units.count) units at c\(coordinator)") }
            for unit in units where unit["state"]?.string != "free" {
                found.append("\(unit["unit"]?.string ?? "") is \(unit["state"]?.string ?? "")")
            }
        }
        guard let keys = await world.watch.keys(["ticket:", "lease:", "queue:", "offers", "waiting:", "holder:"]) else {
            return "Redis does not answer"
        }
        if let unrest = await world.redisUnrest() { found.append(unrest) }
        if !keys.isEmpty, !(await world.hasEvicted) { found.append("keys \(keys.joined(separator: " "))") }
        return found.joined(separator: ", ")
    }

    /// In a namespace of its own this process sees every process that the run has made.
    private func noteOrphans(_ history: History) {
        guard Environment.processID == 1, let names = try? Files.list("/proc") else { return }
        for name in names {
            guard let number = Int32(name), number != 1,
                let stat = try? Files.read("/proc/\(number)/stat"),
                !String(decoding: stat, as: UTF8.self).contains(") Z ")
            else { continue }
            let command = (try? Files.read("/proc/\(number)/cmdline")) ?? []
            let text = String(decoding: command.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            history.note("final", ["what": .string("process left: \(text)")])
        }
    }
}
