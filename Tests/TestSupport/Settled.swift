import LeaseModel
import LeaseStore

extension LeaseStore {
    /// The heartbeat of a coordinator that knew no pool: units are offered from now on, also in an empty one.
    package func settle() async throws {
        let coordinator = InstanceID("first-\(UInt64.random(in: .min ... .max))")
        _ = try await beat(Beat(coordinator: coordinator, number: 1, count: 0, tickets: []))
        try await leave(coordinator)
    }
}
