/// What a lease was asked for with. The agent keeps it, so that it can restore a lease that Redis has lost (design §6).
package struct LeaseTerms: Hashable, Sendable {
    package var holder: HolderID
    /// The authenticated caller that asked; empty where no token is configured.
    package var caller: String
    package var ticket: TicketID
    package var coordinator: InstanceID
    package var priority: Int
    package var selector: String
    /// Queue score in microseconds of the pool clock plus priority × aging.
    package var score: Int64
    package var ttl: Duration
    /// The client's `metadata` as compact JSON, or empty.
    package var metadata: String
    /// How long its processes have between SIGTERM and SIGKILL when it ends early or by time, at most `Limits.longestGrace`.
    package var grace: Duration

    package init(
        holder: HolderID, caller: String, ticket: TicketID, coordinator: InstanceID, priority: Int, selector: String,
        score: Int64, ttl: Duration, metadata: String, grace: Duration = Limits.standardGrace
    ) {
        self.holder = holder
        self.caller = caller
        self.ticket = ticket
        self.coordinator = coordinator
        self.priority = priority
        self.selector = selector
        self.score = score
        self.ttl = ttl
        self.metadata = metadata
        self.grace = grace
    }
}
