import LeaseModel
import RedisClient

/// Why a coordinator gives up a ticket.
package enum CancelReason: String, Equatable, Sendable {
    case cancelled, timeout, undelivered, shutdown, forgotten
}

package enum CancelOutcome: Equatable, Sendable {
    case cancelled
    /// It had been granted already; the lease was given back.
    case released
    case notYours, unknown
}

extension LeaseStore {
    /// Gives up a ticket that is still this coordinator's, whatever has become of it (design §4.7).
    ///
    /// - Parameters:
    ///   - lease: The one to give back, where it is known; else what stands for the ticket.
    ///   - beat: Number of the coordinator's last heartbeat; throws where Redis has had a later one.
    package func cancel(
        _ ticket: TicketID, lease: LeaseID? = nil, coordinator: InstanceID, token: TokenHash, why: CancelReason,
        beat: Int64 = .max
    ) async throws(StoreError) -> CancelOutcome {
        let answer = try await run(
            ScriptLibrary.cancel,
            [
                .text(ticket.text), .text(coordinator.text), .text(token.text), .text(why.rawValue),
                .text(lease?.text ?? ""), .integer(beat),
            ])
        switch answer.word {
        case "cancelled": return .cancelled
        case "released": return .released
        case "not-yours": return .notYours
        case "unknown": return .unknown
        default: throw answer.notUnderstood
        }
    }
}
