import EventLoop
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite struct `Redis in a cluster` {
    @Test func `each pool is served by the master of its slot, and follows it when it moves`() async throws {
        try await withCluster { cluster in
            var settings = RedisSettings()
            settings.lookInterval = .milliseconds(200)
            var pools: [Followers] = []
            var homes: [Int] = []
            for tag in ["{a}", "{b}", "{c}"] {
                pools.append(Followers(cluster.loop, cluster.endpoint, settings, tag: tag))
                homes.append(try await cluster.home(of: tag))
            }
            #expect(Set(homes) == [0, 1, 2])
            for pool in pools { try await pool.start() }
            for (pool, home) in zip(pools, homes) {
                try await pool.expectAllToWork("before")
                #expect(try await pool.port() == cluster.nodes[home].port)
            }
            let (from, to) = (homes[0], homes[1])
            try await cluster.beginMove(slotOf: "{a}", from: from, to: to)
            try await cluster.endMove(slotOf: "{a}", from: from, to: to)
            for pool in pools { try await pool.expectAllToWork("after") }
            #expect(try await pools[0].port() == cluster.nodes[to].port)
            #expect(pools[0].entries.withLock { $0.first } == "before")
            try await eventually("inbox and stream have followed too") {
                let clients = try await cluster.nodes[from].ask("CLIENT", "LIST")
                return !clients.contains("name=follower")
            }
            for pool in pools { await pool.close() }
        }
    }

    @Test func `a slot moved live loses nothing, and nothing is done twice`() async throws {
        try await withCluster { cluster in
            let endpoint = cluster.endpoint.serving(slotOf: "absent{a}")
            let client = RedisClient(loop: cluster.loop, endpoint: endpoint, name: "test", log: .silent)
            try await connect(client)
            let from = try await cluster.home(of: "{a}")
            let to = (from + 1) % 3
            let counter = Counter(client)
            let counting = cluster.loop.spawn { await counter.count() }
            try await eventually("it counts") { counter.done.withLock { $0 } > 20 }
            try await cluster.beginMove(slotOf: "{a}", from: from, to: to)
            try await cluster.moveKeys(slotOf: "{a}", from: from, to: to, most: 1)
            try await eventually("neither node is used meanwhile") {
                guard case .disconnected(let reason) = try await cluster.loop.run({ client.state }) else {
                    return false
                }
                return reason.hasPrefix("ASK")
            }
            try await cluster.endMove(slotOf: "{a}", from: from, to: to)
            let before = counter.done.withLock { $0 }
            try await eventually("it counts again") { counter.done.withLock { $0 } > before + 20 }
            counter.isOver.withLock { $0 = true }
            await counting.value
            let (done, unknown) = (counter.done.withLock { $0 }, counter.unknown.withLock { $0 })
            for name in ["x", "y"] {
                let value = Int(try await client.command(["GET", .text("\(name){a}")]).integer ?? 0)
                #expect(
                    (done...(done + unknown)).contains(value), "\(name): \(value), answered \(done), lost \(unknown)")
            }
            await client.close()
        }
    }

    @Test func `a node that is gone makes the others be asked, and its slots be waited for`() async throws {
        try await withCluster { cluster in
            let from = try await cluster.home(of: "{a}")
            let all = Followers(cluster.loop, cluster.endpoint, tag: "{a}")
            try await all.start()
            try await all.expectAllToWork("before")
            await cluster.nodes[from].kill()
            let error = await #expect(throws: RedisError.self) { try await all.client.command(["PING"]) }
            #expect(error != nil)
            try await eventually("it is waited for") {
                if case .disconnected = try await cluster.loop.run({ all.client.state }) { true } else { false }
            }
            try await cluster.nodes[from].start()
            try await all.expectAllToWork("after")
            await all.close()
        }
    }

    @Test func `a server without a cluster is refused with what to do`() async throws {
        try await withRedis { redis in
            let port = try await openPort(redis)
            let endpoint = try RedisEndpoint(parsing: "redis+cluster://127.0.0.1:\(port)")
            let client = RedisClient(loop: redis.loop, endpoint: endpoint, name: "test", log: .silent)
            try await redis.loop.run { client.start() }
            try await eventually("refused") {
                guard case .refused(let reason) = try await redis.loop.run({ client.state }) else { return false }
                return reason.contains("is no node of a cluster")
            }
            await client.close()
        }
    }
}

/// Raises two counters in one script until it is over, and keeps how often that was answered or may have happened.
private final class Counter: Sendable {
    let done = Mutex(0)
    let unknown = Mutex(0)
    let isOver = Mutex(false)
    private let client: RedisClient
    private let script = RedisScript(
        name: "count",
        source: Array("redis.call('INCR', 'x{a}') redis.call('GET', 'none{a}') return redis.call('INCR', 'y{a}')".utf8))

    init(_ client: RedisClient) { self.client = client }

    func count() async {
        while !isOver.withLock({ $0 }) {
            do throws(RedisError) {
                _ = try await client.evaluate(script, keys: ["x{a}", "absent{a}"], arguments: [])
                done.withLock { $0 += 1 }
            } catch {
                if !error.surelyNotDone { unknown.withLock { $0 += 1 } }
                await client.loop.sleep(for: .milliseconds(1))
            }
        }
    }
}
