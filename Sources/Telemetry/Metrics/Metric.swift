/// What one metric is: its line in the catalogue, of which there is one, so that it is found by where it stands.
package final class Metric: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case counter, gauge, histogram
    }

    /// A dimension of a metric. Never an id of a holder, lease or request, of which there is no end.
    package struct Label: Hashable, Sendable {
        package let name: String
        /// The values there are, shown as 0 before they happen; empty where only running tells them.
        package let values: [String]

        package init(_ name: String, _ values: [String] = []) {
            self.name = name
            self.values = values
        }
    }

    /// `leasehold_…`, with the base unit, and `_total` for a counter.
    package let name: String
    package let help: String
    package let kind: Kind
    package let labels: [Label]
    /// Upper bounds of a histogram, rising; above the last one comes infinity. Empty for the other kinds.
    package let buckets: [Double]

    /// Label values that differ. Beyond: counted together under `other`.
    package let seriesLimit: Int

    /// For labels of which a program knows few.
    static let few = 256
    /// For those of hosts, each with some words.
    static let hosts = 20_000

    fileprivate init(
        name: String, help: String, kind: Kind, labels: [Label], buckets: [Double], seriesLimit: Int
    ) {
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
        self.buckets = buckets
        self.seriesLimit = seriesLimit
    }

    package static func == (left: Metric, right: Metric) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// A metric that only rises.
package struct Counter: Hashable, Sendable {
    package let metric: Metric

    init(_ name: String, _ help: String, labels: [Metric.Label] = [], series limit: Int = Metric.few) {
        metric = Metric(name: name, help: help, kind: .counter, labels: labels, buckets: [], seriesLimit: limit)
    }
}

/// A metric that rises and falls.
package struct Gauge: Hashable, Sendable {
    package let metric: Metric

    init(_ name: String, _ help: String, labels: [Metric.Label] = [], series limit: Int = Metric.few) {
        metric = Metric(name: name, help: help, kind: .gauge, labels: labels, buckets: [], seriesLimit: limit)
    }
}

/// A metric that sorts what it is told by size.
package struct Histogram: Hashable, Sendable {
    package let metric: Metric

    init(_ name: String, _ help: String, labels: [Metric.Label] = [], buckets: [Double]) {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }, "buckets must rise")
        metric = Metric(
            name: name, help: help, kind: .histogram, labels: labels, buckets: buckets, seriesLimit: Metric.few)
    }
}
