import EventLoop
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite struct RedisFaultTests {
    @Test func `what waits when the server dies fails exactly once, and a restart is found`() async throws {
        try await withRedis { redis in
            redis.pause()
            let outcomes = Log<RedisError.Kind?>()
            try await send(100, to: redis.client) { outcomes.add($0.kind) }
            await redis.kill()
            try await eventually("all have failed", is: 100) { outcomes.all.count }
            #expect(outcomes.all.allSatisfy { $0 == .disconnected })
            let refused = await #expect(throws: RedisError.self) { try await redis.client.command(["PING"]) }
            #expect(refused?.kind == .notConnected)
            try await redis.restart()
            try await redis.waitUntilConnected()
            #expect(try await redis.client.command(["PING"]) == .status("PONG"))
            #expect(outcomes.all.count == 100)
            #expect(redis.states.first == .connected(generation: 1))
            #expect(redis.states.last == .connected(generation: 2))
        }
    }

    @Test func `a server that hangs costs its deadline and not more`() async throws {
        var settings = RedisSettings()
        settings.deadline = .seconds(1)
        settings.connectDeadline = .seconds(1)
        try await withRedis(settings: settings) { redis in
            redis.pause()
            let clock = ContinuousClock()
            let begin = clock.now
            let error = await #expect(throws: RedisError.self) { try await redis.client.command(["PING"]) }
            #expect(error?.kind == .deadline)
            #expect(clock.now - begin >= .seconds(1))
            try await eventually("a new connection gives up too") { redis.states.count >= 2 }
            redis.resume()
            try await redis.waitUntilConnected()
            #expect(try await redis.client.command(["PING"]) == .status("PONG"))
        }
    }

    @Test func `a command may have a shorter deadline than the others`() async throws {
        try await withRedis { redis in
            redis.pause()
            let outcomes = Log<RedisError.Kind?>()
            try await send(1, to: redis.client) { outcomes.add($0.kind) }
            let error = await #expect(throws: RedisError.self) {
                try await redis.client.command(["PING"], deadline: .milliseconds(50))
            }
            #expect(error?.kind == .deadline)
            #expect(outcomes.all == [.disconnected])
        }
    }

    @Test func `commands beyond the bound are refused and the others answered`() async throws {
        var settings = RedisSettings()
        settings.inFlightLimit = 64
        try await withRedis(settings: settings) { redis in
            redis.pause()
            let outcomes = Log<RedisError.Kind?>()
            try await send(100, to: redis.client) { outcomes.add($0.kind) }
            #expect(outcomes.all == Array(repeating: .overloaded, count: 36))
            redis.resume()
            try await eventually("all are answered", is: 100) { outcomes.all.count }
            #expect(outcomes.all.filter { $0 == nil }.count == 64)
        }
    }

    @Test func `a connection that the server cuts is made again`() async throws {
        try await withRedis { redis in
            let other = try await redis.connect()
            for generation in 2...5 {
                _ = try await other.command(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
                try await eventually("connected again", is: .connected(generation: generation)) { redis.states.last }
            }
            #expect(try await redis.client.command(["PING"]) == .status("PONG"))
            await other.close()
        }
    }

    @Test func `closing fails what waits and ends for ever`() async throws {
        try await withRedis { redis in
            let outcomes = Log<RedisError.Kind?>()
            redis.pause()
            try await send(10, to: redis.client) { outcomes.add($0.kind) }
            await redis.client.close()
            #expect(outcomes.all == Array(repeating: .disconnected, count: 10))
            redis.resume()
            let error = await #expect(throws: RedisError.self) { try await redis.client.command(["PING"]) }
            #expect(error?.kind == .notConnected)
        }
    }

    @Test func `a callback may close the client that called it`() async throws {
        try await withRedis { redis in
            let other = try await redis.connect()
            let outcomes = Log<RedisError.Kind?>()
            try await redis.loop.run {
                for _ in 0..<5 {
                    other.command(["PING"]) { outcome in
                        outcomes.add(outcome.kind)
                        redis.loop.spawn { await other.close() }
                        other.closeNow()
                    }
                }
            }
            try await eventually("each was told once", is: 5) { outcomes.all.count }
        }
    }

    @Test func `a closed client leaves nothing behind`() async throws {
        try await withRedis { redis in
            weak var gone: RedisClient?
            do {
                let other = try await redis.connect()
                gone = other
                _ = try await other.command(["PING"])
                await other.close()
            }
            try await eventually("the client is gone") { [weak gone] in gone == nil }
            try await eventually("the server sees one connection", is: 1) {
                let list = try await redis.client.command(["CLIENT", "LIST"]).text ?? ""
                return list.split(separator: "\n").count
            }
        }
    }

    @Test func `a server that may evict is refused until it may not`() async throws {
        try await withRedis { redis in
            _ = try await redis.client.command(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])
            let other = RedisClient(loop: redis.loop, endpoint: redis.endpoint, name: "other", log: .silent)
            try await redis.loop.run { other.start() }
            let refusal = RedisState.refused(
                reason: "Redis has maxmemory-policy allkeys-lru and may forget what it stores: set it to noeviction")
            try await eventually("refused", is: refusal) { try await redis.loop.run { other.state } }
            let error = await #expect(throws: RedisError.self) { try await other.command(["PING"]) }
            #expect(error?.kind == .refusedServer)
            _ = try await redis.client.command(["CONFIG", "SET", "maxmemory-policy", "noeviction"])
            try await eventually("connected") { try await redis.loop.run { other.isConnected } }
            await other.close()
        }
    }

    @Test func `a server older than wanted is refused`() async throws {
        try await withRedis { redis in
            var settings = RedisSettings()
            settings.oldestVersion = RedisVersion(major: 99, minor: 1)
            let other = RedisClient(
                loop: redis.loop, endpoint: redis.endpoint, name: "other", log: .silent, settings: settings)
            try await redis.loop.run { other.start() }
            try await eventually("refused") {
                guard case .refused(let reason) = try await redis.loop.run({ other.state }) else { return false }
                return reason.hasSuffix("want 99.1 or newer: update it")
            }
            await other.close()
        }
    }

    @Test func `a primary that becomes a replica is left until it is one again`() async throws {
        try await withRedis { redis in
            _ = try await redis.client.command(["REPLICAOF", "127.0.0.1", "1"])
            let error = await #expect(throws: RedisError.self) { try await redis.client.command(["SET", "a", "1"]) }
            #expect(error?.message.hasPrefix("READONLY") == true)
            try await eventually("the replica is not used") {
                guard case .disconnected(let reason)? = redis.states.last else { return false }
                return reason.contains("is a replica")
            }
            try await redis.restart()
            try await redis.waitUntilConnected()
            #expect(try await redis.client.command(["SET", "a", "1"]) == .status("OK"))
        }
    }

    @Test func `a server that appears late is found`() async throws {
        try await withRedis { redis in
            await redis.stop()
            try await eventually("the loss is told") {
                if case .disconnected? = redis.states.last { true } else { false }
            }
            try await redis.restart()
            try await redis.waitUntilConnected()
        }
    }

    @Test func `a host without an address is told by name`() async throws {
        try await withLoop { loop in
            let endpoint = try RedisEndpoint(parsing: "redis://no-such-host.invalid/1")
            let client = RedisClient(loop: loop, endpoint: endpoint, name: "other", log: .silent)
            try await loop.run { client.start() }
            try await eventually("the lookup has failed", within: .seconds(30)) {
                guard case .disconnected(let reason) = try await loop.run({ client.state }) else { return false }
                return reason.contains("no-such-host.invalid") || reason.contains("no answer while connecting")
            }
            await client.close()
        }
    }
}

@Suite struct RedisLogInTests {
    @Test func `user, password, database and name arrive, over TCP by host name too`() async throws {
        try await withRedis { redis in
            let port = try await openPort(redis)
            _ = try await redis.client.command(
                ["ACL", "SETUSER", "anna", "on", ">p@ss %1", "~*", "&*", "+@all"])
            let endpoint = try RedisEndpoint(parsing: "redis://anna:p%40ss%20%251@localhost:\(port)/3")
            let other = RedisClient(loop: redis.loop, endpoint: endpoint, name: "anna-1", log: .silent)
            try await redis.loop.run { other.start() }
            try await eventually("connected") { try await redis.loop.run { other.isConnected } }
            #expect(try await other.command(["ACL", "WHOAMI"]) == .bytes(Array("anna".utf8)))
            #expect(try await other.command(["CLIENT", "GETNAME"]) == .bytes(Array("anna-1".utf8)))
            #expect(try await other.command(["CLIENT", "INFO"]).text?.contains(" db=3 ") == true)
            await other.close()
        }
    }

    @Test func `a wrong password is refused with what to do and without the password`() async throws {
        try await withRedis { redis in
            _ = try await redis.client.command(["ACL", "SETUSER", "anna", "on", ">right", "~*", "+@all"])
            let endpoint = try RedisEndpoint(parsing: "unix://anna:wr0ng@\(redis.socketPath)")
            let other = RedisClient(loop: redis.loop, endpoint: endpoint, name: "other", log: .silent)
            try await redis.loop.run { other.start() }
            try await eventually("refused") {
                guard case .refused(let reason) = try await redis.loop.run({ other.state }) else { return false }
                return reason.contains("put user and password into its address") && !reason.contains("wr0ng")
            }
            await other.close()
        }
    }

    @Test func `a missing log-in is refused`() async throws {
        try await withRedis { redis in
            _ = try await redis.client.command(["ACL", "SETUSER", "default", "on", ">secret"])
            let other = RedisClient(loop: redis.loop, endpoint: redis.endpoint, name: "other", log: .silent)
            try await redis.loop.run { other.start() }
            try await eventually("refused") {
                if case .refused = try await redis.loop.run({ other.state }) { true } else { false }
            }
            await other.close()
        }
    }
}

/// Lets the server listen on a port that it could take itself.
func openPort(_ redis: TestRedis) async throws -> Int {
    try await eventually("a free port is found") {
        let port = Int.random(in: 20000..<60000)
        let answer = try? await redis.client.command(["CONFIG", "SET", "port", .integer(Int64(port))])
        return answer == .status("OK") ? port : nil
    }
}

extension Result where Success == RedisReply, Failure == RedisError {
    /// The kind of the failure; nil for an answer.
    var kind: RedisError.Kind? {
        if case .failure(let error) = self { error.kind } else { nil }
    }
}

/// Sends PINGs in one turn of the loop.
private func send(
    _ count: Int, to client: RedisClient, _ outcome: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
) async throws {
    try await client.loop.run {
        for _ in 0..<count { client.command(["PING"]) { outcome($0) } }
    }
}

/// Values in the order in which they came, from any thread.
final class Log<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}
