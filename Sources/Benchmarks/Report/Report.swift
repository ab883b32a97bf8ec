import EventLoop
import JSON

/// A number with so many decimals.
func rounded(_ value: Double, _ decimals: Int) -> String {
    let scale = (0..<decimals).reduce(1.0) { (scale, _) in scale * 10 }
    let whole = (value * scale).rounded()
    guard decimals > 0, whole.isFinite else { return value.isFinite ? String(Int(whole)) : "–" }
    let digits = String(Int(abs(whole)))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return (whole < 0 ? "-" : "") + padded.dropLast(decimals) + "." + padded.suffix(decimals)
}

/// What a run came to, for people and for programs.
struct Report {
    var machine = ""
    var measurements = Measurements()
    var tables: [TextTable] = []
    var plots: [(file: String, plot: Plot)] = []
    var omissions: [String] = []

    private static let product = "leasehold"

    mutating func write(_ options: BenchOptions) throws {
        var tables = measurements.workloads.map(lockTable) + [budget] + self.tables
        if !measurements.all.isEmpty {
            plots.insert(("bench-pairs.svg", curve("pairs_per_s", "contended", "waiters", "pairs per second")), at: 0)
            plots.insert(
                (
                    "bench-hand-off.svg",
                    curve("hand_off_p50_us", "contended", "waiters", "µs from unlock to the next holder")
                ),
                at: 1)
        }
        tables.removeAll { $0.rows.isEmpty }
        var text = "Measured on \(machine).\n"
        for table in tables { text += "\n" + table.aligned }
        for line in omissions { text += "\nleft out: \(line)" }
        Console.write(text + "\n")
        try Files.replace("\(options.output).json", with: json.encodedPretty() + [10], mode: 0o644)
        try Files.replace("\(options.output).md", with: Array(markdown(tables).utf8), mode: 0o644)
        for (file, plot) in plots where !plot.series.isEmpty {
            try Files.replace("\(options.images)/\(file)", with: Array(plot.svg.utf8), mode: 0o644)
        }
    }

    private func lockTable(_ workload: String) -> TextTable {
        var table = TextTable(
            title: workload,
            heads: [
                "contender", "pairs/s", "spread", "× leasehold", "pairs/CPU s", "× leasehold", "lock p50/p99 µs",
                "hand-off p50/p99 µs", "most/least grants of a client", "longest wait ms", "client CPU",
            ])
        func median(_ figure: String, _ contender: String) -> Double? {
            measurements.median(figure, contender, workload)
        }
        func ratio(_ figure: String, _ contender: String) -> String {
            guard let own = median(figure, Self.product), let other = median(figure, contender), own > 0 else {
                return "–"
            }
            return rounded(other / own, 2)
        }
        func pair(_ a: String, _ b: String, _ contender: String) -> String {
            guard let a = median(a, contender), let b = median(b, contender) else { return "–" }
            return "\(rounded(a, 0)) / \(rounded(b, 0))"
        }
        for contender in measurements.contenders(of: workload) {
            let rates = measurements.values("pairs_per_s", contender, workload)
            let least = median("grants_min", contender) ?? 0
            table.rows.append([
                contender, median("pairs_per_s", contender).map { rounded($0, 0) } ?? "–",
                "\(rounded(rates.first ?? 0, 0))–\(rounded(rates.last ?? 0, 0))", ratio("pairs_per_s", contender),
                median("pairs_per_cpu_s", contender).map { rounded($0, 0) } ?? "–",
                ratio("pairs_per_cpu_s", contender), pair("lock_p50_us", "lock_p99_us", contender),
                pair("hand_off_p50_us", "hand_off_p99_us", contender),
                median("grants_max", contender).map { "\(rounded($0, 0)) / \(rounded(least, 0))" } ?? "–",
                median("lock_max_us", contender).map { rounded($0 / 1000, 1) } ?? "–",
                median("client_core_share", contender).map { "\(rounded($0 * 100, 0)) %" } ?? "–",
            ])
        }
        return table
    }

    /// Where a pair's microseconds go in the product, by process, and what it asks of Redis.
    private var budget: TextTable {
        let figures = [
            ("Redis µs", "cpu_us_per_pair.redis"), ("coordinator µs", "cpu_us_per_pair.coordinator"),
            ("agent µs", "cpu_us_per_pair.agent"), ("all servers µs", "server_us_per_pair"),
            ("load generator µs", "client_us_per_pair"), ("scripts", "redis_scripts_per_pair"),
            ("commands, scripts' own included", "redis_commands_per_pair"), ("messages", "redis_publish_per_pair"),
            ("bytes to Redis", "redis_bytes_in_per_pair"), ("bytes from Redis", "redis_bytes_out_per_pair"),
        ]
        var table = TextTable(title: "A pair of leasehold, by process", heads: ["workload"] + figures.map(\.0))
        for workload in measurements.workloads {
            let medians = figures.map { measurements.median($0.1, Self.product, workload) }
            guard medians[0] != nil else { continue }
            table.rows.append([workload] + medians.map { $0.map { rounded($0, $0 < 10 ? 1 : 0) } ?? "–" })
        }
        return table
    }

    /// A figure of every contender against the number of clients.
    private func curve(_ figure: String, _ shape: String, _ x: String, _ y: String) -> Plot {
        var plot = Plot(title: "\(y), one lock", x: x, y: y)
        let workloads = measurements.workloads.filter { $0.hasPrefix(shape) }
        for contender in workloads.flatMap({ measurements.contenders(of: $0) }) {
            guard !plot.series.contains(where: { $0.name == contender }) else { continue }
            let points = workloads.compactMap { workload -> Plot.Point? in
                guard let clients = workload.split(separator: " ").last.flatMap({ Double($0) }),
                    let value = measurements.median(figure, contender, workload), value > 0
                else { return nil }
                return Plot.Point(x: clients, y: value)
            }
            if !points.isEmpty { plot.series.append(Plot.Series(name: contender, points: points)) }
        }
        return plot
    }

    private func markdown(_ tables: [TextTable]) -> String {
        var text = "Measured on \(machine). Medians; the spread is from the lowest to the highest round.\n"
        for table in tables { text += "\n### \(table.title)\n\n\(table.markdown)" }
        if !omissions.isEmpty { text += "\nLeft out:\n\n" + omissions.map { "- \($0)\n" }.joined() }
        return text
    }

    private var json: JSONValue {
        let medians = measurements.workloads.flatMap { workload in
            measurements.contenders(of: workload).map { contender -> JSONValue in
                var median = Measurement(contender: contender, workload: workload, round: 0)
                for figure in measurements.figures(contender, workload) {
                    median.note(figure, measurements.median(figure, contender, workload))
                }
                return median.json
            }
        }
        return .object([
            "machine": .string(machine), "medians": .array(medians),
            "rounds": .array(measurements.all.map(\.json)), "tables": .array(tables.map(\.json)),
            "left_out": .array(omissions.map { .string($0) }),
        ])
    }
}
