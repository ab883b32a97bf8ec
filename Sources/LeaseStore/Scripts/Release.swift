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

extension LeaseStore {
    /// Gives back the lease that this token proves (design §4.4). An earlier lease's token releases nothing.
    package func release(
        _ lease: LeaseID, token: TokenHash, by: String
    ) async throws(StoreError) -> ReleaseOutcome {
        try await run(
            ScriptLibrary.release, [.text("token"), .text(lease.text), .text(token.text), .text(by), "", "", ""]
        ).releaseOutcome()
    }

    /// Gives back the oldest lease of this caller's holder on a unit of this kind. Never repeat it: later it could meet
    /// the holder's next lease (design §4.4).
    ///
    /// - Parameter beat: Number of the coordinator's last heartbeat; throws where Redis has had a later one.
    package func release(
        holder: HolderID, caller: String, kind: UnitKind, by: String, coordinator: InstanceID = InstanceID(""),
        beat: Int64 = .max
    ) async throws(StoreError) -> ReleaseOutcome {
        try await run(
            ScriptLibrary.release,
            [
                .text("holder"), .text(caller), .text(holder.text), .text(by), .text(kind.rawValue),
                .text(coordinator.text),
                .integer(beat),
            ]
        ).releaseOutcome()
    }
}
