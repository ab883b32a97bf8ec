import LeaseModel
import RedisClient

package enum AnswerAgainOutcome: Equatable, Sendable {
    /// The agent has been asked; it answers by a message that names the nonce.
    case asked(LeaseID, ttl: Duration)
    /// Its host is silent: the lease was given back, and the ticket can be asked for again with this score.
    case givenUp(score: Int64)
    case notYours, unknown
}

extension LeaseStore {
    /// Answers a lease that stands for a waiting ticket, as a renewal with a new token (design §4.8).
    ///
    /// - Parameter beat: Number of the coordinator's last heartbeat; throws where Redis has had a later one.
    package func answerAgain(
        _ ticket: TicketID, coordinator: InstanceID, newToken: TokenHash, nonce: String, beat: Int64 = .max
    ) async throws(StoreError) -> AnswerAgainOutcome {
        let answer = try await run(
            ScriptLibrary.answerAgain,
            [.text(ticket.text), .text(coordinator.text), .text(newToken.text), .text(nonce), .integer(beat)])
        switch answer.word {
        case "asked":
            guard let lease = try? LeaseID(answer.text(1)) else { throw answer.notUnderstood }
            return .asked(lease, ttl: .milliseconds(answer.integer(2)))
        case "given-up": return .givenUp(score: answer.integer(1))
        case "not-yours": return .notYours
        case "unknown": return .unknown
        default: throw answer.notUnderstood
        }
    }
}
