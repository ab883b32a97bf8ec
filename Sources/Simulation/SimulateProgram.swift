import EventLoop
import LeaseModel
import Settings
import Synchronization

/// `simulate` from its arguments to its exit code.
package enum SimulateProgram {
    /// 0: no violation, every mutant caught. 1: a violation, or a mutant that was not caught. 2: wrong arguments.
    package static func run(arguments: [String]) -> Int32 {
        let options: SimulateOptions
        do throws(SettingsError) {
            switch try SimulateOptions.table.read(arguments: arguments, environment: [:]) {
            case .help, .version:
                Console.write(SimulateOptions.table.help)
                return 0
            case .settings(let given): options = try SimulateOptions(given)
            }
        } catch {
            Console.write("simulate: \(error.description)\n", to: .error)
            return 2
        }
        let code = Mutex<Int32>(1)
        do throws(LoopError) {
            let loop = try EventLoop()
            loop.spawn {
                do {
                    let isWell = try await perform(options, on: loop)
                    code.withLock { $0 = isWell ? 0 : 1 }
                } catch {
                    Console.write("simulate: \(error)\n", to: .error)
                }
                loop.stop()
            }
            loop.run()
        } catch {
            Console.write("simulate: \(error.description)\n", to: .error)
        }
        return code.withLock { $0 }
    }

    private static func perform(_ options: SimulateOptions, on loop: EventLoop) async throws -> Bool {
        if options.isAllMutants { return try await runMutants(options, on: loop) }
        if options.jobs > 1 { return try await runJobs(options, on: loop) }
        let summary = try await simulate(options.settings, on: loop)
        if options.settings.isTraced { for line in summary.lines { Console.write(line + "\n") } }
        for failure in summary.failures { report(failure, mutant: options.settings.mutant) }
        Console.write((options.isFiguresOnly ? "figures " + summary.figureLine : summary.text) + "\n")
        return summary.failed == 0
    }

    private static func simulate(_ settings: Simulation.Settings, on loop: EventLoop) async throws -> Summary {
        let directory = "/tmp/lh-simulate-\(SecureRandom.randomHex(bytes: 6))"
        return try await Simulation.run(settings, on: loop, directory: directory)
    }

    private static func report(_ verdict: Verdict, mutant: Mutant?) {
        for violation in verdict.violations { Console.write("seed \(verdict.seed): \(violation)\n") }
        Console.write("simulate --seed \(verdict.seed)\(mutant.map { " --mutant \($0.name)" } ?? "")\n")
    }

    // MARK: Several processes

    private static func runJobs(_ options: SimulateOptions, on loop: EventLoop) async throws -> Bool {
        guard let program = Environment.executablePath else { return false }
        let began = loop.now
        let each = (options.settings.seeds + options.jobs - 1) / options.jobs
        var children: [ChildProcess] = []
        for job in 0..<options.jobs {
            let from = options.settings.from + UInt64(job * each)
            let seeds = min(each, options.settings.seeds - job * each)
            guard seeds > 0 else { break }
            var command = ChildCommand([program] + options.arguments(from: from, seeds: seeds))
            command.diesWithParent = .terminate
            command.errorOutput = .inherited
            children.append(try await start(command, on: loop))
        }
        var summary = Summary()
        var isWell = true
        for child in children {
            let result = await child.finish()
            if result.exit != .exited(0) { isWell = false }
            for line in String(decoding: result.output, as: UTF8.self).split(separator: "\n") {
                if line.hasPrefix("figures ") { summary.add(figures: line) } else { Console.write(line + "\n") }
            }
        }
        summary.took = loop.now - began
        Console.write(summary.text + "\n")
        return isWell
    }

    private static func start(_ command: ChildCommand, on loop: EventLoop) async throws -> ChildProcess {
        let outcome: Result<ChildProcess, LoopError> = await withCheckedContinuation { continuation in
            loop.perform {
                do throws(LoopError) {
                    continuation.resume(returning: .success(try ChildProcess.start(command, on: loop)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try outcome.get()
    }

    // MARK: Mutants

    private static func runMutants(_ options: SimulateOptions, on loop: EventLoop) async throws -> Bool {
        var isWell = true
        let width = (Mutant.all.map(\.name.count).max() ?? 0) + 2
        func column(_ text: String) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
        for mutant in Mutant.all {
            var settings = options.settings
            settings.mutant = mutant
            settings.stopsAtViolation = true
            if let (model, name) = mutant.model {
                let isRefuted = try await refutes(model, name, on: loop)
                if !isRefuted { isWell = false }
                let word = isRefuted ? "caught" : "NOT CAUGHT"
                Console.write("\(column(mutant.name))\(word) by scripts/model: \(model) \(name)\n")
                continue
            }
            let summary = try await simulate(settings, on: loop)
            if let failure = summary.failures.first {
                // A script that breaks shows that the edit is wrong, not that the rule is missed.
                if failure.isBroken { isWell = false }
                let word = failure.isBroken ? "BROKEN at" : "caught by"
                Console.write("\(column(mutant.name))\(word) seed \(failure.seed): \(failure.violations[0])\n")
            } else {
                isWell = false
                Console.write("\(column(mutant.name))NOT CAUGHT in \(summary.seeds) seeds: \(mutant.what)\n")
            }
        }
        return isWell
    }

    /// Whether the protocol's model refutes one of its mutants: `scripts/model` of the directory this runs in says so.
    private static func refutes(_ model: String, _ mutant: String, on loop: EventLoop) async throws -> Bool {
        var command = ChildCommand(["scripts/model", "trail", model, mutant])
        command.diesWithParent = .terminate
        command.errorOutput = .inherited
        return await (try await start(command, on: loop)).finish().exit == .exited(0)
    }
}
