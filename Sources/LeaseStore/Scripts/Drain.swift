import LeaseModel
import RedisClient

package enum DrainOutcome: Equatable, Sendable {
    /// The host is cordoned, and so many leases stand on it.
    case draining(leases: Int)
    case unknownHost
}

extension LeaseStore {
    /// Cordons a host and lets its holders finish. Asked once more it takes the new time, author and reason.
    ///
    /// - Parameter deadline: After this what still stands is revoked; nil waits for as long as it takes. Counted in
    ///   heartbeats of coordinators: time in which none of them reaches Redis does not count.
    package func drain(
        _ host: HostID, deadline: Duration?, by: String, why: String
    ) async throws(StoreError) -> DrainOutcome {
        let answer = try await run(
            ScriptLibrary.drain,
            [.text(host.text), deadline.map { .integer($0.milliseconds) } ?? .text(""), .text(by), .text(why)])
        switch answer.word {
        case "ok": return .draining(leases: Int(answer.integer(1)))
        case "unknown-host": return .unknownHost
        default: throw answer.notUnderstood
        }
    }
}
