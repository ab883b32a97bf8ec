import LeaseModel
import RedisClient

extension LeaseStore {
    /// Refuses an offer; its ticket goes back with its score (design §4.2). A heartbeat must follow.
    package func reject(
        _ origin: AgentOrigin, _ lease: LeaseID, highest: FencingToken, why: String
    ) async throws(StoreError) -> WordOutcome {
        try await run(
            ScriptLibrary.reject, origin.arguments + [.text(lease.text), .integer(highest.value), .text(why)]
        ).wordOutcome()
    }
}
