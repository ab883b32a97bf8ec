import EventLoop
import Glibc
import RedisClient
import Synchronization
import Telemetry

/// Runs `body` beside a private Redis on its own socket, a loop and a connected client; all of it ends on every path.
package func withRedis<Result: Sendable>(
    durability: PrivateServer.Durability = .none, settings: RedisSettings = .init(),
    _ body: @Sendable (TestRedis) async throws -> Result
) async throws -> Result {
    try await withLoop { loop in
        let redis = try await TestRedis(loop: loop, durability: durability, settings: settings)
        do {
            let result = try await body(redis)
            await redis.end()
            return result
        } catch {
            await redis.end()
            throw error
        }
    }
}

/// A private Redis that a test may stop, kill, pause and start again.
package final class TestRedis: Sendable {
    package let loop: EventLoop
    /// Connected when the test begins.
    package let client: RedisClient
    /// Where the server keeps its socket and files; removed at the end.
    package let directory: String
    /// Where `client` stands now, told by its own `onStateChange`.
    package var states: [RedisState] { seen.withLock { $0 } }

    private let durability: PrivateServer.Durability
    private let server = Mutex<PrivateServer?>(nil)
    private let seen = Mutex<[RedisState]>([])

    init(loop: EventLoop, durability: PrivateServer.Durability, settings: RedisSettings) async throws {
        self.loop = loop
        self.durability = durability
        directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        let endpoint = RedisEndpoint(address: .unix(path: "\(directory)/redis.sock"))
        client = RedisClient(loop: loop, endpoint: endpoint, name: "test", log: .silent, settings: settings)
        do {
            try await restart()
            try await loop.run {
                self.client.onStateChange = { [weak self] state in self?.seen.withLock { $0.append(state) } }
                self.client.start()
            }
            try await waitUntilConnected()
        } catch {
            await end()
            throw error
        }
    }

    package var endpoint: RedisEndpoint { RedisEndpoint(address: .unix(path: socketPath)) }
    package var socketPath: String { "\(directory)/redis.sock" }

    /// The process id of the server; nil when it is not running.
    package var processID: Int32? { server.withLock { $0?.processID } }

    /// A second client of the same server, connected; the test closes it.
    package func connect(name: String = "other", settings: RedisSettings = .init()) async throws -> RedisClient {
        let client = RedisClient(loop: loop, endpoint: endpoint, name: name, log: .silent, settings: settings)
        try await loop.run { client.start() }
        try await eventually("\(name) is connected") { try await self.loop.run { client.isConnected } }
        return client
    }

    /// Returns once `client` takes commands.
    package func waitUntilConnected() async throws {
        try await eventually("the client is connected") { try await self.loop.run { self.client.isConnected } }
    }

    /// Ends the server as an administrator would.
    package func stop() async {
        let running = server.withLock { server in
            defer { server = nil }
            return server
        }
        await running?.stop()
    }

    /// Ends the server at once, as a crash would.
    package func kill() async {
        let running = server.withLock { server in
            defer { server = nil }
            return server
        }
        running?.signal(.kill)
        _ = await running?.finish()
    }

    /// Starts the server again with what it has kept, ending the present one first.
    package func restart() async throws {
        await stop()
        let started = try await PrivateServer.start(
            loop: loop, directory: directory, durability: durability, log: .silent)
        server.withLock { $0 = started }
    }

    /// How often the server was asked for this command since it started or `CONFIG RESETSTAT`.
    package func calls(of command: String) async throws -> Int {
        let told = try await client.command(["INFO", "commandstats"]).text ?? ""
        let line = told.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return (line?.split(separator: "=")[1].prefix(while: \.isNumber)).flatMap { Int($0) } ?? 0
    }

    /// Lets the server forget everything, scripts excepted.
    package func flushAll() async throws { _ = try await client.command(["FLUSHALL"]) }

    /// Lets the server hang, so that it takes connections and bytes and answers nothing.
    package func pause() { processID.map { _ = Glibc.kill($0, SIGSTOP) } }

    /// Lets a hanging server go on.
    package func resume() { processID.map { _ = Glibc.kill($0, SIGCONT) } }

    func end() async {
        resume()
        await client.close()
        await stop()
        try? Files.removeTree(directory)
    }
}
