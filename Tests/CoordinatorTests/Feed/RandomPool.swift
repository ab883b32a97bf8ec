import EventLoop
import LeaseModel
import LeaseStore
import TestSupport

/// A pool on a real Redis in which a seed decides what agents, coordinators, clients and admins do next.
///
/// The agents here confirm, reject, forget and mishear as they like: what is under test is who follows the events.
struct RandomPool {
    /// What an agent has on a unit.
    private struct Held {
        var lease: HeldLease
        var deadline: Duration
        var isEnding = false
        var also: [UnitID] = []
    }

    private struct Agent {
        let host: HostID
        var instance: Int
        var session: Int64 = 1
        var units: [UnitID]
        var held: [UnitID: Held] = [:]
        var labels: [String: String]
    }

    let store: LeaseStore
    private let loop: EventLoop
    private var random: RandomSource
    private var agents: [Agent]
    private var asks: [Ask] = []
    private var lastTicket = 0
    private var lastBeat: Int64 = 0
    /// What was done, for a test that fails.
    private(set) var deeds: [String] = []

    init(_ redis: TestRedis, seed: UInt64) async throws {
        store = LeaseStore(client: redis.client, pool: .standard)
        loop = redis.loop
        random = RandomSource(seed: seed)
        agents = [
            Agent(
                host: try HostID("h1"), instance: 1,
                units: try ["h1/0", "h1/1", "h1/model-load"].map { try UnitID($0) },
                labels: ["zone": "a"]),
            Agent(
                host: try HostID("h2"), instance: 1, units: try ["h2/0", "h2/model-load"].map { try UnitID($0) },
                labels: [:]),
        ]
        try await store.settle()
        for index in agents.indices { try await heartbeat(index, isFirst: true) }
    }

    /// Does one thing.
    mutating func step() async throws {
        let index = random.below(agents.count)
        switch random.below(43) {
        case 0..<10: try await ask()
        case 10..<16: try await answerOffers(index)
        case 16..<20: try await release()
        case 20..<23: try await end(index)
        case 23..<26: try await cancel()
        case 26..<28: try await renew(index)
        case 28..<31: try await heartbeat(index, isFirst: false)
        case 31..<34: try await beat()
        case 34: try await revoke()
        case 35: try await cordon(index)
        case 36: try await restart(index)
        case 37: try await askAgain()
        case 38: try await changeUnits(index)
        case 39, 40: try await preempt()
        case 41: try await insist(index)
        default: try await leave()
        }
    }

    private mutating func note(_ deed: String) { deeds.append(deed) }

    // MARK: Clients

    private mutating func selector() throws -> Selector {
        switch random.below(8) {
        case 0: try Selector(scope: .host(HostID("h1")))
        case 1: try Selector(scope: .unit(UnitID("h2/0")))
        case 2: try Selector(minimumMemoryMB: 30_000)
        case 3: try Selector(labels: ["zone": "a"])
        case 4: try Selector(kind: .modelLoad)
        case 5: try Selector(count: 2)
        default: .anyGPU
        }
    }

    private mutating func ask() async throws {
        lastTicket += 1
        let ticket = "t\(lastTicket)"
        let ask = Ask(
            ticket: TicketID(ticket), selector: try selector(), holder: try HolderID("holder-\(random.below(6))"),
            caller: random.element(["", "bob"]), priority: try Priority(random.below(3) * 10),
            ttl: .seconds(60 + random.below(500)), coordinator: InstanceID(random.element(["c1", "c2"])),
            token: TokenHash("hash-\(ticket)"), metadata: random.element(["", #"{"a":1}"#]), age: .fresh)
        asks.append(ask)
        note("ask \(ticket) \(ask.selector.text): \(try await store.ask(ask))")
    }

    /// The same call again, at either coordinator.
    private mutating func askAgain() async throws {
        guard var ask = asks.last(where: { _ in random.below(3) == 0 }) else { return }
        ask.coordinator = InstanceID(random.element(["c1", "c2"]))
        note("ask again \(ask.ticket) at \(ask.coordinator): \(try await store.ask(ask))")
    }

    private mutating func cancel() async throws {
        guard !asks.isEmpty else { return }
        let ask = random.element(Array(asks.suffix(12)))
        let why = random.element([CancelReason.cancelled, .timeout, .undelivered])
        note(
            "cancel \(ask.ticket): "
                + "\(try await store.cancel(Cancel(ask.ticket, coordinator: ask.coordinator, token: ask.token, why: why)))"
        )
    }

    private mutating func release() async throws {
        let leases = try await store.snapshot().leases
        guard !leases.isEmpty else { return }
        let lease = random.element(leases)
        if random.below(2) == 0 {
            let token = TokenHash("hash-\(lease.terms.ticket.text)")
            note("release \(lease.lease): \(try await store.release(lease.lease, token: token, by: "me"))")
        } else {
            let outcome = try await store.release(
                .oldest(
                    of: lease.terms.holder, caller: lease.terms.caller, kind: random.element([.gpu, .modelLoad]),
                    by: "me"))
            note("release by \(lease.terms.holder): \(outcome)")
        }
        try await hear()
    }

    // MARK: Coordinators and admins

    private mutating func beat() async throws {
        lastBeat += 1
        let tickets = asks.suffix(20).map(\.ticket).filter { _ in random.below(2) == 0 }
        let coordinator = InstanceID(random.element(["c1", "c2"]))
        note("beat \(coordinator)")
        _ = try await store.beat(Beat(coordinator: coordinator, number: lastBeat, count: .max, tickets: tickets))
    }

    private mutating func leave() async throws {
        let coordinator = InstanceID(random.element(["c1", "c2"]))
        note("leave \(coordinator)")
        try await store.leave(coordinator)
    }

    private mutating func revoke() async throws {
        let leases = try await store.snapshot().leases
        var scopes: [RevokeScope] = [
            .all, .host(try HostID("h1")), .unit(try UnitID("h1/0")), .holder(try HolderID("holder-1")),
        ]
        if let lease = leases.first { scopes.append(.lease(lease.lease)) }
        let (scope, mode) = (random.element(scopes), random.element([RevokeMode.reset, .forceReleaseAll, .revoke]))
        note("revoke \(scope) \(mode)")
        let outcome = try await store.revoke(scope, mode: mode, by: "admin", why: "test")
        for lease in outcome.ending {
            guard let index = agents.firstIndex(where: { $0.host == lease.unit.host }) else { continue }
            agents[index].held[lease.unit]?.isEnding = true
        }
    }

    private mutating func preempt() async throws {
        let snapshot = try await store.snapshot()
        if let asked = snapshot.leases.first(where: { $0.preemption != nil }), let wish = asked.preemption,
            random.below(3) == 0
        {
            note("spare \(asked.lease): \(try await store.spare(asked.lease, for: wish.ticket))")
        } else if !snapshot.leases.isEmpty, !snapshot.waiters.isEmpty {
            let (lease, waiter) = (random.element(snapshot.leases).lease, random.element(snapshot.waiters))
            let outcome = try await store.preempt(
                lease, for: waiter.ticket, coordinator: waiter.coordinator, distance: random.below(2) * 10,
                minRun: .zero, by: "me")
            note("preempt \(lease) for \(waiter.ticket): \(outcome)")
        }
    }

    private mutating func insist(_ index: Int) async throws {
        let agent = agents[index]
        let leases = try await store.snapshot().leases
        guard let asked = leases.first(where: { $0.preemption != nil && $0.lease.unit.host == agent.host }),
            let wish = asked.preemption
        else { return }
        let outcome = try await store.insist(origin(agent), asked.lease, for: wish.ticket, by: "me")
        note("insist \(asked.lease) for \(wish.ticket): \(outcome)")
        if outcome == .ending { agents[index].held[asked.lease.unit]?.isEnding = true }
    }

    private mutating func cordon(_ index: Int) async throws {
        let wanted = random.element([Schedulability.cordoned, .schedulable, .schedulable])
        note("cordon \(agents[index].host) \(wanted)")
        _ = try await store.cordon(agents[index].host, wanted, by: "admin", why: "test")
    }

    // MARK: Agents

    private func origin(_ agent: Agent) -> AgentOrigin {
        AgentOrigin(
            host: agent.host, instance: InstanceID("\(agent.host.text)-\(agent.instance)"), session: agent.session)
    }

    private mutating func answerOffers(_ index: Int) async throws {
        let offers = try await store.snapshot().leases.filter {
            $0.state == .offered && $0.lease.unit.host == agents[index].host
        }
        for offer in offers {
            let units = [offer.lease.unit] + offer.also
            let isTaken = agents[index].held.contains { unit, held in
                units.contains(unit) || held.also.contains { units.contains($0) }
            }
            if isTaken || random.below(5) == 0 {
                note("reject \(offer.lease)")
                _ = try await store.reject(
                    origin(agents[index]), offer.lease, highest: offer.lease.fencing, why: "test")
                continue
            }
            let outcome = try await store.confirm(origin(agents[index]), offer.lease)
            note("confirm \(offer.lease): \(outcome)")
            let held = HeldLease(
                lease: offer.lease, token: TokenHash("hash-\(offer.terms.ticket.text)"), terms: offer.terms,
                remaining: offer.terms.ttl)
            agents[index].held[offer.lease.unit] =
                outcome == .held ? Held(lease: held, deadline: loop.now + offer.terms.ttl, also: offer.also) : nil
        }
    }

    /// The agent ends a lease by its clock, or because it was revoked.
    private mutating func end(_ index: Int) async throws {
        guard let unit = agents[index].held.keys.sorted().first(where: { _ in random.below(2) == 0 }),
            let held = agents[index].held.removeValue(forKey: unit)
        else { return }
        note("end \(held.lease.lease)")
        _ = try await store.end(origin(agents[index]), held.lease.lease, reason: .expired)
    }

    private mutating func renew(_ index: Int) async throws {
        guard let unit = agents[index].held.keys.min(), var held = agents[index].held[unit], !held.isEnding else {
            return
        }
        held.deadline = loop.now + held.lease.terms.ttl
        agents[index].held[unit] = held
        note("renewed \(held.lease.lease)")
        _ = try await store.renewed(
            origin(agents[index]), held.lease.lease, nonce: "n", token: held.lease.token, ttl: held.lease.terms.ttl,
            coordinator: InstanceID("c1"))
    }

    /// Hears most of what was released; the rest is told by a heartbeat.
    private mutating func hear() async throws {
        let leases = Set(try await store.snapshot().leases.map(\.lease))
        for index in agents.indices where random.below(4) > 0 {
            agents[index].held = agents[index].held.filter { leases.contains($0.value.lease.lease) }
        }
    }

    private mutating func heartbeat(_ index: Int, isFirst: Bool, predecessor: Int? = nil) async throws {
        let agent = agents[index]
        let reports = agent.units.map { unit in
            let isLoad = unit.text.hasSuffix("model-load")
            var state = UnitReport.State.free
            if let held = agent.held[unit] {
                var lease = held.lease
                lease.remaining = max(.zero, held.deadline - loop.now)
                state = held.isEnding ? .ending(lease) : .held(lease)
            } else if let held = agent.held.values.first(where: { $0.also.contains(unit) }) {
                state = .bound(held.lease.lease)
            }
            return UnitReport(
                properties: UnitProperties(
                    unit: unit, kind: isLoad ? .modelLoad : .gpu,
                    memoryMB: isLoad ? 0 : unit.text == "h1/1" ? 48_000 : 24_000,
                    deviceType: isLoad ? "" : "discrete", details: #"{"name":"card"}"#),
                state: state, highestFencing: FencingToken(0))
        }
        let outcome = try await store.heartbeat(
            AgentHeartbeat(
                origin: origin(agent), ancestors: predecessor.map { [InstanceID("\(agent.host.text)-\($0)")] } ?? [],
                isFirst: isFirst, address: "", version: "test", labels: agent.labels, units: reports))
        note("heartbeat \(agent.host): \(outcome)")
        guard case .heard(let messages) = outcome else { return }
        for message in messages {
            switch message {
            case .end(let lease, _, _): agents[index].held[lease.unit] = nil
            case .revoke(let lease, _, _, _): agents[index].held[lease.unit]?.isEnding = true
            case .offer, .renew, .preempt, .spare, .speak, .confirmed: break
            }
        }
    }

    /// The agent leaves and comes back, now and then without its journal.
    private mutating func restart(_ index: Int) async throws {
        note("depart \(agents[index].host)")
        if random.below(2) == 0 { _ = try await store.depart(origin(agents[index])) }
        if random.below(2) == 0 {
            agents[index].session += 1
            return try await heartbeat(index, isFirst: true)
        }
        agents[index].instance += 1
        agents[index].session = 1
        if random.below(3) == 0 { agents[index].held = [:] }
        try await heartbeat(index, isFirst: true, predecessor: agents[index].instance - 1)
    }

    /// A device goes, or comes back.
    private mutating func changeUnits(_ index: Int) async throws {
        let unit = agents[index].units[0]
        guard random.below(2) == 0 else { return }
        if unit.text.hasSuffix("/0") {
            agents[index].units.removeFirst()
            agents[index].held[unit] = nil
        } else {
            agents[index].units.insert(try UnitID("\(agents[index].host.text)/0"), at: 0)
        }
        try await heartbeat(index, isFirst: false)
    }
}
