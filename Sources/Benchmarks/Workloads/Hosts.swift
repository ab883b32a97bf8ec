import EventLoop
import LoadGenerator

/// Many hosts: their heartbeats, and how they all come back after Redis has lost everything.
struct Hosts {
    let ground: Ground

    /// Real agents, each a process.
    func agents(_ count: Int, unitsEach: Int) async throws -> [[String]] {
        let began = ground.loop.now
        let product = try await Leasehold.start(on: ground, room: "hosts", hosts: count, units: unitsEach)
        let started = ground.loop.now - began
        guard let redis = product.redis else { throw LoadError("the product has a Redis") }
        let crowd = Crowd(product)
        let (before, counters) = (crowd.cpu(), try await redis.counters())
        await ground.loop.sleep(for: .seconds(10))
        let idle = zip(crowd.cpu(), before).map { Double($0 - $1) / 1e9 / 10 }
        let after = try await redis.counters()
        let resident = product.servers.dropFirst(2).map { Double(Host.residentBytes(of: $0.processID)) }
        let (lasted, peak) = try await flush(redis, product, units: count * unitsEach)
        await product.stop()
        return [
            ["agents × units", "\(count) × \(unitsEach)"],
            ["all started and known after, s", rounded(started / .seconds(1), 1)],
            [
                "nothing to do, share of a core: Redis, coordinator, one agent",
                "\(rounded(idle[0] * 100, 2)) %, \(rounded(idle[1] * 100, 2)) %, "
                    + "\(rounded(idle[2] * 100 / Double(count), 3)) %",
            ],
            ["nothing to do, commands a second from all", rounded((after.commands - counters.commands) / 10, 0)],
            ["an agent's resident memory, MB", rounded(resident.reduce(0, +) / Double(count) / 1e6, 1)],
            ["all units known again after FLUSHALL, s", rounded(lasted, 2)],
            ["most Redis commands in a second then, those inside scripts counted", rounded(peak, 0)],
        ]
    }

    /// Seconds until all units are free again, and the most commands in a second meanwhile.
    private func flush(_ redis: RedisServer, _ product: Leasehold, units: Int) async throws -> (Double, Double) {
        let fleet = Fleet(redis: redis)
        let began = Host.nanoseconds
        _ = try await redis.client.command(["FLUSHALL"])
        var peak = 0.0
        var (last, lastAt) = (try await redis.counters().commands, Host.nanoseconds)
        var known = 0
        while known < units {
            guard Host.nanoseconds - began < 60_000_000_000 else {
                throw LoadError("\(known) of \(units) units are known 60 s after a flush")
            }
            await ground.loop.sleep(for: .milliseconds(250))
            let (commands, now) = (try await redis.counters().commands, Host.nanoseconds)
            peak = max(peak, (commands - last) / (Double(now - lastAt) / 1e9))
            (last, lastAt) = (commands, now)
            known = try await fleet.freeUnits()
        }
        try await product.waitForUnits(units)
        return (Double(Host.nanoseconds - began) / 1e9, peak)
    }

    /// Hosts that exist in the record only: what their scripts cost a real Redis.
    func simulated(_ count: Int, unitsEach: Int) async throws -> [[String]] {
        let redis = try await RedisServer.start(on: ground, room: "simulated-hosts", isDurable: false)
        let fleet = Fleet(redis: redis)
        let began = Host.nanoseconds
        try await fleet.register(hosts: count, unitsEach: unitsEach)
        let first = Double(Host.nanoseconds - began) / 1e9
        let firstCost = try await redis.info("commandstats")["cmdstat_evalsha.usec_per_call"] ?? 0
        _ = try await redis.client.command(["CONFIG", "RESETSTAT"])
        try await fleet.register(hosts: count, unitsEach: unitsEach, isFirst: false)
        let cost = try await redis.info("commandstats")["cmdstat_evalsha.usec_per_call"] ?? 0
        let memory = try await redis.info("memory")["used_memory_dataset"] ?? 0
        await redis.server.stop()
        let rate = Double(count) / 5
        return [
            ["hosts × units, in the record only", "\(count) × \(unitsEach)"],
            ["all first heartbeats, as after FLUSHALL, s", rounded(first, 2)],
            ["Redis µs a first heartbeat, a later one", "\(rounded(firstCost, 0)), \(rounded(cost, 0))"],
            ["heartbeats a second", rounded(rate, 0)],
            ["share of Redis' core for them", rounded(rate * cost / 1e4, 1) + " %"],
            ["Redis bytes a unit, its share of the host's record", rounded(memory / Double(count * unitsEach), 0)],
        ]
    }
}
