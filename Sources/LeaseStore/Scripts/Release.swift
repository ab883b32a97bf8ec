import LeaseModel
import RedisClient

package enum ReleaseOutcome: Equatable, Sendable {
    /// So many leases were given back.
    case released(Int)
    case notHeld
    /// Neither lease nor host is known here at present; the word waits for the agent.
    case marked
}

extension Answer {
    func releaseOutcome() throws(StoreError) -> ReleaseOutcome {
        switch word {
        case "released": return .released(Int(integer(1)))
        case "not-held": return .notHeld
        case "marked": return .marked
        default: throw notUnderstood
        }
    }
}

/// A holder's word that it gives a lease back (design §4.4).
package enum Release: Sendable {
    /// The lease that this token proves. An earlier lease's token releases nothing.
    case lease(LeaseID, token: TokenHash, by: String)
    /// The oldest lease of this caller's holder on a unit of this kind. Never repeat it: later it could meet the holder's
    /// next lease. `beat` is the number of the coordinator's last heartbeat: refused where Redis has had a later one.
    case oldest(
        of: HolderID, caller: String, kind: UnitKind, by: String, coordinator: InstanceID = InstanceID(""),
        beat: Int64 = .max)

    var words: [RedisArgument] {
        switch self {
        case .lease(let lease, let token, let by):
            ["token", .text(lease.text), .text(token.text), .text(by), "", "", ""]
        case .oldest(let holder, let caller, let kind, let by, let coordinator, let beat):
            [
                "holder", .text(caller), .text(holder.text), .text(by), .text(kind.rawValue), .text(coordinator.text),
                .integer(beat),
            ]
        }
    }
}

extension LeaseStore {
    /// Gives back the lease that this token proves.
    package func release(
        _ lease: LeaseID, token: TokenHash, by: String
    ) async throws(StoreError) -> ReleaseOutcome {
        try await release(.lease(lease, token: token, by: by))
    }

    package func release(_ release: Release) async throws(StoreError) -> ReleaseOutcome {
        try await run(ScriptLibrary.release, release.words).releaseOutcome()
    }
}

extension LeaseCalls {
    package func release(_ release: Release, reply: @escaping Reply<ReleaseOutcome>) {
        call(
            ScriptLibrary.release, release.words, { (answer) throws(StoreError) in try answer.releaseOutcome() }, reply)
    }
}
