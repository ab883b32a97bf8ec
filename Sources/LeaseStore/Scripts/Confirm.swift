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

extension LeaseStore {
    /// Takes an offer; the lease begins (design §4.2).
    package func confirm(_ origin: AgentOrigin, _ lease: LeaseID) async throws(StoreError) -> ConfirmOutcome {
        try Self.outcome(try await run(ScriptLibrary.confirm, arguments(origin, lease)))
    }

    /// The same without a task: what agents do most.
    package func confirm(
        _ origin: AgentOrigin, _ lease: LeaseID, through send: Sender,
        reply: @escaping @Sendable (Result<ConfirmOutcome, StoreError>) -> Void
    ) {
        let script = ScriptLibrary.confirm
        send(script, keys.ofScripts, arguments(origin, lease)) { result in
            reply(
                Result { () throws(StoreError) in
                    switch result {
                    case .success(let answer): try Self.outcome(Answer(script, answer))
                    case .failure(let error): throw StoreError(error)
                    }
                })
        }
    }

    private func arguments(_ origin: AgentOrigin, _ lease: LeaseID) -> [RedisArgument] {
        [.text(origin.host.text), .text(origin.instance.text), .integer(origin.session), .text(lease.text)]
    }

    private static func outcome(_ answer: Answer) throws(StoreError) -> ConfirmOutcome {
        switch answer.word {
        case "held": return .held
        case "gone": return .gone
        case "unknown-host": return .unknownHost
        case "stale-session": return .staleSession
        default: throw answer.notUnderstood
        }
    }
}
