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

/// A coordinator gives up a ticket that is still its own, whatever has become of it (design §4.7).
package struct Cancel: Sendable {
    package var ticket: TicketID
    /// The lease to give back, where it is known; else what stands for the ticket.
    package var lease: LeaseID?
    package var coordinator: InstanceID
    package var token: TokenHash
    package var why: CancelReason
    /// Number of the coordinator's last heartbeat: refused where Redis has had a later one.
    package var beat: Int64

    package init(
        _ ticket: TicketID, lease: LeaseID? = nil, coordinator: InstanceID, token: TokenHash, why: CancelReason,
        beat: Int64 = .max
    ) {
        self.ticket = ticket
        self.lease = lease
        self.coordinator = coordinator
        self.token = token
        self.why = why
        self.beat = beat
    }

    var words: [RedisArgument] {
        [
            .text(ticket.text), .text(coordinator.text), .text(token.text), .text(why.rawValue),
            .text(lease?.text ?? ""), .integer(beat),
        ]
    }
}

extension Answer {
    func cancelOutcome() throws(StoreError) -> CancelOutcome {
        switch word {
        case "cancelled": return .cancelled
        case "released": return .released
        case "not-yours": return .notYours
        case "unknown": return .unknown
        default: throw notUnderstood
        }
    }
}

extension LeaseStore {
    package func cancel(_ cancel: Cancel) async throws(StoreError) -> CancelOutcome {
        try await run(ScriptLibrary.cancel, cancel.words).cancelOutcome()
    }
}

extension LeaseCalls {
    package func cancel(_ cancel: Cancel, reply: @escaping Reply<CancelOutcome>) {
        call(ScriptLibrary.cancel, cancel.words, { (answer) throws(StoreError) in try answer.cancelOutcome() }, reply)
    }
}
