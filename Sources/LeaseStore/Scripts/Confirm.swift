import LeaseModel
import RedisClient

package enum ConfirmOutcome: Equatable, Sendable {
    /// The lease has begun.
    case held
    /// The offer does not stand any more; the unit is free again.
    case gone
    /// Redis does not know this host as it is: heartbeat.
    case unknownHost
    case staleSession
}

/// The answer to a word that an agent says.
package enum WordOutcome: Equatable, Sendable {
    case ok, unknownHost
    /// A successor or a later session speaks for this host.
    case staleSession
}

extension Answer {
    func wordOutcome() throws(StoreError) -> WordOutcome {
        switch word {
        case "ok": return .ok
        case "unknown-host": return .unknownHost
        case "stale-session": return .staleSession
        default: throw notUnderstood
        }
    }
}

extension Answer {
    func confirmOutcome() throws(StoreError) -> ConfirmOutcome {
        switch word {
        case "held": return .held
        case "gone": return .gone
        case "unknown-host": return .unknownHost
        case "stale-session": return .staleSession
        default: throw notUnderstood
        }
    }
}

extension LeaseStore {
    /// Takes an offer; the lease begins (design §4.2).
    package func confirm(_ origin: AgentOrigin, _ lease: LeaseID) async throws(StoreError) -> ConfirmOutcome {
        try await run(ScriptLibrary.confirm, origin.arguments + [.text(lease.text)]).confirmOutcome()
    }
}

extension LeaseCalls {
    /// Takes an offer; the lease begins (design §4.2).
    package func confirm(_ origin: AgentOrigin, _ lease: LeaseID, reply: @escaping Reply<ConfirmOutcome>) {
        let words = origin.arguments + [.text(lease.text)]
        call(ScriptLibrary.confirm, words, { (answer) throws(StoreError) in try answer.confirmOutcome() }, reply)
    }
}
