import EventLoop
import LeaseModel
import LeaseStore
import LoadGenerator

/// What Redis itself can do here: its own benchmark, and this product's scripts with nothing around them.
struct Ceiling {
    let ground: Ground
    let seconds: Duration

    func run() async throws -> TextTable {
        var table = TextTable(title: "The ceiling", heads: ["what", "a second", "Redis µs each"])
        let redis = try await RedisServer.start(on: ground, room: "ceiling")
        for (clients, pipeline) in [(1, 1), (64, 1), (64, 16)] {
            let set = try await rate(redis, clients, pipeline, ["set", "lock:__rand_int__", "x", "nx", "px", "120000"])
            let delete = try await rate(redis, clients, pipeline, ["del", "lock:__rand_int__"])
            guard let set, let delete else { continue }
            table.rows.append([
                "redis-benchmark, SET NX PX and DEL in turn, \(clients) connections, pipeline \(pipeline)",
                rounded(1 / (1 / set + 1 / delete), 0), "–",
            ])
        }
        for clients in [1, 64] {
            let (pairs, cpu) = try await scripts(redis, clients)
            table.rows.append([
                "ask, confirm, release by the product's scripts, \(clients) at a time, one pipelined connection",
                rounded(pairs, 0), rounded(cpu, 1),
            ])
        }
        await redis.server.stop()
        return table
    }

    /// Commands a second as `redis-benchmark` tells them.
    private func rate(
        _ redis: RedisServer, _ clients: Int, _ pipeline: Int, _ words: [String]
    ) async throws -> Double? {
        let count = clients == 1 ? 30_000 : 200_000
        let result = try await ChildProcess.run(
            ChildCommand(
                [
                    "redis-benchmark", "-h", "127.0.0.1", "-p", String(redis.port), "-c", String(clients), "-P",
                    String(pipeline), "-n", String(count), "-r", "64", "--csv",
                ] + words), deadline: .seconds(120), on: ground.loop)
        // The last line: "name","requests a second",…
        let line = String(decoding: result.output, as: UTF8.self).split(separator: "\n").last ?? ""
        let cells = line.split(separator: ",").map { $0.filter { $0 != "\"" } }
        return cells.dropFirst().compactMap { Double($0) }.first
    }

    private func scripts(_ redis: RedisServer, _ clients: Int) async throws -> (pairs: Double, cpu: Double) {
        _ = try await redis.client.command(["FLUSHALL"])
        let fleet = Fleet(redis: redis)
        try await fleet.register(hosts: 8, unitsEach: 8)
        let (tally, end) = (Tally(loop: ground.loop), EndFlag(loop: ground.loop))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<clients {
                group.addTask {
                    while !end.isRaised {
                        try await fleet.pair("client-\(client)")
                        tally.add(1)
                    }
                }
            }
            await ground.loop.sleep(for: .milliseconds(200))
            let (began, cpu) = (Host.nanoseconds, Host.cpu(of: redis.server.processID))
            tally.open()
            await ground.loop.sleep(for: seconds)
            let pairs = Double(tally.close().sum)
            let lasted = Double(Host.nanoseconds - began) / 1e9
            let used = Double(Host.cpu(of: redis.server.processID) - cpu) / 1000
            end.raise()
            try await group.waitForAll()
            return (pairs / lasted, used / max(pairs, 1))
        }
    }
}
