/// How an ask is meant (design §6): the client's own call, or one more for a ticket that keeps its age.
package enum AskAge: Hashable, Sendable {
    /// No ask of this ticket was sent before, and nobody else can name it: nothing about it is looked up.
    case first
    /// Redis may know the ticket: its client has named it, or an ask of it was sent that was not answered. It may be taken
    /// up from another coordinator.
    case fresh
    /// Its coordinator asks again after a loss; the ticket keeps its age by its old score (µs).
    case again(score: Int64)
}
