import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import Telemetry
import TestSupport

@testable import Agent

/// A private Redis with agents on it, and the words that the tests of the whole agent are written in.
final class Scene: Sendable {
    let redis: TestRedis
    /// Speaks for the coordinator `c1`.
    let store: LeaseStore
    private let inbox: RedisSubscription
    private let heard = Mutex<[CoordinatorMessage]>([])
    private let agents = Mutex<[Agent]>([])
    private let ends = Mutex<[InstanceID: AgentError]>([:])

    init(_ redis: TestRedis) async throws {
        self.redis = redis
        store = LeaseStore(client: redis.client, pool: .standard)
        inbox = RedisSubscription(loop: redis.loop, endpoint: redis.endpoint, name: "c1", log: .silent)
        let isReady = Mutex(false)
        try await redis.loop.run { [self] in
            inbox.start(channels: [LeaseStore.inbox(of: InstanceID("c1"), pool: .standard)]) { _, bytes in
                self.heard.withLock { $0 += Inbox.coordinatorMessages(bytes) }
            } onStateChange: { state in
                if case .connected = state { isReady.withLock { $0 = true } }
            }
        }
        try await eventually("the inbox is open") { isReady.withLock { $0 } }
        try await store.settle()
    }

    func end() async {
        for agent in agents.withLock({ $0 }) { await agent.stop() }
        await inbox.close()
    }

    func settings(_ host: String = "h1", state: String = "state") throws -> AgentSettings {
        var settings = AgentSettings(
            redis: redis.endpoint, host: try HostID(host), stateDirectory: "\(redis.directory)/\(state)",
            version: "test")
        settings.isFirstJoin = true
        settings.lockDelay = .milliseconds(50)
        settings.longestGrace = .milliseconds(200)
        return settings
    }

    /// An agent that is not started; stopped at the end.
    func agent(_ settings: AgentSettings, units: [String] = ["h1/0"], log: Log = .silent) throws -> Agent {
        let found = try units.map { name in
            UnitProperties(
                unit: try UnitID(name), kind: .gpu, memoryMB: 24_000, deviceType: "discrete", details: "{}")
        }
        return agent(settings, log: log) { found }
    }

    func agent(_ settings: AgentSettings, log: Log = .silent, devices: @escaping DeviceSource) -> Agent {
        let name = Mutex<InstanceID?>(nil)
        let agent = Agent(settings: settings, loop: redis.loop, log: log, devices: devices) { error in
            if let instance = name.withLock({ $0 }) { self.ends.withLock { $0[instance] = error } }
        }
        name.withLock { $0 = agent.instance }
        agents.withLock { $0.append(agent) }
        return agent
    }

    /// An agent that Redis has heard.
    @discardableResult
    func start(_ settings: AgentSettings? = nil, units: [String] = ["h1/0"]) async throws -> Agent {
        let agent = try agent(settings ?? self.settings(), units: units)
        try await agent.start()
        try await eventually("the agent is registered") { await agent.isRegistered }
        return agent
    }

    /// Why an agent must not go on, once it has said so.
    func fate(of agent: Agent) async throws -> AgentError {
        try await eventually("the agent ends") { self.ends.withLock { $0[agent.instance] } }
    }

    func ask(_ ticket: String, ttl: Duration = .seconds(60)) async throws {
        _ = try await store.ask(
            Ask(
                ticket: TicketID(ticket), selector: .anyGPU, holder: try HolderID("holder-\(ticket)"), caller: "",
                priority: .standard, ttl: ttl, coordinator: InstanceID("c1"), token: TokenHash("hash-\(ticket)"),
                metadata: "", age: .fresh))
    }

    func record(of ticket: String) async throws -> LeaseRecord? {
        try await store.snapshot().leases.first { $0.terms.ticket.text == ticket }
    }

    /// The lease of a ticket, once its agent has confirmed it.
    func held(_ ticket: String) async throws -> LeaseID {
        try await eventually("\(ticket) holds a lease") {
            let record = try await self.record(of: ticket)
            return record?.state == .held ? record?.lease : nil
        }
    }

    /// The lease that the coordinator was told last for a ticket.
    private func granted(_ ticket: String) -> LeaseID? {
        heard.withLock { messages in
            messages.compactMap { message in
                if case .granted(let grant) = message, grant.ticket.text == ticket { grant.lease } else { nil }
            }.last
        }
    }

    /// Asks, and waits until the coordinator is told or the record says so: a short lease may be over before its record is
    /// looked at, and a message may be lost.
    func grant(_ ticket: String, ttl: Duration = .seconds(60)) async throws -> LeaseID {
        let before = granted(ticket)
        try await ask(ticket, ttl: ttl)
        return try await eventually("\(ticket) is granted a lease") {
            if let granted = self.granted(ticket), granted != before { return granted }
            let record = try await self.record(of: ticket)
            return record?.state == .held ? record?.lease : nil
        }
    }

    func waitUntilGone(_ ticket: String) async throws {
        try await eventually("\(ticket) has no lease", within: .seconds(15)) {
            try await self.record(of: ticket) == nil
        }
    }

    func message(_ what: String, where fits: @Sendable (CoordinatorMessage) -> Bool) async throws {
        try await eventually(what) { self.heard.withLock { $0.contains { fits($0) } } }
    }

    /// What an agent says of a unit: free, resting, confirming, held or ending, and the lease.
    func state(_ unit: String = "h1/0", at agent: Agent) async -> String {
        guard let report = await agent.reports.first(where: { $0.properties.unit.text == unit }) else {
            return "no unit"
        }
        switch report.state {
        case .free: return "free"
        case .resting: return "resting"
        case .bound(let lease): return "bound \(lease)"
        case .confirming(let lease): return "confirming \(lease.lease)"
        case .held(let lease): return "held \(lease.lease)"
        case .ending(let lease): return "ending \(lease.lease)"
        }
    }

    /// A process in a group of its own, whose environment names the lease it was started for.
    func process(_ script: String, for lease: LeaseID) async throws -> ChildProcess {
        try await redis.loop.run {
            var command = ChildCommand(["/bin/sh", "-c", script])
            command.environment = ["LEASE": lease.text, "PATH": "/usr/bin:/bin"]
            return try ChildProcess.start(command, deadline: .seconds(60), on: self.redis.loop)
        }
    }
}

func withScene(_ body: @Sendable (Scene) async throws -> Void) async throws {
    try await withRedis { redis in
        let scene = try await Scene(redis)
        do {
            try await body(scene)
            await scene.end()
        } catch {
            await scene.end()
            throw error
        }
    }
}
