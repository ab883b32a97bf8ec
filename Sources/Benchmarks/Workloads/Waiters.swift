import EventLoop
import LoadGenerator

/// Thousands of clients that wait for one unit: hand-offs, fairness, memory.
struct Waiters {
    let ground: Ground
    let rounds: Int
    let counts: [Int]
    let seconds: Duration

    func run() async throws -> (table: TextTable, measurements: [Measurement]) {
        var measurements: [Measurement] = []
        let product = try await Leasehold.start(on: ground, room: "waiters", units: 8)
        guard let redis = product.redis else { throw LoadError("the product has a Redis") }
        var table = TextTable(
            title: "Memory while clients wait for one unit",
            heads: ["waiters", "coordinator MB", "KB a waiter", "Redis MB", "Redis bytes a waiter"])
        let idle = (Host.residentBytes(of: product.servers[1].processID), try await Self.memory(redis))
        for round in 1...rounds {
            for count in counts {
                // Everybody has to be in the queue before the measurement begins.
                let warmUp = Duration.milliseconds(500 + 2 * count)
                let workload = LockWorkload(shape: .contended, clients: count, warmUp: warmUp, duration: seconds)
                async let result = product.run(workload)
                await ground.loop.sleep(for: warmUp)
                let (resident, used) = (
                    Host.residentBytes(of: product.servers[1].processID), try await Self.memory(redis)
                )
                var measurement = Measurement(
                    contender: product.name, workload: "one unit, \(count) waiters", round: round)
                let rush = try await result
                measurement.note(rush, servers: product.servers.map(\.kind))
                measurements.append(measurement)
                guard round == 1 else { continue }
                table.rows.append([
                    String(count), rounded(Double(resident) / 1e6, 1),
                    rounded(Double(resident - idle.0) / 1000 / Double(count), 1), rounded(used / 1e6, 1),
                    rounded((used - idle.1) / Double(count), 0),
                ])
            }
        }
        await product.stop()
        return (table, measurements)
    }

    private static func memory(_ redis: RedisServer) async throws -> Double {
        try await redis.info("memory")["used_memory_dataset"] ?? 0
    }
}
