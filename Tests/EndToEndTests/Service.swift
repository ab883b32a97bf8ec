import EventLoop
import HTTP
import Synchronization
import TestSupport

/// A pool as its users run it: Redis, an agent with invented GPUs and coordinators, each a process of its own.
final class Service: Sendable {
    let redis: TestRedis
    let client: HTTPClient
    private let units: Int
    private let programs = Mutex<[Program]>([])
    private let bridges = Mutex<[Bridge]>([])
    private let agents = Mutex<[Program]>([])

    init(_ redis: TestRedis, units: Int) {
        self.redis = redis
        self.units = units
        client = HTTPClient(loop: redis.loop)
    }

    var loop: EventLoop { redis.loop }
    /// The first coordinator that was started.
    var bridge: Bridge { bridge(0) }
    func bridge(_ number: Int) -> Bridge { bridges.withLock { $0[number] } }
    /// The agent that was started last.
    var agent: Program {
        agents.withLock { agents in
            guard let last = agents.last else { preconditionFailure("withService starts an agent") }
            return last
        }
    }

    /// Starts one more coordinator.
    @discardableResult
    func startBridge(_ options: String...) async throws -> Bridge {
        let number = programs.withLock { $0.count }
        let program = try await start(
            "leasehold-coordinator",
            ["--redis", redis.endpoint.description, "--listen", "127.0.0.1:0"] + options, log: "coordinator-\(number)")
        let bridge = try await Bridge(program, client: client)
        bridges.withLock { $0.append(bridge) }
        try await bridge.waitUntilReady()
        return bridge
    }

    /// Starts the agent of host `h1`, the first time or again.
    func startAgent() async throws {
        let number = programs.withLock { $0.count }
        let isFirst = agents.withLock { $0.isEmpty }
        let agent = try await start(
            "leasehold-agent",
            [
                "--redis", redis.endpoint.description, "--host-id", "h1", "--state-dir", "\(redis.directory)/agent",
                "--simulate", "\(units)",
            ] + (isFirst ? ["--first-join"] : []), log: "agent-\(number)")
        agents.withLock { $0.append(agent) }
    }

    /// Starts an agent of another host, in a pool of its own.
    func startAgent(host: String, pool: String) async throws {
        _ = try await start(
            "leasehold-agent",
            [
                "--redis", redis.endpoint.description, "--host-id", host, "--pool", pool, "--state-dir",
                "\(redis.directory)/\(host)", "--simulate", "1", "--first-join",
            ], log: "agent-\(host)")
    }

    /// Starts a program, which is killed at the end, in the directory of the test's Redis.
    func start(_ name: String, _ arguments: [String], log: String) async throws -> Program {
        let program = try await Program.start(
            name, arguments, log: "\(redis.directory)/\(log).log", directory: redis.directory, on: loop)
        programs.withLock { $0.append(program) }
        return program
    }

    func end() async {
        client.close()
        for program in programs.withLock({ $0 }) { await program.kill() }
    }

    /// What the programs have said, for a test that has failed.
    var said: String {
        programs.withLock { $0 }.map { "--- \($0.log)\n\($0.said.suffix(2000))" }.joined(separator: "\n")
    }
}

/// A test that has failed, with what the programs said.
struct Failed: Error, CustomStringConvertible {
    let error: any Error
    let said: String
    var description: String { "\(error)\n\(said)" }
}

/// Runs `body` beside a service whose units are free; all of it ends on every path.
func withService<Result: Sendable>(
    units: Int = 1, bridges: Int = 1, _ body: @Sendable (Service) async throws -> Result
) async throws -> Result {
    Environment.raiseFileLimit()
    return try await withRedis { redis in
        let service = Service(redis, units: units)
        do {
            try await service.startAgent()
            for _ in 0..<bridges { try await service.startBridge() }
            for number in 0..<bridges {
                try await eventually("the units are free", within: .seconds(20), is: units) {
                    try await service.bridge(number).status().units.count {
                        $0.key != "h1/model-load" && $0.value == "free"
                    }
                }
            }
            let result = try await body(service)
            await service.end()
            return result
        } catch {
            let said = service.said
            await service.end()
            throw Failed(error: error, said: said)
        }
    }
}

/// How much these tests do: little by itself, more where a variable says so.
///
/// `LEASEHOLD_ROUNDS`: clients that die, strangers (20). `LEASEHOLD_CROWD`: clients of one unit (300).
/// `LEASEHOLD_FLUSHES`: times that Redis forgets everything (5). `LEASEHOLD_PAIRS` and `LEASEHOLD_ABANDONED`: traffic
/// after which nothing may be left (5000, 500). `LEASEHOLD_PREEMPTIONS`: dreams that a voice ends (4).
/// `LEASEHOLD_FAILOVERS`: masters that die (1).
enum Rounds {
    /// `standard`, or what the variable says.
    static func count(_ standard: Int, _ variable: String = "LEASEHOLD_ROUNDS") -> Int {
        Environment.get(variable).flatMap { Int($0) } ?? standard
    }
}

/// What several tasks of a test write down together.
final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        value.withLock { value in body(&value) }
    }
}
