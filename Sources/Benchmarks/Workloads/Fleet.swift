import EventLoop
import LeaseModel
import LeaseStore
import LoadGenerator
import RedisClient

/// Agents and a coordinator that exist in the record only: their scripts run in a real Redis, nobody hears the messages.
struct Fleet: Sendable {
    let redis: RedisServer
    let store: LeaseStore
    private let coordinator = InstanceID("bench-coordinator")

    init(redis: RedisServer) {
        self.redis = redis
        store = LeaseStore(client: redis.client, pool: .standard)
    }

    func origin(_ host: Int) throws -> AgentOrigin {
        AgentOrigin(host: try HostID("h\(host)"), instance: InstanceID("agent-\(host)"), session: 1)
    }

    /// One host's heartbeat, its units free, 24 GB each.
    func heartbeat(_ host: Int, unitsEach: Int, isFirst: Bool) async throws {
        let reports = try (0..<unitsEach).map { unit in
            UnitReport(
                properties: UnitProperties(
                    unit: try UnitID("h\(host)/\(unit)"), kind: .gpu, memoryMB: 24_000, deviceType: "discrete",
                    details: #"{"name": "simulated"}"#), state: .free, highestFencing: FencingToken(0))
        }
        let outcome = try await store.heartbeat(
            AgentHeartbeat(
                origin: try origin(host), ancestors: [], isFirst: isFirst, address: "", version: "bench",
                labels: [:], units: reports))
        guard case .heard = outcome else { throw LoadError("a heartbeat was refused: \(outcome)") }
    }

    /// All hosts speak, so many at a time.
    func register(hosts: Int, unitsEach: Int, isFirst: Bool = true) async throws {
        // A pool that nobody has beaten in offers nothing.
        _ = try await store.beat(Beat(coordinator: coordinator, number: 1, count: 0, tickets: []))
        try await concurrently(hosts, atOnce: 64) { try await heartbeat($0, unitsEach: unitsEach, isFirst: isFirst) }
    }

    /// The ticket's unit is offered or it waits. Asked for as one that its client did not name; a name may come again when
    /// nothing of it is left.
    @discardableResult
    func ask(
        _ ticket: String, _ selector: Selector = .anyGPU, priority: Priority = .standard
    ) async throws -> AskOutcome {
        try await store.ask(
            Ask(
                ticket: TicketID(ticket), selector: selector, holder: try HolderID("holder-\(ticket)"), caller: "",
                priority: priority, ttl: .seconds(120), coordinator: coordinator, token: TokenHash("hash-\(ticket)"),
                metadata: "", age: .first))
    }

    /// The lease that was offered to a ticket, or that it holds.
    func lease(of ticket: String) async throws -> LeaseID {
        guard let lease = try await field("lease", of: "ticket:\(ticket)").flatMap({ try? LeaseID($0) }) else {
            throw LoadError("\(ticket) has no lease")
        }
        return lease
    }

    /// The ticket that a unit is offered to or held by, and its lease.
    func taker(of unit: String) async throws -> (ticket: String, lease: LeaseID) {
        guard let lease = try await field("lease", of: "unit:\(unit)").flatMap({ try? LeaseID($0) }),
            let ticket = try await field("ticket", of: "lease:\(lease.text)")
        else { throw LoadError("\(unit) was offered to nobody") }
        return (ticket, lease)
    }

    /// GPUs that the record has as free.
    func freeUnits() async throws -> Int {
        Int(try await redis.client.command(["ZCARD", .text(prefix + "free:gpu")]).integer ?? 0)
    }

    /// What all keys of the pool begin with, as the event stream's does.
    private var prefix: String { String(store.eventStream.dropLast("events".count)) }

    private func field(_ name: String, of key: String) async throws -> String? {
        try await redis.client.command(["HGET", .text(prefix + key), .text(name)]).text
    }

    func confirm(_ lease: LeaseID) async throws {
        let number = lease.text.prefix { $0 != "/" }.dropFirst()
        guard let host = Int(number) else { throw LoadError("\(lease) is of no host of this fleet") }
        let outcome = try await store.confirm(origin(host), lease)
        guard outcome == .held else { throw LoadError("a confirm was answered \(outcome)") }
    }

    func release(_ lease: LeaseID, ticket: String) async throws {
        let outcome = try await store.release(lease, token: TokenHash("hash-\(ticket)"), by: "bench")
        guard outcome == .released(1) else { throw LoadError("a release was answered \(outcome)") }
    }

    /// A whole life of a lease.
    func pair(_ ticket: String) async throws {
        try await ask(ticket)
        let lease = try await lease(of: ticket)
        try await confirm(lease)
        try await release(lease, ticket: ticket)
    }
}

/// Does something so many times, some of them at once.
func concurrently(_ count: Int, atOnce: Int, _ work: @escaping @Sendable (Int) async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for worker in 0..<min(atOnce, count) {
            group.addTask {
                for number in stride(from: worker, to: count, by: atOnce) { try await work(number) }
            }
        }
        try await group.waitForAll()
    }
}
