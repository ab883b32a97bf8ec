/// Judges a run by what clients are told and what agents hold. Shares no code with what it judges.
struct Checker {
    /// A lease as its holder may count on it, by its own counting.
    private struct Belief {
        var session: Int
        var unit: String
        var lease: String
        var until: Duration
    }

    private struct Waiting {
        var call: Int
        var session: Int
        var wish: Wish
        var priority: Int
        var since: Duration
        /// When its client first asked.
        var age: Duration
        var timeout: Duration
        var coordinator: Int
    }

    private struct Table {
        var lease: String?
        var freeSince: Duration?
        /// Whom its confirmed lease is for, since then.
        var session: Int?
        var heldSince = Duration.zero
    }

    /// A grant that came before an earlier wish, which has to be granted in the same moment or be overtaken.
    private struct Suspicion {
        var call: Int
        var by: String
        var until: Duration
    }

    private(set) var violations: [String] = []
    var now = Duration.zero
    /// Nothing is broken since then; nil while something is.
    var healedAt: Duration?
    /// Whether nothing was or will be broken in this run.
    var isCalm = false
    /// How much later than another a request may come and be served before it, a priority point.
    var aging = Duration.zero
    var memories: [String: Int] = [:]

    private var beliefs: [Belief] = []
    private var waiting: [Waiting] = []
    private var tables: [String: Table] = [:]
    private var highest: [String: Int64] = [:]
    private var confirmedLeases: [String: Duration] = [:]
    /// Ended by an admin: nobody counts on them any more.
    private var forced: Set<String> = []
    /// Held on a host that has forgotten them: they may end early, but nobody else may have their units.
    private var forgotten: Set<String> = []
    private var answers: Set<Int> = []
    /// When somebody who takes several units waited last: units may be held back for it.
    private var severalWaited: Duration?
    /// When the last call of a session ended.
    private var leftAt: [Int: Duration] = [:]
    /// Sessions that were told a lease.
    private var served: Set<Int> = []
    private var suspicions: [Suspicion] = []
    /// Hosts whose agents do not run, since when.
    private var away: [String: Duration] = [:]

    static let movesWithin = Duration.seconds(10)
    /// How long units may be held back at once for who takes several, as long as the simulation's clients wait.
    static let heldBackWithin = Duration.seconds(30)
    /// The presence of a host that is gone, and the moves that follow.
    static let missedWithin = Duration.seconds(26)
    static let answersWithin = Duration.seconds(6)
    /// Presence of a silent coordinator, a place kept for its client, and a notice of a broken connection.
    static let forgottenWithin = Duration.seconds(18)

    private mutating func blame(_ text: String) { violations.append("\(World.seconds(now)) \(text)") }

    /// What the machinery itself could not do.
    mutating func failed(_ text: String) { blame(text) }

    private static func host(of unit: String) -> String { String(unit.prefix { $0 != "/" }) }

    // MARK: What agents do

    mutating func confirmed(unit: String, lease: String, fencing: Int64) {
        if let highest = highest[unit], fencing <= highest {
            blame("fencing: \(unit) confirms \(fencing) after \(highest)")
        }
        highest[unit] = fencing
        confirmedLeases[lease] = now
        for belief in beliefs where belief.unit == unit && belief.lease != lease && belief.until > now {
            blame(
                "exclusivity: \(lease) is confirmed while session \(belief.session) counts on \(belief.lease) until \(World.seconds(belief.until))"
            )
        }
    }

    /// The agent's table says this of a unit now.
    mutating func table(_ unit: String, isFree: Bool, lease: String?, session: Int? = nil) {
        let before = tables[unit]
        if let lost = before?.lease, lost != lease { tableLost(unit, lost) }
        let freeSince = isFree ? before?.freeSince ?? now : nil
        guard before == nil || before?.lease != lease || before?.freeSince != freeSince || before?.session != session
        else { return }
        tables[unit] = Table(lease: lease, freeSince: freeSince, session: session, heldSince: now)
    }

    /// Whom nobody has waited for this long is given nothing: neither its client nor its coordinator is there. What was
    /// confirmed before is held until its time is over.
    private mutating func lookForGhosts(_ healedAt: Duration) {
        for unit in tables.keys.sorted() {
            guard let table = tables[unit], let session = table.session, let left = leftAt[session],
                !served.contains(session), !waiting.contains(where: { $0.session == session }),
                table.heldSince > max(left, healedAt) + Self.forgottenWithin, now > table.heldSince + .seconds(3)
            else { continue }
            blame("ghost: \(unit) is kept for session \(session), which has gone at \(World.seconds(left))")
        }
    }

    private mutating func tableLost(_ unit: String, _ lease: String) {
        guard !forced.contains(lease), !forgotten.contains(lease) else { return }
        for belief in beliefs where belief.lease == lease && belief.until > now {
            blame(
                "early end: the agent has ended \(lease), on which session \(belief.session) counts until \(World.seconds(belief.until))"
            )
        }
    }

    /// The agent's process is gone, its table with it.
    mutating func agentGone(_ host: String) {
        away[host] = away[host] ?? now
        for unit in tables.keys.sorted() where Self.host(of: unit) == host {
            // What its journal remembers is compared when it is back.
            tables[unit]?.freeSince = nil
        }
    }

    mutating func agentBack(_ host: String) {
        away[host] = nil
        // What it holds is told again after this.
        for unit in tables.keys where Self.host(of: unit) == host { tables[unit]?.heldSince = now }
    }

    /// The host knows nothing of what it held: its leases end without a word, but its units rest.
    mutating func hostForgot(_ host: String) {
        for unit in tables.keys.sorted() where Self.host(of: unit) == host { tables[unit] = nil }
        for lease in confirmedLeases.keys where Self.host(of: lease) == host { forgotten.insert(lease) }
    }

    /// An admin's word about this lease has run.
    mutating func force(_ lease: String) {
        forced.insert(lease)
        beliefs.removeAll { $0.lease == lease }
    }

    // MARK: What clients are told

    mutating func asked(
        call: Int, session: Int, wish: Wish, priority: Int, age: Duration, timeout: Duration, coordinator: Int
    ) {
        waiting.append(
            Waiting(
                call: call, session: session, wish: wish, priority: priority, since: now, age: age, timeout: timeout,
                coordinator: coordinator))
    }

    mutating func answered(call: Int) {
        if !answers.insert(call).inserted { blame("answered twice: call \(call)") }
        closed(call: call)
    }

    mutating func closed(call: Int) {
        if let session = waiting.first(where: { $0.call == call })?.session { leftAt[session] = now }
        waiting.removeAll { $0.call == call }
        suspicions.removeAll { $0.call == call }
    }

    mutating func told(session: Int, wish: Wish, units: [String], lease: String, until: Duration) {
        if case .several(let count) = wish, Set(units).count != count || Set(units.map(Self.host)).count != 1 {
            blame("partly: session \(session) asked for \(count) units of a host and is told \(units)")
        }
        if confirmedLeases[lease] == nil {
            blame("invented: session \(session) is told \(lease), which no agent has confirmed")
        }
        served.insert(session)
        for unit in units { believe(Belief(session: session, unit: unit, lease: lease, until: until)) }
    }

    /// A holder's only token was called wrong.
    mutating func refusedToken(session: Int, lease: String) {
        guard let healedAt, now > healedAt + Self.movesWithin, !forgotten.contains(lease),
            beliefs.contains(where: { $0.session == session && $0.lease == lease && $0.until > now })
        else { return }
        blame("wrong token: session \(session) was told one for \(lease), and it does not count")
    }

    mutating func renewed(session: Int, lease: String, until: Duration) {
        let known = beliefs.filter { $0.session == session && $0.lease == lease }
        beliefs.removeAll { $0.session == session && $0.lease == lease }
        for var belief in known {
            belief.until = max(belief.until, until)
            believe(belief)
        }
    }

    private mutating func believe(_ belief: Belief) {
        beliefs.removeAll { $0.until <= now }
        guard belief.until > now, !forced.contains(belief.lease) else { return }
        for other in beliefs where other.unit == belief.unit && other.session != belief.session {
            blame(
                "exclusivity: sessions \(other.session) and \(belief.session) count on \(other.lease) and \(belief.lease)"
            )
        }
        if !forgotten.contains(belief.lease), let table = tables[belief.unit], table.lease != belief.lease {
            blame(
                "unfounded: session \(belief.session) is told \(belief.lease) until \(World.seconds(belief.until)), its agent has \(table.lease ?? "nothing")"
            )
        }
        if let index = beliefs.firstIndex(where: {
            $0.session == belief.session && $0.lease == belief.lease && $0.unit == belief.unit
        }) {
            beliefs[index].until = max(beliefs[index].until, belief.until)
        } else {
            beliefs.append(belief)
        }
    }

    mutating func gaveBack(session: Int) { beliefs.removeAll { $0.session == session } }

    mutating func lost(session: Int, lease: String) {
        for belief in beliefs
        where belief.session == session && belief.lease == lease && belief.until > now && !forgotten.contains(lease) {
            blame(
                "early loss: session \(session) is told that \(lease) is gone, on which it counts until \(World.seconds(belief.until))"
            )
        }
        beliefs.removeAll { $0.session == session && $0.lease == lease }
    }

    /// Whether somebody counts on a lease.
    var isBelieved: Bool { beliefs.contains { $0.until > now } }

    // MARK: Whether it moves

    private func takes(_ wish: Wish, _ unit: String) -> Bool {
        switch wish {
        case .any, .several: true
        case .host(let host): Self.host(of: unit) == host
        case .unit(let wanted): unit == wanted
        case .memory(let least): memories[unit, default: 0] >= least
        }
    }

    /// In calm weather: nobody is overtaken by one that came more than Δpriority × aging later.
    mutating func granted(unit: String, age: Duration, priority: Int, lease: String) {
        guard isCalm, let confirmed = confirmedLeases[lease] else { return }
        // Who asked just before the unit was taken was still on the way.
        // Who takes several is passed over where it cannot have all of them (docs/protocol.md §5).
        for other in waiting
        where takes(other.wish, unit) && !other.wish.isForSeveral && other.since < confirmed - .seconds(1) {
            let bound = other.age + aging * (other.priority - priority) + .seconds(1)
            if age > bound {
                suspicions.append(Suspicion(call: other.call, by: lease, until: now + .seconds(5)))
            }
        }
    }

    /// - Parameter isAlive: Whether that coordinator runs and can be reached.
    mutating func look(isAlive: (Int) -> Bool) {
        for suspicion in suspicions where suspicion.until <= now {
            blame("starvation: call \(suspicion.call) was overtaken by \(suspicion.by)")
        }
        suspicions.removeAll { $0.until <= now }
        guard let healedAt else { return }
        lookForGhosts(healedAt)
        if waiting.contains(where: \.wish.isForSeveral) { severalWaited = now }
        let isHeldBack = severalWaited.map { now < $0 + Self.forgottenWithin } ?? false
        let patience = isHeldBack ? Self.movesWithin + Self.heldBackWithin : Self.movesWithin
        for waiter in waiting where isAlive(waiter.coordinator) {
            if now > max(waiter.since, healedAt) + waiter.timeout + Self.answersWithin {
                blame("silence: call \(waiter.call) of session \(waiter.session) has no answer")
                waiting.removeAll { $0.call == waiter.call }
                return
            }
            for unit in tables.keys.sorted() where tables[unit]?.session == waiter.session {
                guard let table = tables[unit], away[Self.host(of: unit)] == nil,
                    now > max(waiter.since, table.heldSince, healedAt) + Self.movesWithin
                else { continue }
                blame("untold: call \(waiter.call) of session \(waiter.session) waits, and \(unit) is held for it")
                waiting.removeAll { $0.call == waiter.call }
                return
            }
            // Where a host went away with a lease for it that it was not told, it waits until that host is given up.
            let isKept = tables.contains { unit, table in
                table.session == waiter.session
                    && away[Self.host(of: unit)].map { now <= max($0, healedAt) + Self.missedWithin } ?? true
            }
            guard !isKept else { continue }
            var free: [String: Int] = [:]
            for unit in tables.keys.sorted() where takes(waiter.wish, unit) {
                guard let freeSince = tables[unit]?.freeSince else { continue }
                if now > max(waiter.since, freeSince, healedAt) + patience {
                    free[Self.host(of: unit), default: 0] += 1
                    guard free[Self.host(of: unit), default: 0] == waiter.wish.count else { continue }
                    blame("standstill: call \(waiter.call) of session \(waiter.session) waits, and \(unit) is free")
                    waiting.removeAll { $0.call == waiter.call }
                    return
                }
            }
        }
    }

    /// At the end nothing may be left in Redis.
    mutating func left(_ names: [String]) {
        if !names.isEmpty { blame("orphans: \(names.prefix(6).joined(separator: ", "))") }
    }
}
