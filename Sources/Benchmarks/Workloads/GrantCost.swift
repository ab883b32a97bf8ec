import EventLoop
import LeaseModel
import LeaseStore
import LoadGenerator

/// What a grant costs Redis as the queue and the fleet grow: its own account of each script's microseconds.
struct GrantCost {
    let ground: Ground
    let isShort: Bool

    private static let repetitions = 300

    private struct Costs {
        var ask = Samples()
        var release = Samples()
        var confirm = Samples()

        var cells: [String] { (medians + [total]).map { rounded($0, 0) } }
        var total: Double { medians.reduce(0, +) }

        func calmer(than other: Costs?) -> Costs {
            guard let other, other.total < total else { return self }
            return other
        }

        private var medians: [Double] {
            [ask, release, confirm].compactMap { samples in
                var samples = samples
                return samples.microseconds(at: 0.5)
            }
        }
    }

    func run() async throws -> (tables: [TextTable], plots: [(file: String, plot: Plot)]) {
        let redis = try await RedisServer.start(on: ground, room: "cost", isDurable: false)
        defer { redis.server.child.signal(.terminate) }
        let tickets = isShort ? [10, 1000, 10_000] : [10, 100, 1000, 10_000, 100_000]
        let units = isShort ? [8, 800] : [8, 80, 800, 10_000]
        let selectors = isShort ? [1, 100] : [1, 10, 100, 1000]
        var (queues, fleets, wishes) = ([Int: Costs](), [Int: Costs](), [Int: Costs]())
        var bytes: [Int: String] = [:]
        // In turn, so that a busy moment of the machine does not pass for a size; the calmest turn counts.
        for _ in 1...3 {
            for count in tickets {
                queues[count] = try await contended(redis, tickets: count).calmer(than: queues[count])
                bytes[count] = try await memory(redis, tickets: count)
            }
            for count in units {
                fleets[count] = try await uncontended(redis, units: count).calmer(than: fleets[count])
            }
            for count in selectors {
                // The unit would do for each of them, so that each queue's first is looked at; all are served later.
                wishes[count] = try await contended(redis, tickets: count, priority: .dreamer) {
                    try Selector(minimumMemoryMB: $0)
                }.calmer(than: wishes[count])
            }
        }
        var plot = Plot(
            title: "Redis µs for ask, release and confirm", x: "waiting tickets, units, or conditional selectors",
            y: "µs")
        func table(_ what: String, _ sizes: [Int], _ costs: [Int: Costs]) -> TextTable {
            var table = TextTable(
                title: "Redis µs a script, by \(what): the median of 300, the calmest of 3 turns",
                heads: [what, "ask", "release", "confirm", "all"])
            table.rows = sizes.compactMap { size in costs[size].map { [String(size)] + $0.cells } }
            plot.series.append(
                Plot.Series(
                    name: what,
                    points: sizes.compactMap { size in costs[size].map { Plot.Point(x: Double(size), y: $0.total) } }))
            return table
        }
        var queue = table("waiting tickets", tickets, queues)
        queue.heads.append("bytes a ticket")
        for (row, count) in tickets.enumerated() { queue.rows[row].append(bytes[count] ?? "–") }
        let others = [table("units", units, fleets), table("conditional selectors", selectors, wishes)]
        return ([queue] + others, [("bench-grant-cost.svg", plot)])
    }

    /// A unit changes hands while so many wait for it; `selector` is told the number of each, from 1.
    private func contended(
        _ redis: RedisServer, tickets: Int, priority: Priority = .standard,
        selector: @escaping @Sendable (Int) throws -> Selector = { _ in .anyGPU }
    ) async throws -> Costs {
        _ = try await redis.client.command(["FLUSHALL"])
        let fleet = Fleet(redis: redis)
        try await fleet.register(hosts: 1, unitsEach: 1)
        try await fleet.ask("t-0")
        var (holder, lease) = ("t-0", try await fleet.lease(of: "t-0"))
        try await fleet.confirm(lease)
        try await concurrently(tickets, atOnce: 256) {
            try await fleet.ask("t-\($0 + 1)", selector($0 + 1), priority: priority)
        }
        var costs = Costs()
        for number in 1...Self.repetitions {
            let next = "t-\(tickets + number)"
            costs.ask.add(try await cost(redis) { try await fleet.ask(next) })
            let (leaving, ticket) = (lease, holder)
            costs.release.add(try await cost(redis) { try await fleet.release(leaving, ticket: ticket) })
            (holder, lease) = try await fleet.taker(of: "h0/0")
            let granted = lease
            costs.confirm.add(try await cost(redis) { try await fleet.confirm(granted) })
        }
        return costs
    }

    /// A free unit is taken and given back in a fleet of so many.
    private func uncontended(_ redis: RedisServer, units: Int) async throws -> Costs {
        _ = try await redis.client.command(["FLUSHALL"])
        let fleet = Fleet(redis: redis)
        try await fleet.register(hosts: units / 8, unitsEach: 8)
        var costs = Costs()
        for number in 1...Self.repetitions {
            costs.ask.add(try await cost(redis) { try await fleet.ask("t-\(number)") })
            let lease = try await fleet.lease(of: "t-\(number)")
            costs.confirm.add(try await cost(redis) { try await fleet.confirm(lease) })
            costs.release.add(try await cost(redis) { try await fleet.release(lease, ticket: "t-\(number)") })
        }
        return costs
    }

    /// Nanoseconds of the one script that `work` runs.
    private func cost(_ redis: RedisServer, _ work: () async throws -> Void) async throws -> Int {
        _ = try await redis.client.command(["CONFIG", "RESETSTAT"])
        try await work()
        return Int((try await redis.info("commandstats")["cmdstat_evalsha.usec"] ?? 0) * 1000)
    }

    /// Bytes that a waiting ticket takes, by the difference to a pool without.
    private func memory(_ redis: RedisServer, tickets: Int) async throws -> String {
        let full = try await redis.info("memory")["used_memory_dataset"] ?? 0
        _ = try await redis.client.command(["FLUSHALL"])
        let empty = try await redis.info("memory")["used_memory_dataset"] ?? 0
        return rounded((full - empty) / Double(tickets), 0)
    }
}
