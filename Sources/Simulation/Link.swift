import LeaseModel

/// One Redis server as the world sees it.
final class Master {
    let name: String
    /// The first key of the pool there.
    let clockKey: String
    /// How far its wall clock is from the true one.
    var clockOffset = Duration.zero
    /// It stands still until then; what reaches it waits.
    var pausedUntil = Duration.zero
    /// When keys go, by its own wall clock in ms.
    private var expiries: [String: Int64] = [:]
    private var nextExpiry = Int64.max

    init(_ name: String, clockKey: String) {
        self.name = name
        self.clockKey = clockKey
    }

    static let epoch: Int64 = 1_764_000_000_000_000

    /// `TIME` in µs.
    func time(at now: Duration) -> Int64 { Self.epoch + (now + clockOffset).microseconds }

    func expire(_ key: String, _ moment: Int64?) {
        expiries[key] = moment
        nextExpiry = min(nextExpiry, moment ?? .max)
    }

    func takeExpired(at milliseconds: Int64) -> [String] {
        guard nextExpiry <= milliseconds else { return [] }
        let expired = expiries.filter { $0.value <= milliseconds }.keys.sorted()
        for key in expired { expiries[key] = nil }
        nextExpiry = expiries.values.min() ?? .max
        return expired
    }

    func forgetAll() {
        expiries = [:]
        nextExpiry = .max
    }

    func copyExpiries(of other: Master) {
        expiries = [:]
        let prefix = String(clockKey.dropLast("clock".count))
        for (key, moment) in other.expiries {
            expiries[prefix + String(key.dropFirst(other.clockKey.count - "clock".count))] = moment
        }
        nextExpiry = other.nextExpiry
    }
}

/// A process's connection for commands: in order there, in order back, given up where an answer stays away.
final class Link {
    unowned let world: World
    unowned let process: Process
    private(set) var master: Master
    private(set) var isUp = false
    private(set) var generation = 0
    var onChange: (Bool) -> Void = { _ in }
    /// Packets in this direction stand still until then.
    var stalledThere = Duration.zero
    var stalledBack = Duration.zero
    /// What is sent on the present connection does not arrive before then; a new one is not concerned.
    private var stuckUntil = Duration.zero
    private var arrivedThere = Duration.zero
    private var arrivedBack = Duration.zero
    private var waiting: [(errand: Errand, sent: Duration)] = []
    private var isWatched = false
    private var failures = 0

    static let deadline = Duration.seconds(2)

    init(of process: Process, to master: Master) {
        self.world = process.world
        self.process = process
        self.master = master
    }

    func send(_ name: String, _ twin: @escaping Errand.Twin, _ hear: @escaping (Errand.Answer) -> Void) {
        let errand = Errand(name, on: self, twin: twin, hear: hear)
        guard isUp else {
            world.timeline.add(.traffic, at: world.now, .lost(errand))
            return
        }
        arrivedThere = max(arrivedThere, max(world.now, stalledThere, stuckUntil) + world.delay())
        waiting.append((errand, world.now))
        world.timeline.add(.traffic, at: arrivedThere, .script(errand))
        watch()
    }

    /// The script has run; its answer sets out.
    func answer(_ errand: Errand) {
        guard isUp, errand.generation == generation else { return }
        arrivedBack = max(arrivedBack, max(world.now, stalledBack) + world.delay())
        process.at(arrivedBack, .traffic) { [self] in
            guard isUp, errand.generation == generation, let answer = errand.answer,
                let index = waiting.firstIndex(where: { $0.errand === errand })
            else { return }
            waiting.remove(at: index)
            errand.hear(answer)
        }
    }

    private func watch() {
        guard !isWatched, let first = waiting.first else { return }
        isWatched = true
        process.at(first.sent + Self.deadline, .timer) { [self] in
            isWatched = false
            guard isUp, let first = waiting.first else { return }
            if first.sent + Self.deadline <= world.now { lose("no answer") } else { watch() }
        }
    }

    /// Packets of the present connection are under way for as long as this, whatever becomes of it.
    func stick(until moment: Duration) { stuckUntil = moment }

    /// The connection ends. What is under way may still reach Redis.
    func lose(_ why: String) {
        guard isUp else { return }
        world.trace { "\(self.process.name) loses Redis: \(why)" }
        isUp = false
        generation += 1
        let lost = waiting
        waiting = []
        let isToldFirst = world.numbers.chance(percent: 50)
        if isToldFirst { onChange(false) }
        for (errand, _) in lost { world.timeline.add(.traffic, at: world.now, .lost(errand)) }
        if !isToldFirst { process.at(world.now, .traffic) { [self] in onChange(false) } }
        world.stirred()
        open(after: .milliseconds(50))
    }

    /// Tries to connect, and again until it is.
    func open(after pause: Duration) {
        process.at(world.now + pause, .traffic) { [self] in
            guard !isUp else { return }
            let master = world.master
            if max(stalledThere, stalledBack, master.pausedUntil) > world.now {
                failures += 1
                return open(after: min(.milliseconds(100) * (1 << min(failures, 5)), .seconds(2)))
            }
            failures = 0
            stuckUntil = .zero
            arrivedThere = .zero
            self.master = master
            isUp = true
            world.stirred()
            onChange(true)
        }
    }
}

/// A process's connection for messages.
final class MailBox {
    unowned let world: World
    unowned let process: Process
    private(set) var master: Master
    private(set) var isUp = false
    var generation = 0
    var onChange: (Bool) -> Void = { _ in }
    var stalled = Duration.zero
    private var arrived = Duration.zero

    init(of process: Process, to master: Master) {
        self.world = process.world
        self.process = process
        self.master = master
    }

    func deliver(_ bytes: [UInt8], to hear: @escaping ([UInt8]) -> Void) {
        guard isUp else { return }
        arrived = max(arrived, max(world.now, stalled) + world.delay())
        let generation = generation
        process.at(arrived, .traffic) { [self] in
            guard isUp, generation == self.generation else { return }
            hear(bytes)
        }
    }

    /// What is under way is lost; the process notices after a time.
    func lose(noticedAfter pause: Duration) {
        guard isUp else { return }
        isUp = false
        generation += 1
        world.stirred()
        process.at(world.now + pause, .traffic) { [self] in
            onChange(false)
            open(after: .milliseconds(50))
        }
    }

    func open(after pause: Duration) {
        process.at(world.now + pause, .traffic) { [self] in
            guard !isUp else { return }
            if max(stalled, world.master.pausedUntil) > world.now { return open(after: .milliseconds(500)) }
            master = world.master
            isUp = true
            world.stirred()
            onChange(true)
        }
    }
}
