import EventLoop
import Testing
import TestSupport

@testable import Simulation

private func simulate(_ change: (inout Simulation.Settings) throws -> Void) async throws -> Summary {
    var settings = Simulation.Settings()
    settings.stopsAtViolation = false
    try change(&settings)
    let given = settings
    return try await withLoop { loop in
        try await Simulation.run(given, on: loop, directory: "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))")
    }
}

@Suite struct `The simulation` {
    @Test func `finds nothing wrong in a few worlds`() async throws {
        let summary = try await simulate { $0.seeds = 60 }
        #expect(summary.failures.flatMap { failure in failure.violations.map { "seed \(failure.seed): \($0)" } } == [])
        #expect(summary.seeds == 60)
        #expect(summary.grants > 300)
        #expect(summary.virtual > .seconds(3600))
    }

    @Test func `does the same again from the same seed, also beside other worlds`() async throws {
        let alone = try await simulate {
            $0.from = 7
            $0.seeds = 1
            $0.isTraced = true
        }
        #expect(alone.lines.count > 100)
        let again = try await simulate {
            $0.from = 7
            $0.seeds = 1
            $0.isTraced = true
        }
        #expect(again.lines == alone.lines)
        let others = try await simulate {
            $0.from = 8
            $0.seeds = 7
        }
        let together = try await simulate {
            $0.from = 7
            $0.seeds = 8
        }
        #expect(together.digest == alone.digest ^ others.digest)
    }

    @Test func `does the same in two processes`() async throws {
        let outputs = try await withLoop { loop in
            var outputs: [[UInt8]] = []
            for _ in 0..<2 {
                let command = ChildCommand([try program(), "--seed", "11", "--trace", "--figures"])
                outputs.append(try await ChildProcess.run(command, deadline: .seconds(120), on: loop).output)
            }
            return outputs
        }
        #expect(outputs[0].count > 5000)
        #expect(outputs[0] == outputs[1])
    }

    private func program() throws -> String {
        // Beside the bundle that this test is part of.
        let path = try #require(Environment.executablePath)
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        let program = "/\(directory)/simulate"
        try #require(Files.exists(program), "\(program) is not built")
        return program
    }

    @Test(arguments: ["renewed-without-agent", "no-take-of-free", "unknown-tickets-untold", "no-journal"])
    func `misses a rule that is removed`(_ name: String) async throws {
        let mutant = try #require(Mutant.all.first(where: { $0.name == name }))
        let summary = try await simulate {
            $0.mutant = mutant
            $0.seeds = 200
            $0.stopsAtViolation = true
        }
        #expect(!summary.failures.isEmpty)
    }

    @Test func `makes every mutant from the scripts as they are`() throws {
        #expect(Mutant.all.count >= 20)
        #expect(Set(Mutant.all.map(\.name)).count == Mutant.all.count)
        for mutant in Mutant.all { _ = try VirtualScripts(edits: mutant.edits) }
    }

    @Test func `refuses a mutant whose text is not in its script`() {
        #expect(throws: MutantError.self) {
            try VirtualScripts(edits: [ScriptEdit(script: "End", find: "no such text", replace: "")])
        }
    }

    @Test func `adds up the figures of several processes`() async throws {
        let summary = try await simulate { $0.seeds = 2 }
        var sum = Summary()
        sum.add(figures: "figures " + summary.figureLine)
        sum.add(figures: "figures " + summary.figureLine)
        #expect(sum.seeds == 4)
        #expect(sum.grants == 2 * summary.grants)
    }
}
