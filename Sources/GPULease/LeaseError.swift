/// Why a lease was not granted, is over, or a question about the pool has no answer.
///
/// Switch over ``kind``; ``message`` is for people and says what to do.
public struct LeaseError: Error, Sendable, CustomStringConvertible {
    /// What happened.
    public enum Kind: Hashable, Sendable {
        /// No unit was granted in time. `position` is where the request stood last, from 1, where that is known.
        case timedOut(position: Int?)
        /// An administrator refused all waiting requests.
        case refused(by: String?, why: String?)
        /// Another call with the same ``LeaseOptions/requestID`` has taken this one's place.
        case replaced
        /// No coordinator could be reached, or none gave an answer that helps.
        case unreachable
        /// The token is missing or unknown.
        case unauthorized
        /// The token's role does not allow this.
        case forbidden
        /// What was asked for is wrong, or the pool does not have it; ``LeaseError/message`` names it.
        case invalid
        /// The lease ended under its holder, who must stop using the unit.
        case lost(LossReason, by: String?, why: String?)
        /// The calling task was cancelled.
        case cancelled
    }

    /// Why a lease is over before its holder gave it back.
    public enum LossReason: String, Hashable, Sendable {
        /// It could not be renewed in time.
        case expired
        /// An administrator revoked it, or reset its unit.
        case revoked
        /// Somebody of better priority asked for its unit, and it was not given back in its grace.
        case preempted
        /// An administrator force-released everything in a scope.
        case forceReleased = "force_released"
        /// Somebody else gave it back, by its token or its holder id.
        case released
        /// Its agent does not have it any more: it was given back by its holder id, or that host lost its memory.
        case lost
        /// Its token proves no lease that stands.
        case notHeld = "not_held"
    }

    /// What happened, to switch over.
    public let kind: Kind
    /// What is wrong, and what to do about it.
    public let message: String
    /// What the body of ``GPUPool/withLease(for:options:onWait:_:)`` threw when its lease was lost, if it threw
    /// something else than a `CancellationError`.
    public let cause: (any Error)?

    init(_ kind: Kind, _ message: String, cause: (any Error)? = nil) {
        self.kind = kind
        self.message = message
        self.cause = cause
    }

    /// The message.
    public var description: String { message }

    func caused(by cause: (any Error)?) -> LeaseError {
        cause is CancellationError ? self : LeaseError(kind, message, cause: cause)
    }
}
