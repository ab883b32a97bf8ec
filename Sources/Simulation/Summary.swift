/// What many seeds came to.
package struct Summary: Sendable {
    package private(set) var seeds = 0
    package private(set) var virtual = Duration.zero
    package private(set) var quiet = Duration.zero
    package private(set) var scripts = 0
    package private(set) var events = 0
    package private(set) var requests = 0
    package private(set) var grants = 0
    package private(set) var renewals = 0
    package private(set) var faults: [String: Int] = [:]
    /// Those with violations, by their seeds.
    package private(set) var failures: [Verdict] = []
    /// All lines of all worlds, where that was asked for.
    package private(set) var lines: [String] = []
    package var took = Duration.zero

    package init() {}

    mutating func add(_ verdict: Verdict) {
        seeds += 1
        virtual += verdict.virtual
        quiet += verdict.quiet
        scripts += verdict.counts.scripts
        events += verdict.counts.events
        requests += verdict.counts.requests
        grants += verdict.counts.grants
        renewals += verdict.counts.renewals
        for (fault, count) in verdict.counts.faults { faults[fault.rawValue, default: 0] += count }
        if !verdict.violations.isEmpty {
            failures.append(verdict)
            failures.sort { $0.seed < $1.seed }
        }
        lines += verdict.lines
    }

    /// One line.
    package var text: String {
        func days(_ span: Duration) -> String {
            "\(span.components.seconds / 86400)d\(span.components.seconds % 86400 / 3600)h"
        }
        let struck = faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        return "\(seeds) seeds in \(took.components.seconds) s: \(days(virtual)) virtual (\(days(quiet)) of it quiet), "
            + "\(requests) requests, \(grants) grants, \(renewals) renewals, \(scripts) scripts, \(events) events; "
            + "faults: \(struck.isEmpty ? "none" : struck); \(failures.count) seeds with violations"
    }
}
