import JSON
import LoadGenerator

/// What one contender showed in one workload of one round, boiled down to figures with a name each.
struct Measurement: Sendable {
    let contender: String
    let workload: String
    let round: Int
    private(set) var figures: [(name: String, value: Double)] = []

    init(contender: String, workload: String, round: Int) {
        self.contender = contender
        self.workload = workload
        self.round = round
    }

    subscript(name: String) -> Double? { figures.first { $0.name == name }?.value }

    mutating func note(_ name: String, _ value: Double?) {
        if let value, value.isFinite { figures.append((name, value)) }
    }

    /// - Parameter servers: the names of the processes, in the order of the result's.
    mutating func note(_ result: RushResult, servers: [String]) {
        var result = result
        let pairs = Double(max(result.pairs, 1))
        let serverCPU = result.serverCPU.reduce(0, +)
        note("pairs_per_s", Double(result.pairs) / result.seconds)
        note("pairs_per_cpu_s", serverCPU > 0 ? Double(result.pairs) / serverCPU : nil)
        note("server_us_per_pair", serverCPU * 1e6 / pairs)
        for (name, cpu) in zip(servers, result.serverCPU) { note("cpu_us_per_pair.\(name)", cpu * 1e6 / pairs) }
        note("client_us_per_pair", result.ownCPU * 1e6 / pairs)
        note("client_core_share", result.ownCPU / result.seconds)
        note("lock_p50_us", result.lock.microseconds(at: 0.5))
        note("lock_p99_us", result.lock.microseconds(at: 0.99))
        note("lock_max_us", result.lock.microseconds(at: 1))
        note("unlock_p50_us", result.unlock.microseconds(at: 0.5))
        note("unlock_p99_us", result.unlock.microseconds(at: 0.99))
        note("hand_off_p50_us", result.handOff.microseconds(at: 0.5))
        note("hand_off_p99_us", result.handOff.microseconds(at: 0.99))
        if let least = result.grants.min(), let most = result.grants.max() {
            note("grants_min", Double(least))
            note("grants_max", Double(most))
        }
    }

    var json: JSONValue {
        var members = JSONObject()
        for figure in figures { members[figure.name] = .number((figure.value * 1000).rounded() / 1000) }
        return .object([
            "workload": .string(workload), "contender": .string(contender), "round": .integer(Int64(round)),
            "figures": .object(members),
        ])
    }
}

/// The rounds of a run, and what they come to.
struct Measurements: Sendable {
    private(set) var all: [Measurement] = []

    mutating func add(_ measurement: Measurement) { all.append(measurement) }

    /// In the order in which they came first.
    var workloads: [String] { Self.once(all.map(\.workload)) }

    func contenders(of workload: String) -> [String] {
        Self.once(all.filter { $0.workload == workload }.map(\.contender))
    }

    func values(_ figure: String, _ contender: String, _ workload: String) -> [Double] {
        all.filter { $0.workload == workload && $0.contender == contender }.compactMap { $0[figure] }.sorted()
    }

    func figures(_ contender: String, _ workload: String) -> [String] {
        Self.once(
            all.filter { $0.workload == workload && $0.contender == contender }.flatMap { $0.figures.map(\.name) })
    }

    func median(_ figure: String, _ contender: String, _ workload: String) -> Double? {
        let values = values(figure, contender, workload)
        guard !values.isEmpty else { return nil }
        let middle = values.count / 2
        return values.count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2
    }

    private static func once(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}
