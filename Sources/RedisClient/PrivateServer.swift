import EventLoop
import Telemetry

/// A Redis server of this process's own, reached by a unix socket in a directory that only this user can enter.
///
/// It ends with the loop's thread, however that ends: cleanly where there is time, by `SIGTERM` from the kernel where
/// not. `@unchecked Sendable` holds because everything happens on the loop's thread; the async calls go there first.
package final class PrivateServer: @unchecked Sendable {
    /// What is kept when the server or its host dies.
    package enum Durability: Sendable {
        /// All but the last second.
        case everySecond
        /// All that was answered; slower.
        case always
        /// Nothing; for tests.
        case none
    }

    package let socketPath: String
    package let processID: Int32
    /// The address for clients.
    package var endpoint: RedisEndpoint { RedisEndpoint(address: .unix(path: socketPath)) }

    /// Called on the loop's thread when the server ends without `stop`, so that its owner can start another.
    package var onExit: (@Sendable (ChildExit) -> Void)?

    private let loop: EventLoop
    private let log: Log
    private let child: ChildProcess
    /// Held as long as the server lives, so that its owner may start the next one as soon as this one has ended.
    private var lock: FileLock?
    private var isStopping = false

    /// Loading a large append-only file takes its time.
    private static let startDeadline = Duration.seconds(60)
    private static let stopDeadline = Duration.seconds(10)

    private init(child: ChildProcess, lock: FileLock, files: PrivateServerFiles, loop: EventLoop, log: Log) {
        self.child = child
        self.lock = lock
        self.loop = loop
        self.log = log
        socketPath = files.socket
        processID = child.processID
    }

    /// Starts a server in `directory`, made when missing, and waits until it answers. What it held before is there
    /// again, unless `durability` is `none`. A server that an earlier process left behind is ended first.
    ///
    /// Throws when there is no `redis-server`, when it does not come up, or when another process has the directory.
    package static func start(
        loop: EventLoop, directory: String, durability: Durability, log: Log
    ) async throws -> PrivateServer {
        let files = PrivateServerFiles(directory: directory)
        guard files.socket.utf8.count <= 107 else {
            throw RedisError(
                .badURL, "\(directory) is too long for a socket's path, 107 bytes in all: choose a shorter one")
        }
        try Files.makeDirectory(directory)
        guard let lock = try FileLock.take(files.lock) else {
            throw RedisError(.refusedServer, "another process has a Redis running in \(directory): stop it first")
        }
        try await endLeftBehind(files, loop: loop, log: log)
        try Files.remove(files.socket)
        let server = try await onLoop(loop) {
            let child = try ChildProcess.start(command(files, durability: durability), on: loop)
            let server = PrivateServer(child: child, lock: lock, files: files, loop: loop, log: log)
            child.whenFinished { _ in server.lock = nil }
            return server
        }
        do {
            try files.remember(server.processID)
            try await server.waitUntilReady(files)
        } catch {
            await server.stop()
            throw error
        }
        server.watch()
        return server
    }

    private static func command(_ files: PrivateServerFiles, durability: Durability) -> ChildCommand {
        var arguments = [
            "redis-server", "--port", "0", "--unixsocket", files.socket, "--unixsocketperm", "700",
            "--dir", files.directory, "--save", "", "--maxmemory-policy", "noeviction",
            // Nobody asks for its histograms, which every command inside scripts pays for.
            "--latency-tracking", "no", "--daemonize", "no", "--supervised", "no", "--pidfile", "", "--logfile",
            files.log,
        ]
        switch durability {
        case .everySecond: arguments += ["--appendonly", "yes", "--appendfsync", "everysec"]
        case .always: arguments += ["--appendonly", "yes", "--appendfsync", "always"]
        case .none: arguments += ["--appendonly", "no"]
        }
        var command = ChildCommand(arguments)
        command.diesWithParent = .terminate
        return command
    }

    // MARK: Life

    /// Stops the server, which first writes down what it holds; killed when that takes more than 10 s.
    package func stop() async {
        loop.perform {
            guard self.child.isRunning, !self.isStopping else { return }
            self.isStopping = true
            self.child.signal(.terminate)
            let child = self.child
            let killer = self.loop.timer { child.signal(.kill) }
            killer.arm(after: Self.stopDeadline)
            child.whenFinished { _ in killer.disarm() }
        }
        _ = await child.finish()
    }

    /// Sends a signal to the server; `stop` is the way to end it.
    package func signal(_ signal: Signals.Signal) {
        loop.perform { self.child.signal(signal) }
    }

    /// Waits for the server's end.
    package func finish() async -> ChildExit { await child.finish().exit }

    private func watch() {
        loop.perform {
            self.child.whenFinished { result in
                guard !self.isStopping else { return }
                self.log.debug("redis_server_ended", ["how": "\(result.exit)"])
                self.onExit?(result.exit)
            }
        }
    }

    private func waitUntilReady(_ files: PrivateServerFiles) async throws {
        let end = loop.now + Self.startDeadline
        while loop.now < end {
            if await Self.answers(socket: files.socket, loop: loop) { return }
            guard try await Self.onLoop(loop, { self.child.isRunning }) else {
                let said = String(decoding: await child.finish().errorOutput, as: UTF8.self)
                throw RedisError(
                    .notConnected, "redis-server ended at once: \(said.isEmpty ? "see \(files.log)" : said)")
            }
            await loop.sleep(for: .milliseconds(2))
        }
        throw RedisError(.deadline, "redis-server does not answer: see \(files.log)")
    }

    /// Whether a server at the socket answers PING, which one that still loads its data does with an error.
    private static func answers(socket: String, loop: EventLoop) async -> Bool {
        await withUnsafeContinuation { continuation in
            loop.perform {
                let link = RedisLink(loop: loop)
                link.onDown = { _ in continuation.resume(returning: false) }
                link.onUp = { [weak link] in
                    guard let link else { return }
                    let isSent = link.send(["PING"], deadline: .seconds(2)) { [weak link] outcome in
                        guard case .success = outcome else {
                            if case .failure(let error) = outcome, error.kind == .server {
                                link?.close(because: error.message)
                                continuation.resume(returning: false)
                            }
                            return  // the end of the connection tells
                        }
                        link?.close(because: "asked")
                        continuation.resume(returning: true)
                    }
                    if !isSent {
                        link.close(because: "takes no commands")
                        continuation.resume(returning: false)
                    }
                }
                link.connect(to: .unix(path: socket))
            }
        }
    }

    /// Ends a server whose parent died in the short time before it had asked the kernel to be told of that.
    private static func endLeftBehind(_ files: PrivateServerFiles, loop: EventLoop, log: Log) async throws {
        guard let process = files.remembered() else { return }
        log.debug("redis_server_left_behind", ["process": "\(process.id)"])
        let patience = loop.now + stopDeadline
        ProcessGroup.signal(process.id, .terminate)
        while process.isAlive {
            if loop.now > patience { ProcessGroup.signal(process.id, .kill) }
            guard loop.now < patience + stopDeadline else {
                throw RedisError(
                    .refusedServer,
                    "process \(process.id), a Redis left behind in \(files.directory), does not end: end it")
            }
            await loop.sleep(for: .milliseconds(5))
        }
    }

    private static func onLoop<Result: Sendable>(
        _ loop: EventLoop, _ work: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        let outcome: Swift.Result<Result, any Error> = await withUnsafeContinuation { continuation in
            loop.perform { continuation.resume(returning: Swift.Result { try work() }) }
        }
        return try outcome.get()
    }
}

/// The files of a private server's directory.
struct PrivateServerFiles: Sendable {
    let directory: String
    var socket: String { "\(directory)/redis.sock" }
    var log: String { "\(directory)/redis.log" }
    var lock: String { "\(directory)/redis.lock" }
    private var process: String { "\(directory)/redis.process" }

    /// A process that cannot be taken for a later one of the same number.
    struct Process {
        let id: Int32
        let startTicks: UInt64
        var isAlive: Bool { ProcessGroup.startTicks(ofProcess: id) == startTicks }
    }

    init(directory: String) { self.directory = directory }

    func remember(_ id: Int32) throws(LoopError) {
        guard let ticks = ProcessGroup.startTicks(ofProcess: id) else { return }  // ended already
        try Files.replace(process, with: Array("\(id) \(ticks) \(try Environment.bootID())\n".utf8))
    }

    /// The server that was started here last, when it still runs.
    func remembered() -> Process? {
        guard let bytes = try? Files.read(process), let boot = try? Environment.bootID() else { return nil }
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count == 3, words[2] == boot, let id = Int32(words[0]), let ticks = UInt64(words[1]) else {
            return nil
        }
        let process = Process(id: id, startTicks: ticks)
        return process.isAlive ? process : nil
    }
}
