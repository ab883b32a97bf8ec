import LeaseModel
import LeaseStore
import RedisClient

/// One seed's world: hosts, coordinators, clients and a network around the shipped state machines and scripts.
final class World {
    struct Counts: Sendable {
        var scripts = 0
        var events = 0
        var requests = 0
        var grants = 0
        var renewals = 0
        var expiries = 0
        var faults: [Fault: Int] = [:]
    }

    let seed: UInt64
    let plan: Plan
    let wire: Wire
    private let switches: Set<Switch>
    var numbers: RandomNumbers
    var now = Duration.zero
    var timeline = Timeline()
    var checker = Checker()
    var counts = Counts()
    var weather = Weather()
    let store: LeaseStore
    /// The server that new connections lead to.
    var master: Master
    private(set) var spare: Master
    let snapshot: Master
    var hasSnapshot = false
    var instances: [String: Process] = [:]
    private(set) var agents: [AgentProcess] = []
    private(set) var coordinators: [CoordinatorProcess] = []
    private var clients: [Client] = []
    var lastCall = 0
    /// Everything that was broken is whole again then.
    var brokenUntil = Duration.zero
    private var unsettledUntil = Duration.zero
    private var lastChange = Duration.zero
    private var lastLook = Duration.zero
    /// A script has failed, as only one with a mistake in its text does.
    private var isBroken = false
    /// Virtual time in which nothing but heartbeats would have happened.
    private var quiet = Duration.zero
    private let isTraced: Bool
    private(set) var lines: [String] = []
    private var digest: UInt64 = 0xcbf2_9ce4_8422_2325

    /// A world never lasts longer; where it does, something does not end.
    private static let longest = Duration.seconds(12 * 3600)
    private static let mostEvents = 100_000

    init(
        seed: UInt64, wire: Wire, pools: (String, String, String), switches: Set<Switch>, isTraced: Bool
    ) async {
        self.seed = seed
        self.wire = wire
        self.switches = switches
        self.isTraced = isTraced
        numbers = RandomNumbers(seed: seed)
        plan = Plan(&numbers)
        master = Master("a", clockKey: await wire.firstKey(of: Self.pool(pools.0)))
        spare = Master("b", clockKey: await wire.firstKey(of: Self.pool(pools.1)))
        snapshot = Master("snapshot", clockKey: await wire.firstKey(of: Self.pool(pools.2)))
        store = wire.store(Self.pool(pools.0), aging: plan.aging)
    }

    private static func pool(_ name: String) -> PoolID {
        guard let pool = try? PoolID(name) else { preconditionFailure("\(name) is a pool's name") }
        return pool
    }

    func has(_ mutation: Switch) -> Bool { switches.contains(mutation) }

    // MARK: Run

    func run() async -> Verdict {
        for master in [master, spare, snapshot] { _ = await wire.keep(master.clockKey, ["flush"]) }
        begin()
        var endsAt: Duration?
        while let next = timeline.next, checker.violations.isEmpty {
            if let endsAt, next >= endsAt { break }
            if next > Self.longest {
                let left = clients.filter { !$0.isFinished }.map(\.name).joined(separator: ", ")
                checker.failed("no end: after \(Self.longest) not done: \(left)")
                break
            }
            if counts.events > Self.mostEvents {
                checker.failed("no rest: \(Self.mostEvents) events")
                break
            }
            await step()
            if endsAt == nil, isOver {
                endsAt = now + plan.longestTTL + plan.lockDelay + .seconds(20)
                trace { "everybody is done" }
            }
            if timeline.traffic == 0 { await pass(before: endsAt) }
        }
        if checker.violations.isEmpty { await lookForOrphans() }
        for master in [master, spare, snapshot] { _ = await wire.keep(master.clockKey, ["flush"]) }
        return Verdict(
            seed: seed, violations: checker.violations, lines: lines, digest: digest, virtual: now, quiet: quiet,
            isBroken: isBroken,
            counts: counts)
    }

    private func begin() {
        checker.isCalm = plan.faults.isEmpty
        checker.aging = .milliseconds(plan.aging.microsecondsPerPoint / 1000)
        for host in plan.hosts {
            for unit in host.units { checker.memories[unit.unit.text] = unit.memoryMB }
            agents.append(
                AgentProcess(
                    host.id, units: host.units, in: self,
                    bootedAt: .zero - numbers.duration(.zero ... .seconds(100_000))))
        }
        for number in 0..<plan.coordinators {
            coordinators.append(
                CoordinatorProcess(number, in: self, bootedAt: .zero - numbers.duration(.zero ... .seconds(100_000))))
        }
        for agent in agents { agent.start() }
        for coordinator in coordinators { coordinator.start() }
        for (number, client) in plan.clients.enumerated() {
            clients.append(Client(number, sessions: client.sessions, gaps: client.gaps, in: self))
        }
        for (moment, fault) in plan.faults {
            timeline.add(.plan, at: moment, .tend { [self] in await strike(fault) })
        }
    }

    private var isOver: Bool {
        clients.allSatisfy(\.isFinished) && brokenUntil <= now && timeline.nextPlan == nil
    }

    private func step() async {
        let (at, _, happening) = timeline.removeFirst()
        now = max(now, at)
        checker.now = now
        checker.healedAt = brokenUntil <= now && areAllRunning ? brokenUntil : nil
        counts.events += 1
        digest = (digest ^ UInt64(truncatingIfNeeded: now.microseconds)) &* 0x100_0000_01b3
        switch happening {
        case .act(let work): work()
        case .script(let errand): await execute(errand)
        case .lost(let errand):
            let answer = await wire.fail(errand.twin)
            guard errand.run == errand.link.process.run else { break }
            errand.link.process.at(now, .traffic) { errand.hear(answer) }
        case .tend(let work): await work()
        }
        if now - lastLook >= .milliseconds(500) {
            lastLook = now
            checker.look { [self] number in
                coordinators[number].isRunning && coordinators[number].pausedUntil <= now
            }
        }
    }

    private var areAllRunning: Bool {
        agents.allSatisfy { $0.isAway || ($0.isRunning && $0.pausedUntil <= now) }
            && coordinators.allSatisfy { $0.isRunning && $0.pausedUntil <= now }
    }

    // MARK: Scripts

    private func execute(_ errand: Errand) async {
        let master = errand.master
        guard master.pausedUntil <= now else {
            timeline.add(.traffic, at: master.pausedUntil, .script(errand))
            return
        }
        let time = master.time(at: now)
        let expired = master.takeExpired(at: time / 1000)
        let (answer, effects) = await wire.run(
            errand.twin, in: Wire.Situation(clockKey: master.clockKey, time: time, expired: expired))
        counts.scripts += 1
        if let error = effects.error {
            isBroken = true
            checker.failed("script: \(error)")
        }
        trace { "\(master.name): \(effects.name) of \(errand.link.process.name)\(errand.isLate ? ", late" : "")" }
        for (key, life) in effects.expiries { master.expire(key, life == 0 ? nil : time / 1000 + life) }
        for (to, bytes) in effects.mail { post(bytes, to: to, from: master) }
        if !answer.isRoutine || !effects.mail.isEmpty { lastChange = now }
        if case .revoked(let outcome?) = answer { for lease in outcome.ending { force(lease.text) } }
        errand.answer = answer
        if now < weather.losesAnswersUntil, numbers.chance(percent: weather.answerLoss) {
            let link = errand.link
            link.process.at(now + delay(), .traffic) {
                if link.generation == errand.generation { link.lose("the answer to \(errand.name) was lost") }
            }
        } else {
            errand.link.answer(errand)
        }
    }

    private func force(_ lease: String) {
        checker.force(lease)
        for client in clients { client.forced(lease) }
    }

    private func post(_ bytes: [UInt8], to instance: String, from master: Master) {
        if instance == "agents" {
            for agent in agents where agent.isRunning && agent.inbox?.master === master {
                agent.inbox?.deliver(bytes) { _ in agent.feed(.forgotten) }
            }
            return
        }
        guard let process = instances[instance] else { return }
        if now < weather.losesMailUntil, numbers.chance(percent: weather.mailLoss) {
            trace { "a message to \(instance) is lost" }
            stirred()
            return
        }
        switch process {
        case let agent as AgentProcess:
            if agent.inbox?.master === master { agent.inbox?.deliver(bytes) { agent.hear($0) } }
        case let coordinator as CoordinatorProcess:
            if coordinator.inbox?.master === master { coordinator.inbox?.deliver(bytes) { coordinator.hear($0) } }
        default: break
        }
    }

    func delay() -> Duration { numbers.duration(now < weather.slowUntil ? weather.slowDelays : plan.delays) }

    /// The copy on the spare server becomes the present one; connections to the old one live on until they end.
    func promoteSpare() { swap(&master, &spare) }

    // MARK: Quiet times

    /// Something was lost or has changed hands: heartbeats may find something to mend.
    func stirred() { unsettle(until: now) }

    func unsettle(until moment: Duration) { unsettledUntil = max(unsettledUntil, moment + .milliseconds(5600)) }

    /// Steps over a time in which nothing but heartbeats would happen that change nothing but their own presence: that
    /// is moved on by one script instead. Exact, as all is whole, nothing is under way and nothing else is due.
    private func pass(before end: Duration?) async {
        guard now >= unsettledUntil, now - lastChange >= .milliseconds(1100), brokenUntil <= now else { return }
        var next = min(timeline.nextPlan ?? Self.longest, end ?? Self.longest)
        guard next - now > .seconds(5), agents.allSatisfy(\.isSettled), coordinators.allSatisfy(\.isSettled) else {
            return
        }
        for agent in agents { next = min(next, agent.nextLapse ?? next) }
        for coordinator in coordinators { next = min(next, coordinator.nextWake ?? next) }
        let span = next - now - .seconds(1)
        guard span >= .seconds(4) else { return }
        let names = agents.map(\.host.text) + coordinators.map(\.instance.text)
        let arguments: [RedisArgument] = ["pass", .integer(span.milliseconds), .integer(Int64(agents.count))]
        guard await wire.keep(master.clockKey, arguments + names.map { .text($0) }).integer == 1 else {
            lastChange = now
            return
        }
        now += span
        quiet += span
        trace { "nothing but heartbeats for \(Self.seconds(span))" }
        counts.scripts += 1
    }

    /// Everything stands still, clocks run on: a machine that slept.
    func sleep(for span: Duration) {
        now += span
        stirred()
    }

    private func lookForOrphans() async {
        guard let left = await wire.keep(master.clockKey, ["left"]).array else {
            return checker.failed("Redis did not tell what is left")
        }
        checker.left(left.compactMap(\.text))
    }

    // MARK: Trace

    func trace(_ text: () -> String) {
        guard isTraced else { return }
        lines.append("\(Self.seconds(now)) \(text())")
    }

    static func seconds(_ moment: Duration) -> String {
        let micros = moment.microseconds
        let rest = String(micros % 1_000_000 + 1_000_000).dropFirst()
        return "\(micros / 1_000_000).\(rest)"
    }
}

/// How a seed ended.
package struct Verdict: Sendable {
    package var seed: UInt64
    /// What was wrong, the first first; empty where all was well.
    package var violations: [String]
    /// What happened, where that was asked for.
    package var lines: [String]
    /// Of all moments at which something happened.
    package var digest: UInt64
    package var virtual: Duration
    package var quiet: Duration
    /// A script of the pool has failed.
    package var isBroken: Bool
    var counts: World.Counts
}
