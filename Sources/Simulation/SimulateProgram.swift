import EventLoop
import Synchronization

/// `simulate` from its arguments to its exit code.
package enum SimulateProgram {
    /// Runs on the calling thread.
    package static func run(arguments: [String]) -> Int32 {
        var settings = Simulation.Settings()
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "--seeds": settings.seeds = rest.popFirst().flatMap { Int($0) } ?? settings.seeds
            case "--from": settings.from = rest.popFirst().flatMap { UInt64($0) } ?? settings.from
            case "--seed":
                settings.from = rest.popFirst().flatMap { UInt64($0) } ?? settings.from
                settings.seeds = 1
            case "--abreast": settings.abreast = rest.popFirst().flatMap { Int($0) } ?? settings.abreast
            case "--mutant":
                guard let name = rest.popFirst(), let mutant = try? Mutant.named(name) else { return 2 }
                settings.mutant = mutant
            case "--trace": settings.isTraced = true
            case "--go-on": settings.stopsAtViolation = false
            default: return 2
            }
        }
        let code = Mutex<Int32>(1)
        do {
            let loop = try EventLoop()
            let given = settings
            loop.spawn {
                do {
                    let directory = "/tmp/lh-sim-\(SecureRandom.randomHex(bytes: 6))"
                    let summary = try await Simulation.run(given, on: loop, directory: directory)
                    for line in summary.lines { Console.write(line + "\n") }
                    for failure in summary.failures {
                        for violation in failure.violations { Console.write("seed \(failure.seed): \(violation)\n") }
                        Console.write("simulate --seed \(failure.seed)\n")
                    }
                    Console.write(summary.text + "\n")
                    code.withLock { $0 = summary.failures.isEmpty ? 0 : 1 }
                } catch {
                    Console.write("simulate: \(error)\n", to: .error)
                }
                loop.stop()
            }
            loop.run()
        } catch {
            Console.write("simulate: \(error)\n", to: .error)
        }
        return code.withLock { $0 }
    }
}
