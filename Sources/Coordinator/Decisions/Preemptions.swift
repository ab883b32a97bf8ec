import LeaseModel

/// Which holder is asked to give its unit back for whom (docs/protocol.md §8). Chooses; Redis judges, and the agent ends.
///
/// A waiter asks one holder at a time. Nothing is lost with this value: what was asked stands in Redis and at the agent.
package struct Preemptions {
    /// Who may preempt whom.
    package struct Policy: Hashable, Sendable {
        /// How much worse the priority of a lease has to be, 1 to 100; 0 lets nobody preempt.
        package var distance: Int
        /// How long a lease is left alone.
        package var minRun: Duration

        package init(distance: Int = Limits.preemptDistance, minRun: Duration = Limits.minRun) {
            self.distance = distance
            self.minRun = minRun
        }
    }

    /// A request that waits and may have a holder asked.
    package struct Wish: Hashable, Sendable {
        package var ticket: TicketID
        package var selector: Selector
        package var priority: Priority
        /// Who asks, as the events tell it.
        package var by: String

        package init(ticket: TicketID, selector: Selector, priority: Priority, by: String) {
            self.ticket = ticket
            self.selector = selector
            self.priority = priority
            self.by = by
        }
    }

    /// A lease that is held, as this coordinator's copy of the pool has it.
    package struct Candidate: Hashable, Sendable {
        package var lease: LeaseID
        package var priority: Int
        /// Pool clock, ms.
        package var granted: Int64
        /// The ticket it is asked back for, where it is.
        package var preemptor: TicketID?
        package var properties: UnitProperties
        package var labels: [String: String]

        package init(
            lease: LeaseID, priority: Int, granted: Int64, preemptor: TicketID?, properties: UnitProperties,
            labels: [String: String]
        ) {
            self.lease = lease
            self.priority = priority
            self.granted = granted
            self.preemptor = preemptor
            self.properties = properties
            self.labels = labels
        }
    }

    package enum Answer: Hashable, Sendable { case asked(LeaseID), notNow, failed }

    package enum Action: Hashable, Sendable {
        case preempt(Wish, LeaseID)
        case spare(TicketID, LeaseID)
    }

    private enum State {
        case searching
        case asking(LeaseID)
        case asked(LeaseID, again: BootInstant)
    }

    private struct Entry {
        var wish: Wish
        var order: Int64
        var state: State
    }

    /// A wish is said again after this: the message to the agent may be lost.
    static let repetition = Limits.answerWindow
    /// Wishes that one look finds holders for.
    static let searchesAtOnce = 32

    package let policy: Policy
    private var entries: [TicketID: Entry] = [:]
    private var lastOrder: Int64 = 0

    package init(policy: Policy) { self.policy = policy }

    /// Requests that look for a holder or have one asked.
    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }

    /// The request waits. Not to be called for one that may not preempt.
    package mutating func waits(_ wish: Wish) {
        guard policy.distance > 0, entries[wish.ticket] == nil else { return }
        lastOrder += 1
        entries[wish.ticket] = Entry(wish: wish, order: lastOrder, state: .searching)
    }

    /// The request waits no more.
    ///
    /// - Parameter isElsewhere: It goes on at another coordinator, which asks on.
    package mutating func over(_ ticket: TicketID, isElsewhere: Bool = false) -> [Action] {
        guard let entry = entries.removeValue(forKey: ticket), !isElsewhere else { return [] }
        switch entry.state {
        case .searching: return []
        case .asking(let lease), .asked(let lease, _): return [.spare(ticket, lease)]
        }
    }

    package mutating func answered(_ ticket: TicketID, _ answer: Answer, at now: BootInstant) -> [Action] {
        guard let entry = entries[ticket], case .asking(let lease) = entry.state else {
            // It was given up meanwhile, and what was said then may have come first.
            if case .asked(let lease) = answer, entries[ticket] == nil { return [.spare(ticket, lease)] }
            return []
        }
        switch answer {
        case .asked(let lease): entries[ticket]?.state = .asked(lease, again: now + Self.repetition)
        case .notNow: entries[ticket]?.state = .searching
        case .failed: entries[ticket]?.state = .asked(lease, again: now + Self.repetition)
        }
        return []
    }

    /// Looks for holders to ask, and repeats what was asked.
    ///
    /// - Parameters:
    ///   - candidates: All leases that are held.
    ///   - poolNow: The pool's clock, ms.
    package mutating func look(at candidates: [Candidate], poolNow: Int64, at now: BootInstant) -> [Action] {
        var actions: [Action] = []
        var taken: Set<LeaseID> = []
        for entry in entries.values {
            if case .asking(let lease) = entry.state { taken.insert(lease) }
            if case .asked(let lease, _) = entry.state { taken.insert(lease) }
        }
        var inVain: Set<Search> = []
        var searches = 0
        for entry in entries.values.sorted(by: Self.comesFirst) {
            let wish = entry.wish
            switch entry.state {
            case .asking: break
            case .asked(let lease, let again):
                guard again <= now else { continue }
                entries[wish.ticket]?.state = .asking(lease)
                actions.append(.preempt(wish, lease))
            case .searching:
                let search = Search(selector: wish.selector, priority: wish.priority)
                guard searches < Self.searchesAtOnce, !inVain.contains(search) else { continue }
                searches += 1
                guard let lease = victim(of: wish, among: candidates, poolNow: poolNow, except: taken) else {
                    inVain.insert(search)
                    continue
                }
                taken.insert(lease)
                entries[wish.ticket]?.state = .asking(lease)
                actions.append(.preempt(wish, lease))
            }
        }
        return actions
    }

    private struct Search: Hashable {
        var selector: Selector
        var priority: Priority
    }

    private static func comesFirst(_ left: Entry, _ right: Entry) -> Bool {
        (left.wish.priority, left.order) < (right.wish.priority, right.order)
    }

    /// The worst priority, and of several the youngest lease, which loses least. One that was asked for this very ticket
    /// before, by another coordinator, stays the one.
    private func victim(
        of wish: Wish, among candidates: [Candidate], poolNow: Int64, except taken: Set<LeaseID>
    ) -> LeaseID? {
        if let own = candidates.first(where: { $0.preemptor == wish.ticket }) { return own.lease }
        return candidates.filter { candidate in
            candidate.preemptor == nil && !taken.contains(candidate.lease)
                && candidate.priority - wish.priority.value >= policy.distance
                && candidate.granted + policy.minRun.milliseconds <= poolNow
                && wish.selector.admits(candidate.properties, labels: candidate.labels)
        }.max { ($0.priority, $0.granted, $0.lease) < ($1.priority, $1.granted, $1.lease) }?.lease
    }
}
