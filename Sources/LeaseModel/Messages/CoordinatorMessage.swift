/// A lease that its agent has confirmed for a ticket.
package struct Grant: Hashable, Sendable {
    package var ticket: TicketID
    package var lease: LeaseID
    package var token: TokenHash
    package var ttl: Duration
    /// The number of this coordinator's own heartbeat that the holder's time is counted from, or nil (design §5).
    package var beat: Int64?
    /// The units that the lease spans beside the one that it is named by.
    package var also: [UnitID]

    package init(
        ticket: TicketID, lease: LeaseID, token: TokenHash, ttl: Duration, beat: Int64?, also: [UnitID] = []
    ) {
        self.ticket = ticket
        self.lease = lease
        self.token = token
        self.ttl = ttl
        self.beat = beat
        self.also = also
    }
}

/// What Redis tells a coordinator.
package enum CoordinatorMessage: Hashable, Sendable {
    case granted(Grant)
    /// A lease for this ticket stands, confirmed at another time: answer it as a renewal (design §4.8).
    case held(TicketID, LeaseID)
    /// The agent has moved the lease's deadline for exactly this call.
    ///
    /// `also`: the units that the lease spans beside the one that it is named by.
    case renewed(LeaseID, nonce: String, ttl: Duration, also: [UnitID] = [])
    /// The agent does not have the lease, or not with this token.
    case renewalRefused(LeaseID, nonce: String, EndReason)
    /// An admin refused this ticket by force.
    case refused(TicketID, by: String, why: String)
    /// Another coordinator has taken the ticket up for its client.
    case moved(TicketID)
}
