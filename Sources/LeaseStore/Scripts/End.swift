import LeaseModel
import RedisClient

package enum EndOutcome: Equatable, Sendable {
    /// The unit was matched again; `next` holds the offer for it, if somebody waited.
    case ended(next: [AgentMessage])
    case unknownLease
    case unknownHost, staleSession
}

extension LeaseStore {
    /// Says that a lease has ended at its agent (design §4.5, §4.6).
    package func end(
        _ origin: AgentOrigin, _ lease: LeaseID, reason: EndReason
    ) async throws(StoreError) -> EndOutcome {
        let answer = try await run(ScriptLibrary.end, origin.arguments + [.text(lease.text), .text(reason.rawValue)])
        switch answer.word {
        case "ended": return .ended(next: Inbox.ownMail(answer.bytes(1)))
        case "unknown-lease": return .unknownLease
        case "unknown-host": return .unknownHost
        case "stale-session": return .staleSession
        default: throw answer.notUnderstood
        }
    }
}
