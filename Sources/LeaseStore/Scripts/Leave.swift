import LeaseModel
import RedisClient

extension LeaseStore {
    /// Says that a coordinator stops; what it still has waiting goes.
    package func leave(_ coordinator: InstanceID) async throws(StoreError) {
        let answer = try await run(ScriptLibrary.leave, [.text(coordinator.text)])
        guard answer.word == "ok" else { throw answer.notUnderstood }
    }
}
