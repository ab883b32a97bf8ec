import LeaseModel
import RedisClient

/// What a user of Redis needs so that agents, coordinators or both can work as it, and nothing beyond.
package enum RedisACL {
    package enum Role: String, CaseIterable, Sendable { case agent, coordinator, both }

    /// The words of an ACL SETUSER that makes such a user, log-in excepted: it can do nothing before it has a password.
    package static func rules(pools: [PoolID], role: Role = .both) -> [String] {
        var rules = ["reset", "on"]
        for pool in pools {
            let keys = Keys(pool)
            // A pool's name has none of the characters that mean something in a pattern.
            rules += ["~\(keys.all)", "&\(keys.allInboxes)"]
        }
        return rules + commands(role).map { "+\($0)" }
    }

    /// In order: those that the scripts call, which run with their caller's rights, and those of the connections.
    static func commands(_ role: Role) -> [String] {
        let scripts: [RedisScript]
        var commands: Set<String> = [
            "client|setname", "cluster|slots", "eval", "evalsha", "exists", "info", "ping", "select", "subscribe",
        ]
        switch role {
        case .agent: scripts = ScriptLibrary.agents
        case .coordinator, .both:
            scripts = role == .both ? ScriptLibrary.all : ScriptLibrary.coordinators
            commands.formUnion(["xread", "xrevrange"])  // the stream of events is followed without a script
        }
        for script in scripts { commands.formUnion(Self.commands(in: script)) }
        return commands.sorted()
    }

    /// The capital words in quotes that stand first in a call's parentheses.
    private static func commands(in script: RedisScript) -> Set<String> {
        var commands: Set<String> = []
        for piece in String(decoding: script.source, as: UTF8.self).split(separator: "('").dropFirst() {
            guard let end = piece.firstIndex(of: "'") else { continue }
            let word = piece[..<end]
            if word.utf8.count > 1, word.utf8.allSatisfy({ (65...90).contains($0) }) {
                commands.insert(word.lowercased())
            }
        }
        return commands
    }
}
