import LeaseModel
import Testing

@testable import Agent

/// A machine on a bench: events go in at moments that the test chooses.
struct Bench {
    typealias Event = AgentMachine.Event
    typealias Action = AgentMachine.Action
    typealias Word = AgentMachine.Word

    static let start = BootInstant(sinceBoot: .seconds(10_000))

    var machine: AgentMachine
    var now: BootInstant

    init(_ units: [String] = ["h1/0"], past: AgentPast = .firstJoin, at now: BootInstant = start) throws {
        self.now = now
        machine = AgentMachine(
            instance: InstanceID("a1"), past: past, inventory: try units.map(Self.unit), at: now)
    }

    /// The same, with its session open.
    static func open(_ units: [String] = ["h1/0"], past: AgentPast = .firstJoin) throws -> Bench {
        var bench = try Bench(units, past: past)
        bench.connect()
        return bench
    }

    static func unit(_ name: String) throws -> UnitProperties {
        UnitProperties(unit: try UnitID(name), kind: .gpu, memoryMB: 24_000, deviceType: "discrete", details: "{}")
    }

    static func lease(_ fencing: Int64, on unit: String = "h1/0") throws -> LeaseID {
        LeaseID(unit: try UnitID(unit), fencing: FencingToken(fencing))
    }

    static func terms(
        _ name: String, ttl: Duration = .seconds(60), grace: Duration = Limits.standardGrace
    ) throws -> LeaseTerms {
        LeaseTerms(
            holder: try HolderID(name), caller: "", ticket: TicketID("t-\(name)"), coordinator: InstanceID("c1"),
            priority: 15, selector: "gpu/any", score: 5, ttl: ttl, metadata: "", grace: grace)
    }

    /// An offer; its token is `k` and its fencing token, so that successive leases have different ones.
    static func offer(
        _ fencing: Int64, on unit: String = "h1/0", ttl: Duration = .seconds(60),
        grace: Duration = Limits.standardGrace, after: ReleasedLease? = nil, also: [String] = []
    ) throws -> Offer {
        Offer(
            lease: try lease(fencing, on: unit), token: TokenHash("k\(fencing)"),
            terms: try terms("holder-\(fencing)", ttl: ttl, grace: grace), beat: 1, after: after,
            also: try also.map { try UnitID($0) })
    }

    static func own(_ fencing: Int64, on unit: String = "h1/0", deadline: BootInstant) throws -> OwnLease {
        OwnLease(
            lease: try lease(fencing, on: unit), token: TokenHash("k\(fencing)"),
            terms: try terms("holder-\(fencing)"), deadline: deadline)
    }

    @discardableResult
    mutating func handle(_ event: Event, after wait: Duration = .zero) -> [Action] {
        now = now + wait
        return machine.handle(event, at: now)
    }

    @discardableResult
    mutating func connect(_ messages: [AgentMessage] = []) -> [Action] {
        handle(.connected)
        return answerHeartbeat(.heard(messages))
    }

    @discardableResult
    mutating func answerHeartbeat(_ answer: AgentMachine.HeartbeatAnswer) -> [Action] {
        handle(.heartbeatAnswered(session: machine.session, answer))
    }

    @discardableResult
    mutating func hear(_ messages: AgentMessage..., after wait: Duration = .zero) -> [Action] {
        handle(.mail(AgentMail(session: machine.session, messages: messages)), after: wait)
    }

    @discardableResult
    mutating func answerConfirm(_ fencing: Int64, _ answer: AgentMachine.ConfirmAnswer, on unit: String = "h1/0") throws
        -> [Action]
    {
        handle(.confirmAnswered(session: machine.session, try Self.lease(fencing, on: unit), answer))
    }

    /// A lease that is offered, confirmed and held.
    mutating func grant(
        _ fencing: Int64, on unit: String = "h1/0", ttl: Duration = .seconds(60),
        grace: Duration = Limits.standardGrace, also: [String] = []
    ) throws {
        let actions = hear(.offer(try Self.offer(fencing, on: unit, ttl: ttl, grace: grace, also: also)))
        #expect(actions.contains(try confirm(fencing, on: unit)))
        try answerConfirm(fencing, .held, on: unit)
    }

    mutating func renew(
        _ fencing: Int64, token: String? = nil, newToken: String? = nil, nonce: String = "n", after: Duration = .zero
    ) throws -> [Action] {
        hear(
            .renew(
                try Self.lease(fencing), token: TokenHash(token ?? "k\(fencing)"),
                newToken: newToken.map { TokenHash($0) }, nonce: nonce, coordinator: InstanceID("c1")),
            after: after)
    }

    func confirm(_ fencing: Int64, on unit: String = "h1/0") throws -> Action {
        .journalThenSay(.confirm(try Self.lease(fencing, on: unit)), session: machine.session)
    }

    func end(_ fencing: Int64, _ reason: EndReason) throws -> Action {
        .say(.end(try Self.lease(fencing), reason), session: machine.session)
    }

    func renewed(_ fencing: Int64, token: String? = nil, nonce: String = "n", ttl: Duration = .seconds(60)) throws
        -> Action
    {
        .journalThenSay(
            .renewed(
                try Self.lease(fencing), nonce: nonce, token: TokenHash(token ?? "k\(fencing)"), ttl: ttl,
                coordinator: InstanceID("c1")), session: machine.session)
    }

    func refusal(_ fencing: Int64, _ reason: EndReason, nonce: String = "n") throws -> Action {
        .say(
            .refuseRenewal(try Self.lease(fencing), nonce: nonce, coordinator: InstanceID("c1"), reason),
            session: machine.session)
    }

    var heartbeat: Action {
        .heartbeat(session: machine.session, isFirst: false, machine.reports(at: now))
    }

    /// What the agent says of a unit: free, resting, confirming, held or ending, and the lease.
    func state(_ unit: String = "h1/0") -> String {
        guard let report = machine.reports(at: now).first(where: { $0.properties.unit.text == unit }) else {
            return "no unit"
        }
        switch report.state {
        case .free: return "free"
        case .resting: return "resting"
        case .bound(let lease): return "bound \(lease.fencing)"
        case .confirming(let lease): return "confirming \(lease.lease.fencing)"
        case .held(let lease): return "held \(lease.lease.fencing)"
        case .ending(let lease): return "ending \(lease.lease.fencing)"
        }
    }

    func deadline(_ unit: String = "h1/0") throws -> BootInstant? { machine.units[try UnitID(unit)]?.lease?.deadline }
}

extension [AgentMachine.Action] {
    /// The fencing tokens of refused offers, with the highest that the agent tells.
    var rejections: [[Int64]] {
        compactMap { action in
            guard case .say(.reject(let lease, let highest, _), _) = action else { return nil }
            return [lease.fencing.value, highest.value]
        }
    }

    var heartbeats: Int {
        filter { if case .heartbeat = $0 { true } else { false } }.count
    }
}
