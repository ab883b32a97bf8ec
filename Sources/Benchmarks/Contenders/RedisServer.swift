import EventLoop
import LoadGenerator
import RedisClient
import Telemetry

/// A Redis of the run's own, with the settings that `leasehold up` gives its private one.
struct RedisServer: Sendable {
    let server: Server
    let port: Int
    let socket: String
    let client: RedisClient

    static func start(on ground: Ground, room: String, isDurable: Bool = true) async throws -> RedisServer {
        let directory = try ground.room(room)
        let port = try Host.freePort()
        let socket = "\(directory)/redis.sock"
        let server = try await ground.start(
            "\(room)-redis",
            [
                "redis-server", "--bind", "127.0.0.1", "--port", String(port), "--unixsocket", socket, "--dir",
                directory, "--save", "", "--maxmemory-policy", "noeviction", "--maxclients", "12000", "--appendonly",
                isDurable ? "yes" : "no", "--appendfsync", "everysec",
            ], ready: .unix(path: socket))
        let client = RedisClient(
            loop: ground.loop, endpoint: RedisEndpoint(address: .unix(path: socket)), name: "bench", log: .silent)
        ground.loop.perform { client.start() }
        try await eventually("the benchmark's own connection to Redis", on: ground.loop) { client.isConnected }
        return RedisServer(server: server, port: port, socket: socket, client: client)
    }

    /// How much has been asked of this server since it started.
    struct Counters: Sendable {
        /// Commands, those that scripts called included.
        let commands: Double
        let scripts: Double
        let publishes: Double
        let bytesIn: Double
        let bytesOut: Double
    }

    func counters() async throws -> Counters {
        let statistics = try await info("stats")
        let commands = try await info("commandstats")
        return Counters(
            commands: statistics["total_commands_processed"] ?? 0, scripts: commands["cmdstat_evalsha.calls"] ?? 0,
            publishes: commands["cmdstat_publish.calls"] ?? 0,
            bytesIn: statistics["total_net_input_bytes"] ?? 0, bytesOut: statistics["total_net_output_bytes"] ?? 0)
    }

    /// What `INFO` tells as numbers, by name; of the commands' statistics the calls and microseconds.
    func info(_ section: String) async throws -> [String: Double] {
        let text = try await client.command(["INFO", .text(section)]).text ?? ""
        var numbers: [String: Double] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            if let number = Double(parts[1]) { numbers[parts[0]] = number }
            for field in parts[1].split(separator: ",") {
                let sides = field.split(separator: "=").map(String.init)
                if sides.count == 2, let number = Double(sides[1]) { numbers["\(parts[0]).\(sides[0])"] = number }
            }
        }
        return numbers
    }
}

/// The ceiling: a key set and deleted, with the same load generator and no wait for anybody.
struct RawRedis: Contender {
    let name = "raw Redis SET+DEL"
    let ground: Ground
    let port: Int
    let redis: RedisServer?
    let servers: [Server]

    static func start(on ground: Ground) async throws -> RawRedis {
        let redis = try await RedisServer.start(on: ground, room: "raw")
        return RawRedis(ground: ground, port: redis.port, redis: redis, servers: [redis.server])
    }

    func objection(to workload: LockWorkload) -> String? {
        workload.isOneLock ? "it has no queue" : nil
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        try await rush(workload, to: .loopback(port: port), on: ground) { RedisPairDialogue(key: "lock-\($0)") }
    }
}
