import EventLoop
import JSON
import TestSupport

/// Lets faults break out, several at a time, and calms down now and then so that it can be seen what moves again.
actor Nemesis {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// How long things go wrong before a calm.
    private static let storm = Duration.seconds(40)
    /// How long a calm lasts: 10 s in which everything has to move again, the rest to watch the order of service.
    private static let calm = Duration.seconds(18)
    /// The calm at the end of a short run.
    private static let shortCalm = Duration.seconds(12)
    /// Faults at one time.
    private static let lanes = 4

    private let loop: EventLoop
    private let world: World
    private let plan: Plan
    private let faults: [Fault]
    private var random: RandomSource
    private var deck: [Fault] = []
    private var hit: Set<String> = []

    init(world: World, plan: Plan) {
        self.world = world
        self.plan = plan
        loop = world.loop
        random = RandomSource(seed: plan.seed)
        faults = Fault.all.filter { $0.fits(plan) && (plan.faults.isEmpty || plan.faults.contains($0.name)) }
    }

    /// Returns when the run's time is over, after a calm.
    func rage() async {
        let end = loop.now + plan.duration
        let calm = plan.duration > .seconds(60) ? Self.calm : Self.shortCalm
        while loop.now + calm < end {
            let stormEnds = min(loop.now + Self.storm, end - calm)
            await withTaskGroup { group in
                for _ in 0..<Self.lanes {
                    group.addTask(executorPreference: self.loop) { await self.strike(until: stormEnds) }
                }
            }
            await settle(calm)
        }
    }

    private func strike(until end: Duration) async {
        await loop.sleep(for: .milliseconds(random.below(700)))
        while loop.now < end {
            if let (fault, outbreak) = draw() {
                await strike(fault, outbreak)
                hit.remove(outbreak.target)
                if fault.needsRedis { hit.remove("redis") }
            }
            await loop.sleep(for: .milliseconds(100 + random.below(600)))
        }
    }

    /// Each fault comes once before any comes twice.
    private func draw() -> (Fault, Fault.Outbreak)? {
        if deck.isEmpty { deck = faults.shuffled(using: &random) }
        for index in deck.indices.reversed() {
            let target = deck[index].target(&random, plan)
            guard !hit.contains(target), !deck[index].needsRedis || !hit.contains("redis") else { continue }
            hit.insert(target)
            if deck[index].needsRedis { hit.insert("redis") }
            let fault = deck.remove(at: index)
            let lasts = Duration.milliseconds(random.below(6) == 0 ? 6000 : 200 + random.below(2500))
            let seed = RandomSource(seed: random.next())
            return (fault, .init(world: world, target: target, lasts: lasts, random: seed))
        }
        return nil
    }

    private func strike(_ fault: Fault, _ outbreak: Fault.Outbreak) async {
        let facts: JSONObject = ["name": .string(fault.name), "target": .string(outbreak.target)]
        let history = world.history
        history.note("fault", facts)
        if fault.losesRecords { history.note("loss", ["on": true]) }
        do {
            try await fault.strike(outbreak)
        } catch {
            history.note("fault-failed", ["name": .string(fault.name), "why": .string("\(error)")])
        }
        if fault.losesRecords { history.note("loss", ["on": false]) }
        history.note("healed", facts)
    }

    private func settle(_ time: Duration) async {
        world.history.note("calm", ["on": true])
        await loop.sleep(for: time)
        world.history.note("calm", ["on": false])
    }
}
