import Agent
import Coordinator
import LeaseModel

/// Short texts for the trace.
enum Words {
    static func message(_ message: AgentMessage) -> String {
        switch message {
        case .offer(let offer): "offer \(offer.lease)\(offer.after.map { " after \($0.lease)" } ?? "")"
        case .end(let lease, let token, let reason): "end \(lease) \(token) \(reason)"
        case .revoke(let lease, let reason, _, _): "revoke \(lease) \(reason)"
        case .renew(let lease, let token, let new, let nonce, _):
            "renew \(lease) \(token)\(new.map { " as \($0)" } ?? "") \(nonce)"
        case .preempt(let lease, let preemption): "preempt \(lease) for \(preemption.ticket)"
        case .spare(let lease, let ticket): "spare \(lease) from \(ticket)"
        case .speak: "speak"
        case .confirmed(let lease): "confirmed \(lease)"
        }
    }

    static func message(_ message: CoordinatorMessage) -> String {
        switch message {
        case .granted(let grant): "granted \(grant.ticket) \(grant.lease) \(grant.token) beat \(grant.beat ?? -1)"
        case .held(let ticket, let lease): "held \(ticket) \(lease)"
        case .renewed(let lease, let nonce, _, _): "renewed \(lease) \(nonce)"
        case .renewalRefused(let lease, let nonce, let reason): "renewal refused \(lease) \(nonce) \(reason)"
        case .refused(let ticket, _, _): "refused \(ticket)"
        case .moved(let ticket): "moved \(ticket)"
        }
    }

    static func word(_ word: AgentMachine.Word) -> String {
        switch word {
        case .confirm(let lease): "confirm \(lease)"
        case .reject(let lease, _, let why): "reject \(lease): \(why)"
        case .renewed(let lease, let nonce, let token, _, _, _): "renewed \(lease) \(nonce) \(token)"
        case .refuseRenewal(let lease, let nonce, _, let reason): "refuse \(lease) \(nonce) \(reason)"
        case .end(let lease, let reason): "end \(lease) \(reason)"
        case .insist(let lease, let ticket, _): "insist \(lease) for \(ticket)"
        }
    }

    static func outcome(_ outcome: LockOutcome) -> String {
        switch outcome {
        case .acquired(let lease): "acquired \(lease.lease) for \(lease.expiresIn.milliseconds) ms"
        case .timedOut: "timed out"
        case .forceReleased: "refused by force"
        case .shuttingDown: "shutting down"
        case .ofUnknownAge: "of unknown age"
        case .moved: "moved"
        case .replaced: "replaced"
        case .unknownHost: "unknown host"
        case .unknownUnit: "unknown unit"
        case .tooManyWaiting: "too many waiting"
        case .nameTaken: "name taken"
        }
    }
}
