import LeaseModel
import RedisClient

package enum SpareOutcome: Equatable, Sendable { case spared, notAsked }

extension LeaseStore {
    /// Takes a waiter's wish for the unit of a lease back; nothing where that lease is over or ending.
    package func spare(_ lease: LeaseID, for ticket: TicketID) async throws(StoreError) -> SpareOutcome {
        let answer = try await run(ScriptLibrary.spare, [.text(ticket.text), .text(lease.text)])
        switch answer.word {
        case "spared": return .spared
        case "not-asked": return .notAsked
        default: throw answer.notUnderstood
        }
    }
}
