import EventLoop
import RedisClient
import Telemetry

/// Runs worlds side by side on one private Redis server, each alone with its own keys.
package actor Simulation {
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package struct Settings: Sendable {
        /// The first seed.
        package var from: UInt64 = 1
        package var seeds = 100
        /// No world is begun after this.
        package var limit: Duration?
        /// The rule to remove.
        package var mutant: Mutant?
        /// Worlds that run at the same time, so that Redis has always something to do.
        package var abreast = 16
        /// Keep a line for everything that happens.
        package var isTraced = false
        /// Begin no more worlds after the first violation.
        package var stopsAtViolation = true

        package init() {}
    }

    private let loop: EventLoop
    private let settings: Settings
    private let scripts: VirtualScripts
    private var next: UInt64
    private var summary = Summary()
    private var isStopping = false

    private init(_ settings: Settings, scripts: VirtualScripts, loop: EventLoop) {
        self.settings = settings
        self.scripts = scripts
        self.loop = loop
        next = settings.from
    }

    /// Runs the seeds on a private Redis in `directory`, which is removed at the end.
    package static func run(_ settings: Settings, on loop: EventLoop, directory: String) async throws -> Summary {
        let scripts = try VirtualScripts(edits: settings.mutant?.edits ?? [])
        let server = try await PrivateServer.start(
            loop: loop, directory: directory, durability: .none, log: .silent)
        var redis = RedisSettings()
        redis.deadline = .seconds(60)
        let client = RedisClient(
            loop: loop, endpoint: server.endpoint, name: "simulation", log: .silent, settings: redis)
        loop.perform { client.start() }
        while await !isConnected(client) { await loop.sleep(for: .milliseconds(2)) }
        let simulation = Simulation(settings, scripts: scripts, loop: loop)
        let summary = await simulation.runAll(client)
        await client.close()
        await server.stop()
        try Files.removeTree(directory)
        return summary
    }

    private static func isConnected(_ client: RedisClient) async -> Bool {
        await withCheckedContinuation { continuation in
            client.loop.perform { continuation.resume(returning: client.isConnected) }
        }
    }

    private func runAll(_ client: RedisClient) async -> Summary {
        let began = loop.now
        let workers = (0..<min(settings.abreast, settings.seeds)).map { slot in
            loop.spawn { await self.work(client, slot) }
        }
        for worker in workers { await worker.value }
        summary.took = loop.now - began
        return summary
    }

    private nonisolated func work(_ client: RedisClient, _ slot: Int) async {
        let pools = ("w\(slot)a", "w\(slot)b", "w\(slot)s")
        let began = loop.now
        while let seed = await nextSeed(began) {
            let wire = Wire(client: client, scripts: scripts)
            let world = await World(
                seed: seed, wire: wire, pools: pools, switches: settings.mutant?.switches ?? [],
                isTraced: settings.isTraced)
            await take(await world.run())
        }
    }

    private func nextSeed(_ began: Duration) -> UInt64? {
        guard !isStopping, next < settings.from + UInt64(settings.seeds) else { return nil }
        if let limit = settings.limit, loop.now - began >= limit { return nil }
        defer { next += 1 }
        return next
    }

    private func take(_ verdict: Verdict) {
        summary.add(verdict)
        if !verdict.violations.isEmpty, settings.stopsAtViolation { isStopping = true }
    }
}
