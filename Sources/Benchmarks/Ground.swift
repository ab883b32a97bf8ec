import EventLoop
import LoadGenerator

/// Where a run takes place: its directory, the programs that it measures and the processes that it has started.
struct Ground: Sendable {
    let loop: EventLoop
    /// Removed at the end of the run.
    let directory: String
    /// Holds this project's programs.
    let programs: String
    /// Holds what `scripts/bench-peers` has installed.
    let peers: String

    /// A directory of its own below the run's.
    func room(_ name: String) throws(LoopError) -> String {
        let path = "\(directory)/\(name)"
        try Files.makeDirectory(path)
        return path
    }

    /// The first of these files that is there.
    static func find(_ paths: String...) -> String? { paths.first { Files.exists($0) } }

    var python: String { "\(peers)/venv/bin/python" }

    /// Starts a server and waits until somebody listens at `target`; nil waits for nothing.
    func start(_ name: String, _ arguments: [String], ready target: LoadTarget?) async throws -> Server {
        var command = ChildCommand(arguments)
        command.diesWithParent = .terminate
        command.output = .file("\(directory)/\(name).log")
        command.errorOutput = .file("\(directory)/\(name).log")
        command.directory = directory
        loop.checkIsolated()
        let server = Server(name: name, child: try ChildProcess.start(command, on: loop), loop: loop)
        guard let target else { return server }
        try await eventually("\(name) listens", on: loop) {
            guard server.child.isRunning else {
                let said = (try? Files.read("\(directory)/\(name).log")).map { String(decoding: $0, as: UTF8.self) }
                throw LoadError("\(name) ended at once: \(said?.suffix(300) ?? "it said nothing")")
            }
            return Host.isAnswered(target)
        }
        return server
    }
}

/// A process that is measured.
struct Server: Sendable {
    let name: String
    let child: ChildProcess
    let loop: EventLoop

    /// What kind of process it is, without the names of its room and host.
    var kind: String {
        for kind in ["redis", "coordinator", "agent"] where name.contains("-\(kind)") { return kind }
        return name
    }

    var processID: Int32 { child.processID }

    func stop() async {
        child.signal(.terminate)
        let killer = loop.timer { self.child.signal(.kill) }
        killer.arm(after: .seconds(10))
        _ = await child.finish()
        killer.disarm()
    }
}

/// Looks every few milliseconds whether a condition holds; throws where it does not within the patience.
func eventually(
    _ what: String, patience: Duration = .seconds(60), on loop: EventLoop, _ condition: () async throws -> Bool
) async throws {
    let end = loop.now + patience
    while try await !condition() {
        guard loop.now < end else { throw LoadError("\(what): not within \(patience)") }
        await loop.sleep(for: .milliseconds(20))
    }
}
