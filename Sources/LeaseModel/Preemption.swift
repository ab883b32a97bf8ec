/// A waiter's wish that a lease be given back before its time. The wish ends with the wait.
package struct Preemption: Hashable, Sendable {
    /// The request that waits.
    package var ticket: TicketID
    /// Who waits, and how urgently.
    package var holder: HolderID
    package var priority: Int
    /// The name of its token, or what stands for none.
    package var by: String

    package init(ticket: TicketID, holder: HolderID, priority: Int, by: String) {
        self.ticket = ticket
        self.holder = holder
        self.priority = priority
        self.by = by
    }
}
