/// A lease offered to the agent of its unit (design §4.1, §4.2).
package struct Offer: Hashable, Sendable {
    package var lease: LeaseID
    package var token: TokenHash
    package var terms: LeaseTerms
    /// The number of the last heartbeat that Redis had from the ticket's coordinator when it made the offer, or nil.
    package var beat: Int64?
    /// The lease whose release made room for this one, with the token hash that the release was given with.
    package var after: ReleasedLease?
    /// The units that the lease spans beside the one that it is named by: all are taken, or none.
    package var also: [UnitID]

    /// All units of the lease.
    package var units: [UnitID] { [lease.unit] + also }

    package init(
        lease: LeaseID, token: TokenHash, terms: LeaseTerms, beat: Int64?, after: ReleasedLease?, also: [UnitID] = []
    ) {
        self.lease = lease
        self.token = token
        self.terms = terms
        self.beat = beat
        self.after = after
        self.also = also
    }
}

/// The word that a lease was given back early. It counts only where `token` is the agent's present one (design §5).
package struct ReleasedLease: Hashable, Sendable {
    package var lease: LeaseID
    package var token: TokenHash
    package init(lease: LeaseID, token: TokenHash) {
        self.lease = lease
        self.token = token
    }
}

/// What Redis tells an agent.
package enum AgentMessage: Hashable, Sendable {
    indirect case offer(Offer)
    /// A word about that very lease: released, cancelled, withdrawn, duplicate.
    case end(LeaseID, TokenHash, EndReason)
    /// An admin wants this lease to end; the agent stops its processes and says `ended`.
    case revoke(LeaseID, EndReason, by: String, why: String)
    /// A waiter wants this lease's unit: its holder is asked, and has its grace to give it back.
    case preempt(LeaseID, Preemption)
    /// The waiter wants it no more.
    case spare(LeaseID, TicketID)
    /// A holder renews. `newToken` replaces the token when the lease is answered again (design §4.8).
    case renew(LeaseID, token: TokenHash, newToken: TokenHash?, nonce: String, coordinator: InstanceID)
    /// Redis does not know this host or doubts it: heartbeat at once.
    case speak
    /// In the answer to a session's first heartbeat: this confirm had been taken.
    case confirmed(LeaseID)
}

/// Messages travel with the session they were made for; an agent ignores those of another session (design §2).
package struct AgentMail: Hashable, Sendable {
    package var session: Int64
    package var messages: [AgentMessage]
    package init(session: Int64, messages: [AgentMessage]) {
        self.session = session
        self.messages = messages
    }
}
