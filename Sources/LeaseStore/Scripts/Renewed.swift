import LeaseModel
import RedisClient

extension LeaseStore {
    /// Says that the agent has moved a lease's deadline for exactly this call (design §4.3).
    package func renewed(
        _ origin: AgentOrigin, _ lease: LeaseID, nonce: String, token: TokenHash, ttl: Duration,
        coordinator: InstanceID,
        also: [UnitID] = []
    ) async throws(StoreError) -> WordOutcome {
        try await run(
            ScriptLibrary.renewed,
            origin.arguments + [
                .text(lease.text), .text(nonce), .text(coordinator.text), .text(token.text),
                .integer(ttl.milliseconds), .text(""), .text(also.map(\.text).joined(separator: " ")),
            ]
        ).wordOutcome()
    }

    /// Says that the agent does not renew this lease, and why.
    package func refuseRenewal(
        _ origin: AgentOrigin, _ lease: LeaseID, nonce: String, coordinator: InstanceID, reason: EndReason
    ) async throws(StoreError) -> WordOutcome {
        try await run(
            ScriptLibrary.renewed,
            origin.arguments + [
                .text(lease.text), .text(nonce), .text(coordinator.text), .text(""), .integer(0),
                .text(reason.rawValue), .text(""),
            ]
        ).wordOutcome()
    }
}
