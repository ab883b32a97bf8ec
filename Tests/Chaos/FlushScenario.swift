import EventLoop
import HTTP
import JSON
import RedisClient
import TestSupport

/// Redis forgets everything while all units are held and many wait. No unit may be granted twice, no holder may lose
/// its lease, every waiter has to be served in the order that was before.
actor FlushScenario {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    static let units = 8
    static let waiters = 200

    private struct Grant: Sendable {
        var holder: String
        var fencing: Int64
        var received: Int64
    }

    private let loop: EventLoop
    private let world: World
    private let caller: Caller
    private var random: RandomSource
    private var granted: [Grant] = []
    private var count = 0
    private var toFirstGrant: [Int64] = []
    /// Rounds in which the order broke.
    private var disorder: [String] = []
    private var failures: [String] = []

    init(_ world: World, seed: UInt64) throws {
        self.world = world
        loop = world.loop
        let doors = (0..<world.plan.coordinators).map { HTTPEndpoint.unix(path: "\(world.directory)/c\($0).sock") }
        caller = Caller(loop, world.history, doors, token: nil)
        random = RandomSource(seed: seed)
    }

    static func plan(_ plan: Plan) -> Plan {
        var plan = plan
        plan.agents = 2
        plan.unitsAHost = units / 2
        plan.probedAgent = -1
        plan.workers = 0
        plan.longestTTL = .seconds(60)
        return plan
    }

    /// What was found, a line each; the last says how long it took.
    func run(rounds: Int) async -> [String] {
        for round in 0..<rounds { await flush(round) }
        toFirstGrant.sort()
        let median = toFirstGrant.isEmpty ? -1 : toFirstGrant[toFirstGrant.count / 2] / 1000
        Console.write(
            "\(rounds) times FLUSHALL with \(Self.units) units held and \(Self.waiters) waiting: from the flush to the next grant \(median) ms median, \((toFirstGrant.last ?? -1) / 1000) ms at most\n"
        )
        Console.write("rounds in another order than before: \(disorder.count)\n")
        failures += disorder
        if median > 3000 { failures.append("median of \(median) ms until the next grant, 3000 are allowed") }
        caller.close()
        return failures
    }

    private func number() -> String {
        count += 1
        return "f.0/\(count)"
    }

    private func lock(_ holder: String, priority: Int, ttl: Int) async -> Caller.Answer {
        await caller.call(
            "lock", number: number(), at: random.below(world.plan.coordinators), "/v1/gpu/lock",
            [
                "id": .string(holder), "priority": .integer(Int64(priority)), "ttl": .integer(Int64(ttl)),
                "timeout": 90, "request_id": .string(holder),
            ], timeout: .seconds(95),
            facts: ["h": .string(holder), "r": .string(holder), "p": .integer(Int64(priority)), "sel": "any"])
    }

    /// - Parameter mayBeUnknown: Redis may not know the lease yet; its agent hears of it all the same.
    private func giveBack(_ answer: Caller.Answer, mayBeUnknown: Bool = false) async {
        guard let token = answer.body["token"], let lease = answer.body["lease"] else { return }
        let unlocked = await caller.call(
            "unlock", number: number(), at: random.below(world.plan.coordinators), "/v1/gpu/unlock", ["token": token],
            timeout: .seconds(5), facts: ["lease": lease])
        if unlocked.body["released"]?.integer != 1, !(mayBeUnknown && unlocked.status == 200) {
            failures.append("\(lease.string ?? "") could not be given back: \(unlocked.status) \(unlocked.failure)")
        }
    }

    private func wait(_ holder: String, priority: Int) async {
        let answer = await lock(holder, priority: priority, ttl: 30)
        guard answer.status == 200, let fencing = answer.body["fencing_token"]?.integer else {
            failures.append("\(holder) was answered \(answer.status) \(answer.failure)")
            return
        }
        granted.append(Grant(holder: holder, fencing: fencing, received: answer.received))
        await giveBack(answer)
    }

    private func flush(_ round: Int) async {
        granted = []
        var held: [Caller.Answer] = []
        for index in 0..<Self.units {
            let answer = await lock("r\(round)-holder\(index)", priority: 15, ttl: 60)
            if answer.status == 200 { held.append(answer) }
        }
        guard held.count == Self.units else {
            return failures.append("round \(round): \(held.count) units were to be had")
        }
        let priorities = (0..<Self.waiters).map { _ in random.element([0, 10, 15, 20]) }
        await withTaskGroup { group in
            for (index, priority) in priorities.enumerated() {
                group.addTask(executorPreference: loop) { await self.wait("r\(round)-w\(index)", priority: priority) }
            }
            guard await allWait() else { return failures.append("round \(round): the queue did not fill") }
            let order = await waiting()
            await loop.sleep(for: .milliseconds(random.below(500)))
            await world.redis(["FLUSHALL"])
            let flushed = Moment.now
            await loop.sleep(for: .milliseconds(random.below(200)))
            let late = await renewed(held)
            if late > 0 { failures.append("round \(round): \(late) of \(Self.units) holders lost their lease") }
            for answer in held {
                group.addTask(executorPreference: loop) { await self.giveBack(answer, mayBeUnknown: true) }
            }
            for await _ in group {}
            judge(round, order, flushed)
        }
    }

    /// How many of the holders do not hold any more.
    private func renewed(_ held: [Caller.Answer]) async -> Int {
        var lost = 0
        for answer in held {
            guard let token = answer.body["token"], let lease = answer.body["lease"] else { continue }
            for _ in 0..<5 {
                let renewal = await caller.call(
                    "renew", number: number(), at: random.below(world.plan.coordinators), "/v1/gpu/renew",
                    ["token": token], timeout: .seconds(4), facts: ["lease": lease])
                if renewal.status == 200 { break }
                if renewal.status == 410 {
                    lost += 1
                    break
                }
                await loop.sleep(for: .milliseconds(100))
            }
        }
        return lost
    }

    private func allWait() async -> Bool {
        for _ in 0..<200 {
            if await waiting().count == Self.waiters { return true }
            await loop.sleep(for: .milliseconds(50))
        }
        return false
    }

    /// Who waits, in the order of service.
    private func waiting() async -> [String] {
        let status = await world.status(at: 0)
        return status?["waiters"]?.array?.compactMap { $0.object?["holder"]?.string } ?? []
    }

    private func judge(_ round: Int, _ order: [String], _ flushed: Int64) {
        guard granted.count == Self.waiters else { return }
        toFirstGrant.append((granted.map(\.received).min() ?? 0) - flushed)
        let served = granted.sorted { $0.fencing < $1.fencing }.map(\.holder)
        let early = zip(served, order).count { $0 != $1 }
        if early > 0 {
            let first = zip(served, order).enumerated().first { $0.element.0 != $0.element.1 }
            disorder.append(
                "round \(round): \(early) of \(Self.waiters) were served in another place than before, the first was \(first?.element.0 ?? "") in place of \(first?.element.1 ?? "") at \(first?.offset ?? 0)"
            )
        }
    }
}
