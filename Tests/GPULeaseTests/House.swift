import Agent
import Coordinator
import EventLoop
import GPULease
import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import Telemetry
import TestSupport

/// A whole service in this process: a private Redis, an agent with invented GPUs, and coordinators on unix sockets.
final class House: Sendable {
    let redis: TestRedis
    /// Sees the pool as it is, past all copies.
    let store: LeaseStore
    private let agent: Agent
    private let coordinators = Mutex<[Coordinator]>([])

    init(_ redis: TestRedis, units: Int) async throws {
        self.redis = redis
        store = LeaseStore(client: redis.client, pool: .standard)
        var settings = AgentSettings(
            redis: redis.endpoint, host: try HostID("h1"), stateDirectory: "\(redis.directory)/state", version: "test")
        settings.isFirstJoin = true
        settings.lockDelay = .milliseconds(50)
        let found = try (0..<units).map { index in
            UnitProperties(
                unit: try UnitID("h1/\(index)"), kind: .gpu, memoryMB: 24_000, deviceType: "discrete", details: "{}")
        }
        agent = Agent(settings: settings, loop: redis.loop, log: .silent, devices: { found }) { _ in }
        try await agent.start()
        try await eventually("the agent is registered") { await self.agent.isRegistered }
        try await openCoordinator("c1")
    }

    /// Where the coordinator of that name listens.
    func url(_ name: String = "c1") -> String { "unix://\(redis.directory)/\(name).sock" }

    /// A client of these coordinators.
    func pool(_ names: String...) throws -> GPUPool {
        try GPUPool(urls: names.isEmpty ? [url()] : names.map { url($0) }, token: "")
    }

    /// - Parameters:
    ///   - tokens: Role to token; none means that everybody may do everything.
    ///   - first: A pool without hosts to serve before that of the agent.
    @discardableResult
    func openCoordinator(
        _ name: String, tokens: [String: String] = [:], before first: String? = nil
    ) async throws -> Coordinator {
        var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
        if let first {
            settings.pool = try PoolID(first)
            settings.otherPools = [.standard]
        }
        settings.listen = [.unix(path: "\(redis.directory)/\(name).sock"), .tcp(host: "127.0.0.1", port: 0)]
        if !tokens.isEmpty {
            let lines = tokens.map { "\($0.key) roles=\($0.key) sha256=\(Digest.sha256Hex($0.value))\n" }
            let path = "\(redis.directory)/\(name).tokens"
            try Files.replace(path, with: Array(lines.joined().utf8))
            settings.tokensPath = path
        }
        settings.preemption.minRun = .zero
        settings.shutDownGrace = .milliseconds(200)
        let coordinator = Coordinator(settings: settings, loop: redis.loop, log: .silent)
        coordinators.withLock { $0.append(coordinator) }
        try await coordinator.start()
        try await eventually("\(name) is ready") { await coordinator.isReady }
        return coordinator
    }

    /// The coordinator that was opened first and runs.
    func closeCoordinator() async {
        let first = coordinators.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        // A coordinator's work stays on its loop, its end too.
        await redis.loop.spawn { await first?.stop() }.value
    }

    /// The holders of leases that stand, in the order of their names.
    func holders() async throws -> [String] {
        try await store.snapshot().leases.filter { $0.state == .held }.map(\.terms.holder.text).sorted()
    }

    /// The holders of requests that wait.
    func waiting() async throws -> [String] {
        try await store.snapshot().waiters.map(\.holder.text).sorted()
    }

    func revoke(_ mode: RevokeMode, by: String = "admin", why: String = "tests") async throws {
        _ = try await store.revoke(.all, mode: mode, by: by, why: why)
    }

    func end() async {
        while coordinators.withLock({ !$0.isEmpty }) { await closeCoordinator() }
        await agent.stop()
    }
}

func withHouse(units: Int = 1, _ body: @Sendable (House) async throws -> Void) async throws {
    try await withRedis { redis in
        let house = try await House(redis, units: units)
        do {
            try await body(house)
            await house.end()
        } catch {
            await house.end()
            throw error
        }
    }
}

/// The kind of the error that `work` throws; nil where it throws none or one of another type.
func failure(_ work: @Sendable () async throws -> Void) async -> LeaseError.Kind? {
    do {
        try await work()
        return nil
    } catch {
        return (error as? LeaseError)?.kind
    }
}

/// What several tasks put down, in its order.
final class Notes: Sendable {
    private let list = Mutex<[String]>([])
    var all: [String] { list.withLock { $0 } }
    func add(_ note: String) { list.withLock { $0.append(note) } }
}

extension LeaseError {
    /// Why the lease was lost; nil where this is something else.
    var reason: LossReason? { if case .lost(let reason, _, _) = kind { reason } else { nil } }
}
