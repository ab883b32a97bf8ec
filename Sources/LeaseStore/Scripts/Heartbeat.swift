import LeaseModel
import RedisClient

/// An agent's whole table, with who it is (design §6).
package struct AgentHeartbeat: Equatable, Sendable {
    package var origin: AgentOrigin
    /// The instances that the journal names, the last first: their presence need not lapse before.
    package var ancestors: [InstanceID]
    /// The first of its session.
    package var isFirst: Bool
    /// Where the agent's own HTTP (verify) is found, or empty.
    package var address: String
    package var version: String
    package var labels: [String: String]
    package var units: [UnitReport]

    package init(
        origin: AgentOrigin, ancestors: [InstanceID], isFirst: Bool, address: String, version: String,
        labels: [String: String], units: [UnitReport]
    ) {
        self.origin = origin
        self.ancestors = ancestors
        self.isFirst = isFirst
        self.address = address
        self.version = version
        self.labels = labels
        self.units = units
    }
}

package enum HeartbeatOutcome: Equatable, Sendable {
    case heard([AgentMessage])
    /// Another instance is live under this host id.
    case hostInUse(InstanceID)
    /// An agent with another journal has spoken for this host; with the last fencing token that was given out.
    case succeedsAnother(InstanceID, highest: FencingToken)
    case staleSession
}

extension LeaseStore {
    /// Registers a host and compares its table with the record (design §6).
    package func heartbeat(_ heartbeat: AgentHeartbeat) async throws(StoreError) -> HeartbeatOutcome {
        var arguments = heartbeat.origin.arguments
        let labels = heartbeat.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)," }.joined()
        arguments += [
            .text(heartbeat.ancestors.map { $0.text + " " }.joined()), .text(heartbeat.isFirst ? "1" : "0"),
            .text(heartbeat.address),
            .text(heartbeat.version), .text(labels.isEmpty ? "" : "," + labels),
            .integer(Limits.hostPresence.milliseconds), .integer(Int64(heartbeat.units.count)),
        ]
        for unit in heartbeat.units { Self.append(unit, to: &arguments) }
        let answer = try await run(ScriptLibrary.heartbeat, arguments)
        switch answer.word {
        case "heard": return .heard(Inbox.ownMail(answer.bytes(1)))
        case "host-in-use": return .hostInUse(InstanceID(answer.text(1)))
        case "succeeds-another":
            return .succeedsAnother(InstanceID(answer.text(1)), highest: FencingToken(answer.integer(2)))
        case "stale-session": return .staleSession
        default: throw answer.notUnderstood
        }
    }

    private static func append(_ report: UnitReport, to arguments: inout [RedisArgument]) {
        let unit = report.properties
        arguments += [
            .text(unit.unit.text), .text(unit.kind.rawValue), .integer(Int64(unit.memoryMB)), .text(unit.deviceType),
            .text(unit.details), .integer(report.highestFencing.value),
        ]
        let word: String
        let held: HeldLease?
        switch report.state {
        case .free: (word, held) = ("free", nil)
        case .resting: (word, held) = ("resting", nil)
        case .bound(let lease):
            arguments += [.text("bound"), .text(lease.text)]
            return
        case .confirming(let lease): (word, held) = ("confirming", lease)
        case .held(let lease): (word, held) = ("held", lease)
        case .ending(let lease): (word, held) = ("ending", lease)
        }
        arguments.append(.text(word))
        guard let held else { return }
        arguments += [.text(held.lease.text), .text(held.token.text), .integer(held.remaining.milliseconds)]
        arguments += held.terms.fields.map { .text($0) }
    }
}
