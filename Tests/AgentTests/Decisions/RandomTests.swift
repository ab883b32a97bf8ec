import LeaseModel
import Testing

@testable import Agent

/// Random lives of an agent, watched by a checker that knows nothing of the machine but what it says.
@Suite struct `Whatever happens, an agent` {
    @Test(arguments: 0..<32 as Range<UInt64>)
    func `never has two leases of a unit standing, and never forgets one`(_ seed: UInt64) throws {
        var life = try Life(seed: seed)
        for step in 0..<2000 {
            try life.step()
            if let fault = life.fault {
                Issue.record("seed \(seed), step \(step): \(fault)\n\(life.trace.suffix(12).joined(separator: "\n"))")
                return
            }
        }
        #expect(life.confirms > 100, "seed \(seed) had too quiet a life")
    }

    @Test func `decides the same in two lives of one seed`() throws {
        var one = try Life(seed: 7)
        var other = try Life(seed: 7)
        for _ in 0..<500 {
            try one.step()
            try other.step()
        }
        #expect(one.trace == other.trace)
        #expect(one.bench.machine == other.bench.machine)
    }
}

/// The world around one machine: a Redis that tells the truth late or not at all, holders, admins, crashes.
private struct Life {
    /// A lease that somebody may count on.
    struct Standing {
        var lease: LeaseID
        var token: TokenHash
        /// What its holder may count on at most, were nothing taken off.
        var until: BootInstant
        var runs = false
        var isRevoked = false
    }

    var bench: Bench
    var fault: String?
    var trace: [String] = []
    var confirms = 0
    private var chance: Chance
    private let names = ["h1/0", "h1/1", "h1/2"]
    private var fencing: Int64 = 100
    private var standing: [UnitID: Standing] = [:]
    private var confirmed: [UnitID: Int64] = [:]
    private var heard: [LeaseID: (at: BootInstant, offer: Offer)] = [:]
    private var unanswered: [(session: Int64, lease: LeaseID)] = []
    private var taken: Set<LeaseID> = []
    private var journal: AgentMemory
    private var journalWorks = true
    private var isConnected = false
    private var nonces = 0

    init(seed: UInt64) throws {
        chance = Chance(seed: seed)
        bench = try Bench(names)
        journal = bench.machine.memory
    }

    mutating func step() throws {
        bench.now = bench.now + .milliseconds(Int64(chance.below(chance.below(10) == 0 ? 20_000 : 800)))
        if let wakeAt = bench.machine.wakeAt, wakeAt <= bench.now { try feed(.clockReached) }
        if !isConnected, chance.below(3) == 0 { try connection() }
        if !journalWorks, chance.below(10) == 0 { journalWorks = true }
        switch chance.below(100) {
        case 0..<3: try connection()
        case 3..<40: try offer()
        case 40..<60: try answer()
        case 60..<72: try renew()
        case 72..<84: try release()
        case 84..<88: try revoke()
        case 88..<92: try process()
        case 92: journalWorks = false
        case 94: try crash()
        case 95: try ask()
        case 96..<98: try devices()
        default: try feed(.clockReached)
        }
        check()
    }

    private mutating func feed(_ event: Bench.Event) throws {
        let actions = bench.handle(event)
        trace.append("\(event) → \(actions)")
        for action in actions { try perform(action) }
    }

    private mutating func perform(_ action: Bench.Action) throws {
        switch action {
        case .journalThenSay(let word, let session):
            guard journalWorks else {
                if case .confirm(let lease) = word { heard[lease] = nil }
                return try feed(.journalFailed(word))
            }
            journal = bench.machine.memory
            try said(word, session)
        case .say(let word, let session): try said(word, session)
        case .writeJournal: if journalWorks { journal = bench.machine.memory }
        case .reconnect: try disconnect()
        case .heartbeat(let session, let isFirst, let reports):
            if isFirst { try answerFirst(session, reports) }
        case .stopProcesses(let lease, _, _): change(lease) { $0.isRevoked = true }
        case .tellAsked: break
        case .refused, .succeeded: fault = "nobody succeeds this agent"
        }
    }

    private mutating func said(_ word: Bench.Word, _ session: Int64) throws {
        switch word {
        case .confirm(let lease):
            confirms += 1
            guard let (at, offer) = heard[lease] else { return fault = "confirmed \(lease) unheard" }
            for unit in offer.units {
                if let other = standing[unit], other.until + Limits.lockDelay > bench.now {
                    fault = "confirmed \(lease) while \(other.lease) stands"
                }
                if lease.fencing.value <= confirmed[unit] ?? 0 { fault = "fencing token of \(lease) does not rise" }
                confirmed[unit] = lease.fencing.value
            }
            for unit in offer.units {
                // What is over goes from all its units.
                if let other = standing[unit] { over(other.lease) }
                standing[unit] = Standing(lease: lease, token: offer.token, until: at + offer.terms.ttl)
            }
            unanswered.append((session, lease))
        case .renewed(let lease, _, let token, let ttl, _, let also):
            guard standing[lease.unit]?.lease == lease else { return fault = "renewed \(lease), which does not stand" }
            if Set(standing.filter { $0.value.lease == lease }.keys) != Set([lease.unit] + also) {
                fault = "renewed \(lease) for other units than it has"
            }
            change(lease) { [now = bench.now] in
                $0.until = now + ttl
                $0.token = token
            }
        case .end(let lease, _): if standing[lease.unit]?.lease == lease { try ended(lease) }
        case .insist(let lease, let ticket, _):
            // The waiter may wait still, which is an admin's word, be gone, or Redis.
            switch chance.below(3) {
            case 0:
                change(lease) { $0.isRevoked = true }
                // Where no session is open the end is told by a heartbeat.
                if !bench.machine.isOpen, standing[lease.unit]?.runs == false { over(lease) }
                try feed(.insistAnswered(session: session, lease, ticket, .ending))
            case 1: try feed(.insistAnswered(session: session, lease, ticket, .spared))
            default: try feed(.insistAnswered(session: session, lease, ticket, .failed))
            }
        case .reject, .refuseRenewal: break
        }
    }

    private mutating func ended(_ lease: LeaseID) throws {
        guard let was = standing[lease.unit], was.lease == lease else { return }
        if was.until + Limits.lockDelay > bench.now, !was.isRevoked { fault = "ended \(lease) early" }
        over(lease)
    }

    private mutating func over(_ lease: LeaseID) {
        for unit in names.compactMap({ try? UnitID($0) }) where standing[unit]?.lease == lease { standing[unit] = nil }
    }

    private mutating func change(_ lease: LeaseID, _ body: (inout Standing) -> Void) {
        for unit in names.compactMap({ try? UnitID($0) }) where standing[unit]?.lease == lease {
            if var some = standing[unit] {
                body(&some)
                standing[unit] = some
            }
        }
    }

    /// Who counts on a lease finds it at its agent, and the agent knows nothing else on that unit.
    private mutating func check() {
        for report in bench.machine.reports(at: bench.now) {
            let unit = report.properties.unit
            guard let was = standing[unit], was.until > bench.now else { continue }
            switch report.state {
            case .held(let lease), .confirming(let lease), .ending(let lease):
                if lease.lease != was.lease { fault = "\(unit) has \(lease.lease) but \(was.lease) stands" }
            case .bound(let lease):
                if lease != was.lease { fault = "\(unit) has \(lease) but \(was.lease) stands" }
            case .free, .resting: fault = "\(unit) is without \(was.lease), which stands"
            }
        }
    }

    private mutating func disconnect() throws {
        isConnected = false
        unanswered = []
        try feed(.disconnected)
    }

    private mutating func connection() throws {
        if isConnected { return try disconnect() }
        isConnected = true
        try feed(.connected)
    }

    /// Redis says of each confirm of before whether it was taken.
    private mutating func answerFirst(_ session: Int64, _ reports: [UnitReport]) throws {
        guard isConnected, chance.below(5) > 0 else {
            return try feed(.heartbeatAnswered(session: session, .failed))
        }
        var messages: [AgentMessage] = []
        for report in reports {
            guard case .confirming(let held) = report.state else { continue }
            if taken.contains(held.lease) || chance.below(2) == 0 {
                messages.append(.confirmed(held.lease))
            } else {
                messages.append(.end(held.lease, held.token, .withdrawn))
                over(held.lease)
            }
        }
        try feed(.heartbeatAnswered(session: session, .heard(messages)))
    }

    private func mail(_ messages: [AgentMessage]) -> Bench.Event {
        .mail(AgentMail(session: bench.machine.session, messages: messages))
    }

    private mutating func makeOffer(on name: String, after: ReleasedLease? = nil) throws -> Offer {
        fencing += 1
        let low = chance.below(10) == 0 ? Int64(chance.below(50)) + 1 : fencing
        let ttl = Duration.milliseconds(Int64(1000 + chance.below(20_000)))
        let grace = Duration.milliseconds(Int64(chance.below(8000)))
        let others = names.filter { $0 != name }
        let also = chance.below(4) == 0 ? [others[chance.below(others.count)]] : []
        let offer = try Bench.offer(low, on: name, ttl: ttl, grace: grace, after: after, also: also)
        if heard[offer.lease] == nil { heard[offer.lease] = (bench.now, offer) }
        return offer
    }

    private mutating func offer() throws {
        let offer = try makeOffer(on: names[chance.below(names.count)])
        if chance.below(10) == 0 {
            return try feed(.mail(AgentMail(session: bench.machine.session - 1, messages: [.offer(offer)])))
        }
        try feed(mail([.offer(offer)]))
    }

    private mutating func answer() throws {
        guard isConnected, !unanswered.isEmpty else { return }
        let (session, lease) = unanswered.remove(at: chance.below(unanswered.count))
        guard session == bench.machine.session else { return }
        switch chance.below(4) {
        case 0:
            guard !taken.contains(lease), standing[lease.unit]?.lease == lease else { return }
            over(lease)
            try feed(.confirmAnswered(session: session, lease, .gone))
        case 1: try feed(.confirmAnswered(session: session, lease, .failed))
        default:
            taken.insert(lease)
            try feed(.confirmAnswered(session: session, lease, .held))
        }
    }

    private mutating func oneStanding() -> Standing? {
        let all = standing.values.sorted { $0.lease < $1.lease }
        return all.isEmpty ? nil : all[chance.below(all.count)]
    }

    private mutating func renew() throws {
        guard let some = oneStanding(), taken.contains(some.lease) else { return }
        nonces += 1
        let token = chance.below(5) == 0 ? TokenHash("stale") : some.token
        let newToken = chance.below(3) == 0 ? TokenHash("new\(nonces)") : nil
        try feed(
            mail([
                .renew(
                    some.lease, token: token, newToken: newToken, nonce: "n\(nonces)", coordinator: InstanceID("c1"))
            ]))
    }

    /// A holder gives back what it has; the word may be lost, or come with the next offer.
    private mutating func release() throws {
        guard let some = oneStanding(), taken.contains(some.lease), !some.isRevoked else { return }
        if chance.below(4) == 0 {
            let stale = ReleasedLease(lease: some.lease, token: TokenHash("stale"))
            let offer = try makeOffer(on: some.lease.unit.text, after: stale)
            return try feed(mail([.end(stale.lease, stale.token, .released), .offer(offer)]))
        }
        over(some.lease)
        let released = ReleasedLease(lease: some.lease, token: some.token)
        switch chance.below(3) {
        case 0: try feed(mail([.end(some.lease, some.token, .released)]))
        case 1: try feed(mail([.offer(try makeOffer(on: some.lease.unit.text, after: released))]))
        default: break
        }
    }

    private mutating func revoke() throws {
        guard let some = oneStanding(), taken.contains(some.lease), bench.machine.isOpen else { return }
        if !some.runs { change(some.lease) { $0.isRevoked = true } }
        try feed(mail([.revoke(some.lease, .revoked, by: "ann", why: "")]))
    }

    /// Somebody wants the unit of a lease, or does so no more.
    private mutating func ask() throws {
        guard let some = oneStanding(), taken.contains(some.lease) else { return }
        let ticket = TicketID("t\(chance.below(2))")
        if chance.below(3) == 0 { return try feed(mail([.spare(some.lease, ticket)])) }
        let wish = Preemption(ticket: ticket, holder: try HolderID("mic"), priority: 0, by: "")
        try feed(mail([.preempt(some.lease, wish)]))
    }

    private mutating func process() throws {
        if let lease = bench.machine.processes.first?.lease, chance.below(2) == 0 {
            // Its holder has died, or an admin wanted it to: nobody counts on the lease any more.
            if taken.contains(lease) { over(lease) }
            return try feed(.processesGone(lease))
        }
        if let lease = bench.machine.processes.last?.lease, chance.below(4) == 0 { return try feed(.keeperGone(lease)) }
        guard let some = oneStanding(), taken.contains(some.lease) else { return }
        try feed(.processStarted(some.lease, some.token, Bench.process))
        let runs = bench.machine.processes.contains { $0.lease == some.lease }
        change(some.lease) { $0.runs = runs }
    }

    /// The process dies and starts again with what its journal says.
    private mutating func crash() throws {
        isConnected = false
        unanswered = []
        bench = try Bench(names, past: .remembered(journal), at: bench.now)
        for (unit, some) in standing {
            standing[unit]?.runs = bench.machine.processes.contains { $0.lease == some.lease }
        }
        try feed(.clockReached)
    }

    private mutating func devices() throws {
        let count = chance.below(names.count + 1)
        try feed(.inventory(try names.prefix(count).map(Bench.unit)))
        try feed(.inventory(try names.map(Bench.unit)))
    }
}

/// SplitMix64.
private struct Chance {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(limit))
    }
}
