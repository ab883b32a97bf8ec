import LeaseModel
import RedisClient

package enum VerifyOutcome: Equatable, Sendable {
    case current(holder: String)
    case stale
    /// The record has no word of the unit's agent about it: only that agent can tell.
    case unheard
    case unknownUnit
}

extension LeaseStore {
    /// Whether a fencing token is the present one of its unit, as the record has it at this moment.
    package func verify(_ unit: UnitID, _ fencing: FencingToken) async throws(StoreError) -> VerifyOutcome {
        let answer = try await run(ScriptLibrary.verify, [.text(unit.text), .text(String(fencing.value))])
        switch answer.word {
        case "current": return .current(holder: answer.text(1))
        case "stale": return .stale
        case "unheard": return .unheard
        case "unknown-unit": return .unknownUnit
        default: throw answer.notUnderstood
        }
    }
}
