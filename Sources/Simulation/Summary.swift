/// What many seeds came to.
package struct Summary: Sendable {
    /// Figures by name, as one process hands them to another.
    private var figures: [String: Int] = [:]
    /// The seeds with violations, and what was wrong, in the order of the seeds.
    package private(set) var failures: [Verdict] = []
    /// What happened, where that was asked for.
    package private(set) var lines: [String] = []
    /// Of all moments at which something happened.
    package private(set) var digest: UInt64 = 0
    package var took = Duration.zero

    package init() {}

    private static let faultPrefix = "fault."

    package var seeds: Int { figures["seeds", default: 0] }
    package var grants: Int { figures["grants", default: 0] }
    package var virtual: Duration { .milliseconds(figures["virtual_ms", default: 0]) }
    /// How many seeds had violations, in other processes too.
    package var failed: Int { figures["failed", default: 0] }

    mutating func add(_ verdict: Verdict) {
        let counts = verdict.counts
        let parts = [
            "seeds": 1, "virtual_ms": Int(verdict.virtual.milliseconds), "quiet_ms": Int(verdict.quiet.milliseconds),
            "scripts": counts.scripts, "events": counts.events, "requests": counts.requests, "grants": counts.grants,
            "renewals": counts.renewals, "expiries": counts.expiries, "failed": verdict.violations.isEmpty ? 0 : 1,
        ]
        figures.merge(parts, uniquingKeysWith: +)
        for (fault, count) in counts.faults { figures[Self.faultPrefix + fault.rawValue, default: 0] += count }
        digest ^= verdict.digest
        lines += verdict.lines
        guard !verdict.violations.isEmpty else { return }
        failures.append(verdict)
        failures.sort { $0.seed < $1.seed }
    }

    /// The figures as one line that `init(figures:)` reads.
    package var figureLine: String {
        figures.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }

    package mutating func add(figures line: some StringProtocol) {
        for word in line.split(separator: " ") {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let value = Int(parts[1]) else { continue }
            figures[String(parts[0]), default: 0] += value
        }
    }

    /// One line.
    package var text: String {
        func figure(_ name: String) -> Int { figures[name, default: 0] }
        func span(_ milliseconds: Int) -> String {
            "\(milliseconds / 86_400_000) d \(milliseconds % 86_400_000 / 3_600_000) h"
        }
        let struck = figures.filter { $0.key.hasPrefix(Self.faultPrefix) && $0.value > 0 }.sorted { $0.key < $1.key }
        let faults = struck.map { "\($0.key.dropFirst(Self.faultPrefix.count)) \($0.value)" }.joined(separator: ", ")
        return "\(seeds) seeds in \(took.components.seconds) s: \(span(figure("virtual_ms"))) of virtual time, "
            + "\(span(figure("quiet_ms"))) of it nothing but heartbeats; \(figure("requests")) requests, "
            + "\(grants) grants, \(figure("renewals")) renewals, \(figure("expiries")) expiries, "
            + "\(figure("scripts")) scripts, \(figure("events")) events; faults: "
            + "\(faults.isEmpty ? "none" : faults); violations in \(failed) seeds"
    }
}
