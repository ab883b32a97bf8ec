import EventLoop
import Testing

/// The programs that the documents show, run as they stand.
@Suite(.serialized) struct `The examples` {
    @Test func `in Swift take a lease and give it back`() async throws {
        try await withHouse { house in
            let folder = Files.directory(of: Environment.executablePath ?? "")
            let result = try await house.run(["\(folder)/example-swift"], environment: ["LEASEHOLD_URL": house.url()])
            #expect(result.exit == .exited(0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
            let text = String(decoding: result.output, as: UTF8.self)
            #expect(text.hasPrefix("h1/0 is mine") && text.hasSuffix("step 3\ngiven back\n"))
            #expect(try await house.holders() == [])
        }
    }

    @Test(.enabled(if: Self.python != nil, "python3 is not installed: the Python example is not tested"))
    func `in Python pass their own tests`() async throws {
        let python = try #require(Self.python)
        try await withHouse { house in
            let examples = "\(Self.root)/examples/python"
            let result = try await house.run(
                [python, "-B", "\(examples)/test_leasehold.py"],
                environment: [
                    "LEASEHOLD_URL": house.url(), "LEASEHOLD_OTHER_URL": house.url("nobody"),
                    "PATH": Environment.get("PATH") ?? "", "HOME": Environment.get("HOME") ?? "/",
                ])
            let text = String(decoding: result.errorOutput, as: UTF8.self)
            #expect(result.exit == .exited(0) && text.contains("Ran 7 tests"), "\(text)")
        }
    }

    private static let python = (Environment.get("PATH") ?? "").split(separator: ":").map { "\($0)/python3" }.first {
        Files.exists($0)
    }

    private static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
}

extension House {
    /// Runs a program to its end.
    func run(_ arguments: [String], environment: [String: String]) async throws -> ChildResult {
        let program = try await redis.loop.run {
            var command = ChildCommand(arguments)
            command.environment = environment
            command.diesWithParent = .kill
            return try ChildProcess.start(command, deadline: .seconds(120), on: self.redis.loop)
        }
        return await program.finish()
    }
}
