/// The present values of some metrics. Not for several threads: its owner keeps it on one loop.
package struct MetricRegistry {
    /// One metric with one set of label values.
    private struct Series {
        var value = 0.0
        /// How many fell into each bucket, the last being the one above all bounds.
        var counts: [Int64] = []
    }

    private struct Family {
        let metric: Metric
        /// In the order in which their labels were first met.
        var series: [(labels: [String], series: Series)] = []
        private var places: [[String]: Int] = [:]
        /// What is counted is mostly what was counted last: two texts are compared faster than one is hashed.
        private var last = 0

        init(_ metric: Metric) {
            self.metric = metric
            for labels in MetricRegistry.knownValues(of: metric) { _ = place(of: labels) }
        }

        subscript(labels: [String]) -> Series? { places[labels].map { series[$0].series } }

        mutating func change(_ labels: [String], _ body: (inout Series) -> Void) {
            if last >= series.count || series[last].labels != labels { last = place(of: labels) }
            body(&series[last].series)
        }

        mutating func removeAll() {
            series = []
            places = [:]
            last = 0
        }

        private mutating func place(of labels: [String]) -> Int {
            if let known = places[labels] { return known }
            if series.count >= metric.seriesLimit {
                let other = labels.map { _ in "other" }
                if let known = places[other] { return known }
                return append(other)
            }
            return append(labels)
        }

        private mutating func append(_ labels: [String]) -> Int {
            let counts = metric.kind == .histogram ? Array(repeating: Int64(0), count: metric.buckets.count + 1) : []
            places[labels] = series.count
            series.append((labels, Series(counts: counts)))
            return series.count - 1
        }
    }

    private var families: [Family]
    private let positions: [Metric: Int]

    /// - Parameter metrics: What is shown, in this order; each once.
    package init(_ metrics: [Metric]) {
        families = metrics.map { Family($0) }
        positions = Dictionary(uniqueKeysWithValues: metrics.enumerated().map { ($0.element, $0.offset) })
    }

    /// Counts `amount` more, which must not be negative.
    package mutating func count(_ counter: Counter, _ labels: String..., by amount: Int64 = 1) {
        precondition(amount >= 0, "a counter only rises")
        change(counter.metric, labels) { $0.value += Double(amount) }
    }

    /// Takes over a total that is counted elsewhere; a lower one than before is ignored.
    package mutating func count(_ counter: Counter, _ labels: String..., upTo total: Int64) {
        change(counter.metric, labels) { $0.value = max($0.value, Double(total)) }
    }

    package mutating func set(_ gauge: Gauge, _ labels: String..., to value: Double) {
        change(gauge.metric, labels) { $0.value = value }
    }

    package mutating func set(_ gauge: Gauge, _ labels: String..., to value: Int) {
        change(gauge.metric, labels) { $0.value = Double(value) }
    }

    /// Sets a gauge of one label anew: what is not named any more is shown no more. Beyond the metric's limit nothing is.
    package mutating func replace(_ gauge: Gauge, with values: [(label: String, value: Double)]) {
        precondition(gauge.metric.labels.count == 1, "as many label values as the catalogue has labels")
        guard let position = positions[gauge.metric] else { return }
        families[position].removeAll()
        for (label, value) in values.prefix(gauge.metric.seriesLimit) {
            families[position].change([label]) { $0.value = value }
        }
    }

    /// 1 for true.
    package mutating func set(_ gauge: Gauge, _ labels: String..., to value: Bool) {
        change(gauge.metric, labels) { $0.value = value ? 1 : 0 }
    }

    /// Adds to a gauge, negative amounts too.
    package mutating func adjust(_ gauge: Gauge, _ labels: String..., by amount: Double) {
        change(gauge.metric, labels) { $0.value += amount }
    }

    /// Sorts in a span of time, in seconds.
    package mutating func observe(_ histogram: Histogram, _ labels: String..., took duration: Duration) {
        let seconds = duration.inSeconds
        let bucket = histogram.metric.buckets.firstIndex { seconds <= $0 } ?? histogram.metric.buckets.count
        change(histogram.metric, labels) {
            $0.value += seconds
            $0.counts[bucket] += 1
        }
    }

    /// What a series stands at: a histogram's sum. Nil where it has never been touched.
    package func value(_ metric: Metric, _ labels: String...) -> Double? {
        positions[metric].flatMap { families[$0][labels]?.value }
    }

    /// How often a histogram was told something.
    package func observations(_ histogram: Histogram, _ labels: String...) -> Int64 {
        let series = positions[histogram.metric].flatMap { families[$0][labels] }
        return series?.counts.reduce(0, +) ?? 0
    }

    private mutating func change(_ metric: Metric, _ labels: [String], _ body: (inout Series) -> Void) {
        precondition(labels.count == metric.labels.count, "as many label values as the catalogue has labels")
        guard let position = positions[metric] else { return }  // the other program's
        families[position].change(labels, body)
    }

    fileprivate static func knownValues(of metric: Metric) -> [[String]] {
        var all: [[String]] = [[]]
        for label in metric.labels { all = all.flatMap { start in label.values.map { start + [$0] } } }
        return all
    }
}

extension MetricRegistry {
    /// The content type of `text`.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Everything in the Prometheus text format, version 0.0.4; series of a metric are sorted by their label values.
    package var text: String {
        var text = ""
        for family in families where !family.series.isEmpty {
            let metric = family.metric
            text += "# HELP \(metric.name) \(Self.escaped(metric.help, quotes: false))\n"
            text += "# TYPE \(metric.name) \(metric.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.labels.lexicographicallyPrecedes($1.labels) }) {
                let pairs = zip(metric.labels, labels).map { "\($0.name)=\"\(Self.escaped($1, quotes: true))\"" }
                switch metric.kind {
                case .counter, .gauge: text += "\(metric.name)\(Self.braced(pairs)) \(Self.number(series.value))\n"
                case .histogram: Self.append(series, of: metric, pairs, to: &text)
                }
            }
        }
        return text
    }

    private static func append(_ series: Series, of metric: Metric, _ pairs: [String], to text: inout String) {
        var total: Int64 = 0
        for (bound, count) in zip(metric.buckets.map(number) + ["+Inf"], series.counts) {
            total += count
            text += "\(metric.name)_bucket\(braced(pairs + ["le=\"\(bound)\""])) \(total)\n"
        }
        text += "\(metric.name)_sum\(braced(pairs)) \(number(series.value))\n"
        text += "\(metric.name)_count\(braced(pairs)) \(total)\n"
    }

    private static func braced(_ pairs: [String]) -> String {
        pairs.isEmpty ? "" : "{" + pairs.joined(separator: ",") + "}"
    }

    private static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.isFinite ? "\(value)" : value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
