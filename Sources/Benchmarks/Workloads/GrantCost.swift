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

        mutating func cells(_ size: Int) -> (cells: [String], total: Double) {
            let costs = [ask.microseconds(at: 0.5), release.microseconds(at: 0.5), confirm.microseconds(at: 0.5)]
            let total = costs.compactMap(\.self).reduce(0, +)
            return ([String(size)] + costs.map { $0.map { rounded($0, 0) } ?? "–" } + [rounded(total, 0)], total)
        }
    }

    func run() async throws -> (tables: [TextTable], plots: [(file: String, plot: Plot)]) {
        let redis = try await RedisServer.start(on: ground, room: "cost", isDurable: false)
        defer { redis.server.child.signal(.terminate) }
        var queue = TextTable(
            title: "Redis µs a script (medians), by waiting tickets",
            heads: ["tickets", "ask", "release", "confirm", "all"])
        var units = TextTable(
            title: "Redis µs a script (medians), by units", heads: ["units", "ask", "release", "confirm", "all"])
        var plot = Plot(title: "Redis µs for ask, release and confirm", x: "waiting tickets, or units", y: "µs")
        var points: [Plot.Point] = []
        for count in isShort ? [10, 1000, 10_000] : [10, 100, 1000, 10_000, 100_000] {
            var costs = try await contended(redis, tickets: count)
            let (cells, total) = costs.cells(count)
            queue.rows.append(cells + [try await memory(redis, tickets: count)])
            points.append(Plot.Point(x: Double(count), y: total))
        }
        queue.heads.append("bytes a ticket")
        plot.series.append(Plot.Series(name: "tickets", points: points))
        points = []
        for count in isShort ? [8, 800] : [8, 80, 800, 10_000] {
            var costs = try await uncontended(redis, units: count)
            let (cells, total) = costs.cells(count)
            units.rows.append(cells)
            points.append(Plot.Point(x: Double(count), y: total))
        }
        plot.series.append(Plot.Series(name: "units", points: points))
        return ([queue, units], [("bench-grant-cost.svg", plot)])
    }

    /// A unit changes hands while so many wait for it.
    private func contended(_ redis: RedisServer, tickets: Int) async throws -> Costs {
        _ = try await redis.client.command(["FLUSHALL"])
        let fleet = Fleet(redis: redis)
        try await fleet.register(hosts: 1, unitsEach: 1)
        try await fleet.ask("t-0")
        var (holder, lease) = ("t-0", try await fleet.lease(of: "t-0"))
        try await fleet.confirm(lease)
        try await concurrently(tickets, atOnce: 256) { try await fleet.ask("t-\($0 + 1)") }
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
