import LeaseModel
import RedisClient

extension LeaseStore {
    /// Says that an agent stops. Its leases stand; its units are offered to nobody until it is back.
    package func depart(_ origin: AgentOrigin) async throws(StoreError) -> WordOutcome {
        try await run(
            ScriptLibrary.depart, origin.arguments + [.integer(Self.hostRecords.milliseconds)]
        ).wordOutcome()
    }
}
