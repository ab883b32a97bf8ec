import LeaseModel
import RedisClient

package enum InsistOutcome: Equatable, Sendable {
    /// The record has the lease as ending: it is the agent's to end.
    case ending
    /// The waiter waits no more.
    case spared
    /// Redis does not know the lease as it is: say it again later.
    case unknownLease
    case unknownHost, staleSession
}

extension LeaseStore {
    /// Says that the holder of a lease was asked to give it back and has had its grace (docs/protocol.md §8).
    package func insist(
        _ origin: AgentOrigin, _ lease: LeaseID, for ticket: TicketID, by: String
    ) async throws(StoreError) -> InsistOutcome {
        let answer = try await run(
            ScriptLibrary.insist, origin.arguments + [.text(lease.text), .text(ticket.text), .text(by)])
        switch answer.word {
        case "ending": return .ending
        case "spared": return .spared
        case "unknown-lease": return .unknownLease
        case "unknown-host": return .unknownHost
        case "stale-session": return .staleSession
        default: throw answer.notUnderstood
        }
    }
}
