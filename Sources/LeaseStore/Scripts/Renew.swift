import LeaseModel
import RedisClient

package enum RenewOutcome: Equatable, Sendable {
    /// The agent has been asked; it answers by a message that names the nonce.
    case asked
    /// Why it ended, where that is known, and by whom.
    case gone(EndReason?, by: String)
    case wrongToken
    /// The unit's host is not present: try again.
    case unheard
}

extension LeaseStore {
    /// Passes a holder's renewal on to the agent, which alone moves the deadline (design §4.3).
    package func renew(
        _ lease: LeaseID, token: TokenHash, nonce: String, coordinator: InstanceID
    ) async throws(StoreError) -> RenewOutcome {
        let answer = try await run(
            ScriptLibrary.renew, [.text(lease.text), .text(token.text), .text(nonce), .text(coordinator.text)])
        switch answer.word {
        case "asked": return .asked
        case "gone": return .gone(EndReason(rawValue: answer.text(1)), by: answer.text(2))
        case "wrong-token": return .wrongToken
        case "unheard": return .unheard
        default: throw answer.notUnderstood
        }
    }
}
