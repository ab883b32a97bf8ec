import LeaseModel
import RedisClient

package enum PreemptOutcome: Equatable, Sendable {
    /// The holder of this lease is asked, which may be another than was named: a waiter has one at a time.
    case asked(LeaseID)
    /// The waiter, the lease or the policy does not allow it at present.
    case notNow
}

extension LeaseStore {
    /// Asks the holder of a lease to give its unit back for a waiter; may be said again (docs/protocol.md §8).
    ///
    /// - Parameters:
    ///   - distance: How much worse the lease's priority has to be, at least.
    ///   - minRun: How long a lease is left alone.
    package func preempt(
        _ lease: LeaseID, for ticket: TicketID, coordinator: InstanceID, distance: Int, minRun: Duration, by: String
    ) async throws(StoreError) -> PreemptOutcome {
        let answer = try await run(
            ScriptLibrary.preempt,
            [
                .text(ticket.text), .text(coordinator.text), .text(lease.text), .integer(Int64(distance)),
                .integer(minRun.milliseconds), .text(by),
            ])
        switch answer.word {
        case "asked":
            guard let lease = try? LeaseID(answer.text(1)) else { throw answer.notUnderstood }
            return .asked(lease)
        case "not-now": return .notNow
        default: throw answer.notUnderstood
        }
    }
}
