import EventLoop
import TestSupport

/// One of the product's programs as a process of its own; what it says goes to a file.
final class Program: Sendable {
    let name: String
    /// Where it writes.
    let log: String
    private let child: ChildProcess
    private let loop: EventLoop

    private init(name: String, log: String, child: ChildProcess, loop: EventLoop) {
        self.name = name
        self.log = log
        self.child = child
        self.loop = loop
    }

    var processID: Int32 { child.processID }

    /// Starts a program that was built beside the tests, or one of the system by its path. It dies with them.
    static func start(
        _ name: String, _ arguments: [String], log: String, directory: String? = nil,
        environment: [String: String] = [:], on loop: EventLoop
    ) async throws -> Program {
        let path = name.hasPrefix("/") ? name : Files.directory(of: Environment.executablePath ?? "") + "/" + name
        guard Files.isExecutable(path) else {
            throw Missing(description: "\(path) is missing: run `swift build --build-tests` first")
        }
        let child = try await loop.run {
            var command = ChildCommand([path] + arguments)
            command.output = .file(log)
            command.errorOutput = .file(log)
            command.directory = directory
            command.environment = environment.merging(["PATH": Environment.get("PATH") ?? "/usr/bin:/bin"]) { $1 }
            command.diesWithParent = .kill
            return try ChildProcess.start(command, on: loop)
        }
        return Program(name: name, log: log, child: child, loop: loop)
    }

    struct Missing: Error, CustomStringConvertible { let description: String }

    /// All that it has said.
    var said: String { (try? Files.read(log)).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    var isRunning: Bool {
        get async throws { try await loop.run { self.child.isRunning } }
    }

    func signal(_ signal: Signals.Signal) {
        let child = child
        loop.perform { child.signal(signal) }
    }

    /// Ends it as a crash would.
    @discardableResult
    func kill() async -> ChildExit {
        signal(.kill)
        return await finish()
    }

    /// Ends it as its user would.
    @discardableResult
    func terminate() async -> ChildExit {
        signal(.terminate)
        return await finish()
    }

    func finish() async -> ChildExit { await child.finish().exit }

    /// The first address that it says it listens at.
    func address(scheme: String = "http") async throws -> (host: String, port: Int) {
        try await eventually("\(name) says where it listens", within: .seconds(30)) {
            guard try await self.isRunning else {
                throw Missing(description: "\(self.name) ended with: \(self.said)")
            }
            let said = self.said
            guard let range = said.firstRange(of: "\(scheme)://127.0.0.1:") else { return nil }
            let rest = said[range.upperBound...]
            let digits = rest.prefix { $0.isNumber }
            // The line may not be written to its end yet.
            guard digits.endIndex != rest.endIndex, let port = Int(digits) else { return nil }
            return (host: "127.0.0.1", port: port)
        }
    }

    /// Memory that it has in use, in bytes.
    var residentBytes: Int { number(after: "VmRSS:", in: "status") * 1024 }

    /// Files and sockets that it has open.
    var openFiles: Int { (try? Files.list("/proc/\(processID)/fd").count) ?? 0 }

    private func number(after word: String, in file: String) -> Int {
        let text = (try? Files.read("/proc/\(processID)/\(file)")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard let range = text.firstRange(of: word) else { return 0 }
        let digits = text[range.upperBound...].drop { !$0.isNumber }.prefix { $0.isNumber }
        return Int(digits) ?? 0
    }
}
