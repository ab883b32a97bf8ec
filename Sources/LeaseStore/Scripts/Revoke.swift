import LeaseModel
import RedisClient

/// Which leases an admin's call is about.
package enum RevokeScope: Equatable, Sendable {
    case all, host(HostID), unit(UnitID), holder(HolderID), lease(LeaseID)
}

package enum RevokeMode: String, Equatable, Sendable {
    /// Ends the leases in scope; the queue goes on.
    case reset
    /// Ends the leases and refuses the waiters in scope.
    case forceReleaseAll = "force-release-all"
    /// Ends one lease.
    case revoke
}

package struct RevokeOutcome: Equatable, Sendable {
    /// Leases that end as soon as their agents say so.
    package var ending: [LeaseID]
    /// Offers that were taken back.
    package var withdrawn: [LeaseID]
    /// Waiters that were refused.
    package var refused: Int
}

extension LeaseStore {
    /// Ends leases for an admin (design §4.6). Walks its scope.
    package func revoke(
        _ scope: RevokeScope, mode: RevokeMode, by: String, why: String
    ) async throws(StoreError) -> RevokeOutcome {
        let (word, name) =
            switch scope {
            case .all: ("all", "")
            case .host(let host): ("host", host.text)
            case .unit(let unit): ("unit", unit.text)
            case .holder(let holder): ("holder", holder.text)
            case .lease(let lease): ("lease", lease.text)
            }
        let answer = try await run(
            ScriptLibrary.revoke,
            [
                .text(word), .text(name), .text(mode.rawValue), .text(by), .text(why),
                .integer(Limits.longestTimeout.milliseconds),
            ])
        guard answer.items.count == 3 else { throw answer.notUnderstood }
        return RevokeOutcome(
            ending: answer.texts(0).compactMap { try? LeaseID($0) },
            withdrawn: answer.texts(1).compactMap { try? LeaseID($0) }, refused: Int(answer.integer(2)))
    }
}
