import LeaseModel
import RedisClient

package enum AnswerAgainOutcome: Equatable, Sendable {
    /// The agent has been asked; it answers by a message that names the nonce.
    case asked(LeaseID, ttl: Duration)
    /// Its host is silent: the lease was given back, and the ticket can be asked for again with this score.
    case givenUp(score: Int64)
    case notYours, unknown
}

/// A lease that stands for a waiting ticket is answered as a renewal with a new token (design §4.8).
package struct AnswerAgain: Sendable {
    package var ticket: TicketID
    package var coordinator: InstanceID
    package var newToken: TokenHash
    package var nonce: String
    /// Number of the coordinator's last heartbeat: refused where Redis has had a later one.
    package var beat: Int64

    package init(
        _ ticket: TicketID, coordinator: InstanceID, newToken: TokenHash, nonce: String, beat: Int64 = .max
    ) {
        self.ticket = ticket
        self.coordinator = coordinator
        self.newToken = newToken
        self.nonce = nonce
        self.beat = beat
    }

    var words: [RedisArgument] {
        [.text(ticket.text), .text(coordinator.text), .text(newToken.text), .text(nonce), .integer(beat)]
    }
}

extension Answer {
    func againOutcome() throws(StoreError) -> AnswerAgainOutcome {
        switch word {
        case "asked":
            guard let lease = try? LeaseID(text(1)) else { throw notUnderstood }
            return .asked(lease, ttl: .milliseconds(integer(2)))
        case "given-up": return .givenUp(score: integer(1))
        case "not-yours": return .notYours
        case "unknown": return .unknown
        default: throw notUnderstood
        }
    }
}

extension LeaseStore {
    package func answerAgain(_ again: AnswerAgain) async throws(StoreError) -> AnswerAgainOutcome {
        try await run(ScriptLibrary.answerAgain, again.words).againOutcome()
    }
}

extension LeaseCalls {
    package func answerAgain(_ again: AnswerAgain, reply: @escaping Reply<AnswerAgainOutcome>) {
        call(
            ScriptLibrary.answerAgain, again.words, { (answer) throws(StoreError) in try answer.againOutcome() }, reply)
    }
}
