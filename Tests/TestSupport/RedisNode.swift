import EventLoop
import Glibc
import RedisClient
import Synchronization

/// A `redis-server` on a loopback port, as one of several that belong together; a sentinel or a cluster's node too.
package final class RedisNode: Sendable {
    package let port: Int
    package var address: RedisEndpoint.Address { .tcp(host: "127.0.0.1", port: port) }

    private let loop: EventLoop
    private let arguments: [String]
    private let child = Mutex<ChildProcess?>(nil)

    /// - Parameters:
    ///   - directory: Its own, made when missing.
    ///   - lines: Of its configuration file, beside those that all nodes have.
    package init(
        loop: EventLoop, port: Int, directory: String, lines: [String], isSentinel: Bool = false
    ) throws {
        self.loop = loop
        self.port = port
        try Files.makeDirectory(directory)
        let common = ["port \(port)", "bind 127.0.0.1", "dir \(directory)", "logfile \(directory)/log"]
        let text = (common + lines).map { $0 + "\n" }.joined()
        try Files.replace("\(directory)/conf", with: Array(text.utf8))
        arguments = ["redis-server", "\(directory)/conf"] + (isSentinel ? ["--sentinel"] : [])
    }

    /// What a server that stores has in its configuration.
    package static let store = [
        "save \"\"", "appendonly no", "maxmemory-policy noeviction", "repl-diskless-sync-delay 0",
    ]

    private static let given = Mutex<Set<Int>>([])

    /// Ports that nobody listens on and no test of this process was given, below those that the kernel gives to
    /// connections.
    package static func freePorts(_ count: Int) -> [Int] {
        var ports: [Int] = []
        while ports.count < count {
            let port = Int.random(in: 20_000..<32_000)
            if isFree(port), given.withLock({ $0.insert(port).inserted }) { ports.append(port) }
        }
        return ports
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    /// Returns once it answers.
    package func start() async throws {
        var command = ChildCommand(arguments)
        command.diesWithParent = .kill
        let started = command
        let child = try await loop.run { try ChildProcess.start(started, on: self.loop) }
        self.child.withLock { $0 = child }
        try await eventually("port \(port) answers", is: "PONG") { try await self.ask("PING") }
    }

    /// What `redis-cli` prints for a command, without the last line feed; error texts too.
    @discardableResult
    package func ask(_ words: String...) async throws -> String {
        let command = ChildCommand(["redis-cli", "-h", "127.0.0.1", "-p", "\(port)", "--no-auth-warning"] + words)
        let result = try await ChildProcess.run(command, deadline: .seconds(20), on: loop)
        let said = result.output.isEmpty ? result.errorOutput : result.output
        return String(decoding: said.last == 10 ? said.dropLast() : said[...], as: UTF8.self)
    }

    /// Ends it at once, as a crash would.
    package func kill() async {
        guard let child = child.withLock({ $0 }) else { return }
        loop.perform { child.signal(.kill) }
        _ = await child.finish()
        self.child.withLock { $0 = nil }
    }

    /// Lets it hang: connections and bytes are taken, nothing is answered.
    package func pause() { signal(SIGSTOP) }
    package func resume() { signal(SIGCONT) }

    private func signal(_ number: Int32) {
        // Not reaped before `kill` has taken it out.
        child.withLock { if let child = $0 { _ = Glibc.kill(child.processID, number) } }
    }
}

/// Connects a client; the test closes it.
package func connect(_ client: RedisClient) async throws {
    try await client.loop.run { client.start() }
    try await eventually("the client is connected") { try await client.loop.run { client.isConnected } }
}
