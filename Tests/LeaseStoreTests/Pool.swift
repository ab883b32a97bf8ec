import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import TestSupport

/// A pool on a private Redis, with the words that the tests of the scripts are written in.
final class Pool: Sendable {
    let redis: TestRedis
    let store: LeaseStore
    let coordinator = InstanceID("c1")
    private let heard = Mutex<[String: [[UInt8]]]>([:])
    private let subscription: RedisSubscription

    /// - Parameter endpoint: Where the inboxes are opened, as another user perhaps.
    init(_ redis: TestRedis, client: RedisClient? = nil, endpoint: RedisEndpoint? = nil) async throws {
        self.redis = redis
        store = LeaseStore(client: client ?? redis.client, pool: .standard)
        subscription = RedisSubscription(
            loop: redis.loop, endpoint: endpoint ?? redis.endpoint, name: "inboxes", log: .silent)
        let channels = ["a1", "a2", "c1", "c2"].map { LeaseStore.inbox(of: InstanceID($0), pool: .standard) }
        let isReady = Mutex(false)
        try await redis.loop.run { [self] in
            subscription.start(channels: channels) { channel, bytes in
                self.heard.withLock { $0[channel, default: []].append(bytes) }
            } onStateChange: { state in
                if case .connected = state { isReady.withLock { $0 = true } }
            }
        }
        try await eventually("the inboxes are open") { isReady.withLock { $0 } }
        try await store.settle()
    }

    func end() async { await subscription.close() }

    /// Redis has lost everything, and has settled since.
    func forget() async throws {
        try await redis.flushAll()
        try await store.settle()
    }

    /// Messages to an agent, of which there are so many at least.
    func agentMessages(_ instance: String, atLeast count: Int) async throws -> [AgentMessage] {
        try await eventually("\(count) messages for \(instance)") {
            let messages = self.mail(instance).flatMap { Inbox.agentMail($0)?.messages ?? [] }
            return messages.count >= count ? messages : nil
        }
    }

    func coordinatorMessages(_ instance: String, atLeast count: Int) async throws -> [CoordinatorMessage] {
        try await eventually("\(count) messages for \(instance)") {
            let messages = self.mail(instance).flatMap { Inbox.coordinatorMessages($0) }
            return messages.count >= count ? messages : nil
        }
    }

    private func mail(_ instance: String) -> [[UInt8]] {
        let channel = LeaseStore.inbox(of: InstanceID(instance), pool: .standard)
        return heard.withLock { $0[channel] ?? [] }
    }

    func origin(_ host: String = "h1", _ instance: String = "a1", session: Int64 = 1) throws -> AgentOrigin {
        AgentOrigin(host: try HostID(host), instance: InstanceID(instance), session: session)
    }

    func report(
        _ unit: String, _ state: UnitReport.State = .free, memoryMB: Int = 24_000, highest: Int64 = 0,
        kind: UnitKind = .gpu
    ) throws -> UnitReport {
        UnitReport(
            properties: UnitProperties(
                unit: try UnitID(unit), kind: kind, memoryMB: memoryMB, deviceType: "discrete", details: "{}"),
            state: state, highestFencing: FencingToken(highest))
    }

    @discardableResult
    func heartbeat(
        _ reports: [UnitReport], origin: AgentOrigin? = nil, predecessor: String? = nil, first: Bool = true,
        labels: [String: String] = [:]
    ) async throws -> HeartbeatOutcome {
        let origin = try origin ?? self.origin()
        return try await store.heartbeat(
            AgentHeartbeat(
                origin: origin, ancestors: predecessor.map { [InstanceID($0)] } ?? [], isFirst: first, address: "",
                version: "test", labels: labels, units: reports))
    }

    func ask(
        _ ticket: String, priority: Priority = .standard, selector: Selector = .anyGPU, coordinator: String = "c1",
        age: AskAge = .fresh, holder: String? = nil, affinity: String = "", beat: Int64 = .max
    ) async throws -> AskOutcome {
        try await store.ask(
            Ask(
                ticket: TicketID(ticket), selector: selector, holder: try HolderID(holder ?? "holder-\(ticket)"),
                caller: "", priority: priority, ttl: .seconds(120), coordinator: InstanceID(coordinator),
                token: TokenHash("hash-\(ticket)"), metadata: "", age: age, affinity: affinity,
                grace: .seconds(7), beat: beat))
    }

    /// Its coordinator gives a ticket up, with the token of its ask.
    @discardableResult
    func cancel(_ ticket: String, why: CancelReason) async throws -> CancelOutcome {
        try await store.cancel(
            Cancel(TicketID(ticket), coordinator: coordinator, token: TokenHash("hash-\(ticket)"), why: why))
    }

    /// Keeps the present record under another name.
    func copy(to name: String) async throws { try await copy("lh:{default}:", to: name) }
    /// Puts a record that was kept in place of the present one.
    func restore(from name: String) async throws { try await copy(name, to: "lh:{default}:") }

    private func copy(_ from: String, to name: String) async throws {
        let script = """
            for _, key in ipairs(redis.call('KEYS', ARGV[2] .. '*')) do redis.call('DEL', key) end
            for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
              redis.call('COPY', key, ARGV[2] .. string.sub(key, #ARGV[1] + 1))
            end
            """
        _ = try await redis.client.command(["EVAL", .text(script), "0", .text(from), .text(name)])
    }

    /// The lease that stands, offered or held, for a ticket.
    func lease(of ticket: String) async throws -> LeaseID? {
        try await store.snapshot().leases.first { $0.terms.ticket.text == ticket }?.lease
    }

    func requireLease(of ticket: String) async throws -> LeaseID {
        guard let lease = try await lease(of: ticket) else { throw NoLease(ticket: ticket) }
        return lease
    }

    /// Offers and confirms: the ticket's lease, held.
    func grant(_ ticket: String) async throws -> LeaseID {
        _ = try await ask(ticket)
        let lease = try await requireLease(of: ticket)
        guard try await store.confirm(origin(), lease) == .held else { throw NoLease(ticket: ticket) }
        return lease
    }

    func held(_ lease: LeaseID, ticket: String, coordinator: String = "c1") throws -> HeldLease {
        HeldLease(
            lease: lease, token: TokenHash("hash-\(ticket)"),
            terms: LeaseTerms(
                holder: try HolderID("holder-\(ticket)"), caller: "", ticket: TicketID(ticket),
                coordinator: InstanceID(coordinator), priority: 15, selector: "gpu/any", score: 5, ttl: .seconds(120),
                metadata: "", grace: .seconds(9)),
            remaining: .seconds(60))
    }

    func state(of unit: String) async throws -> UnitRecord.State? {
        try await store.snapshot().units.first { $0.properties.unit.text == unit }?.state
    }

    /// Waiting tickets in the order of their scores.
    func queue() async throws -> [String] {
        try await store.snapshot().waiters.sorted { $0.score < $1.score }.map(\.ticket.text)
    }

    @discardableResult
    func beat(
        _ number: Int64 = 1, count: Int = .max, tickets: [String] = [], coordinator: String = "c1",
        memory: PoolMemory = PoolMemory()
    ) async throws -> BeatOutcome {
        try await store.beat(
            Beat(
                coordinator: InstanceID(coordinator), number: number, count: count,
                tickets: tickets.map { TicketID($0) }, memory: memory))
    }
}

struct NoLease: Error { var ticket: String }

/// A pool with one agent, `h1`, whose units are free.
func withPool(units: Int = 1, _ body: @Sendable (Pool) async throws -> Void) async throws {
    try await withRedis { redis in
        let pool = try await Pool(redis)
        do {
            try await pool.heartbeat((0..<units).map { try pool.report("h1/\($0)") })
            try await body(pool)
            await pool.end()
        } catch {
            await pool.end()
            throw error
        }
    }
}
