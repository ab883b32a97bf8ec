import LeaseModel

/// Leases whose units a waiter wants before their time (docs/protocol.md §8). Nothing here ends one: the holder gives it
/// back, or Redis says that the waiter still waits and the lease is revoked.
extension AgentMachine {
    /// A wish that is said again, or by the next waiter, prolongs nothing.
    mutating func preempt(_ lease: LeaseID, _ preemption: Preemption, heard: BootInstant) {
        guard case .held(var own)? = units[lease.unit]?.state, own.lease == lease, own.asked?.preemption != preemption
        else { return }
        own.asked = OwnLease.Asked(
            preemption, deadline: own.asked?.deadline ?? heard + min(own.terms.grace, longestGrace))
        units[lease.unit]?.replace(own)
        actions.append(.writeJournal)
        actions.append(.tellAsked(lease, own.asked))
    }

    mutating func spare(_ lease: LeaseID, _ ticket: TicketID) {
        guard case .held(var own)? = units[lease.unit]?.state, own.lease == lease,
            own.asked?.preemption.ticket == ticket
        else { return }
        own.asked = nil
        units[lease.unit]?.replace(own)
        actions.append(.writeJournal)
        actions.append(.tellAsked(lease, nil))
    }

    /// The grace is over. Only Redis knows whether the waiter still waits; while it cannot be asked the lease stands.
    mutating func insist(_ id: UnitID, at now: BootInstant) {
        guard case .held(var own)? = units[id]?.state, let asked = own.asked else { return }
        own.asked?.deadline = now + Self.insistPause
        units[id]?.replace(own)
        guard link == .open else { return }
        actions.append(
            .say(.insist(own.lease, asked.preemption.ticket, by: asked.preemption.by), session: session))
    }

    mutating func insistAnswered(_ lease: LeaseID, _ ticket: TicketID, _ answer: InsistAnswer, at now: BootInstant) {
        switch answer {
        case .ending: revoke(lease, .preempted, at: now)
        case .spared: spare(lease, ticket)
        case .unknownLease, .failed: break  // it is said again
        case .unknownHost: wordAnswered(.unknownHost, at: now)
        case .staleSession: wordAnswered(.staleSession, at: now)
        }
    }

    /// What is asked of the holder of a lease.
    package func asked(of lease: LeaseID) -> OwnLease.Asked? {
        guard case .held(let own)? = units[lease.unit]?.state, own.lease == lease else { return nil }
        return own.asked
    }
}
