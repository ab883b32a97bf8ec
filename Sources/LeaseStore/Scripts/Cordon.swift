import LeaseModel
import RedisClient

/// Whether a host's units are offered.
package enum Schedulability: String, Equatable, Sendable {
    case schedulable = "0"
    case cordoned = "1"
}

package enum CordonOutcome: Equatable, Sendable { case ok, unknownHost }

extension LeaseStore {
    /// Takes a host's units out of what is offered, or puts them back. Leases stand.
    package func cordon(
        _ host: HostID, _ wanted: Schedulability, by: String, why: String
    ) async throws(StoreError) -> CordonOutcome {
        let answer = try await run(
            ScriptLibrary.cordon, [.text(host.text), .text(wanted.rawValue), .text(by), .text(why)])
        switch answer.word {
        case "ok": return .ok
        case "unknown-host": return .unknownHost
        default: throw answer.notUnderstood
        }
    }
}
