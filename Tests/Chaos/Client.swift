import EventLoop
import HTTP
import JSON
import TestSupport

/// A program that wants a GPU again and again: waits, works, renews, gives back, forgets to, vanishes.
actor Client {
    nonisolated var unownedExecutor: UnownedSerialExecutor { caller.loop.asUnownedSerialExecutor() }

    /// What the world is to a client.
    struct Surroundings: Sendable {
        var hosts: [String]
        var unitsAHost: Int
        var device: HTTPEndpoint
        /// The longest lease that the pool gives.
        var longestTTL: Int
        /// Coordinators that this one goes to first; all of them where it is empty.
        var home: Int?
    }

    private struct Wish {
        var holder: String
        var request: String?
        var priority: Int
        var ttl: Int  // milliseconds, as timeout
        var timeout: Int
        var selector: String
        var members: JSONObject
    }

    private struct Held {
        var lease: String
        var token: String
        /// All of one host.
        var units: [String]
        var fencing: Int64
        /// Until when this program may believe that it holds.
        var until: Int64
    }

    private let name: String
    private let caller: Caller
    private let around: Surroundings
    private var random: RandomSource
    private var count = 0
    private var isStopping = false
    /// Rises when a call that names the holder may still be on its way: it must not meet a later lease.
    private var generation = 0

    private var holder: String { generation == 0 ? name : "\(name)g\(generation)" }

    init(_ name: String, _ caller: Caller, _ around: Surroundings, seed: UInt64) {
        self.name = name
        self.caller = caller
        self.around = around
        random = RandomSource(seed: seed)
    }

    func stop() { isStopping = true }

    func run() async {
        while !isStopping {
            await caller.loop.sleep(for: .milliseconds(random.below(400)))
            if !isStopping { await once() }
        }
    }

    private func number() -> String {
        count += 1
        return "\(name)/\(count)"
    }

    // MARK: Asking

    private func wish() -> Wish {
        let ttl = 1000 + 100 * random.below((around.longestTTL - 1000) / 100 + 1)
        let timeout = 500 * (2 + random.below(20))
        var wish = Wish(
            holder: holder, request: nil, priority: random.element([0, 10, 15, 15, 20]), ttl: ttl, timeout: timeout,
            selector: "any", members: [:])
        let host = random.element(around.hosts)
        switch random.below(20) {
        case 0, 1:
            wish.selector = "host=\(host)"
            wish.members["host"] = .string(host)
        case 2, 3:
            let unit = "\(host)/\(random.below(around.unitsAHost))"
            wish.selector = "unit=\(unit)"
            wish.members["unit"] = .string(unit)
        case 4:
            wish.selector = "model-load"
            wish.members["kind"] = "model-load"
        case 5, 6:
            wish.selector = "count=2"
            wish.members["count"] = 2
            if random.below(2) == 0 { wish.members["host"] = .string(host) }
        default: break
        }
        if random.below(10) < 7 { wish.request = "\(name)-r\(count)-\(random.next() % 1_000_000)" }
        wish.members["id"] = .string(wish.holder)
        wish.members["priority"] = .integer(Int64(wish.priority))
        wish.members["ttl"] = .number(Double(ttl) / 1000)
        if let request = wish.request { wish.members["request_id"] = .string(request) }
        return wish
    }

    private func lock(_ wish: Wish, at coordinator: Int, left: Int) async -> Caller.Answer {
        var members = wish.members
        members["timeout"] = .number(Double(left) / 1000)
        let number = number()
        return await caller.call(
            "lock", number: number, at: coordinator, "/v1/gpu/lock", members,
            timeout: .milliseconds(left + 4000),
            facts: [
                "h": .string(wish.holder), "r": .string(wish.request ?? number), "p": .integer(Int64(wish.priority)),
                "ttl": .integer(Int64(wish.ttl)), "timeout": .integer(Int64(left)), "sel": .string(wish.selector),
            ])
    }

    private func once() async {
        if random.below(250) == 0 { await intervene() }
        let wish = wish()
        let coordinator =
            around.home.flatMap { random.below(3) > 0 ? $0 : nil } ?? random.below(caller.coordinators.count)
        if random.below(20) == 0 { return await vanish(wish, at: coordinator) }
        if wish.request != nil, random.below(12) == 0 { return await twice(wish, at: coordinator) }
        guard let held = await acquire(wish, from: coordinator) else { return }
        await use(held, coordinator)
    }

    /// Asks, and again where the answer was lost, with the same `request_id`, as a careful program would.
    private func acquire(_ wish: Wish, from first: Int) async -> Held? {
        let end = Moment.now + Int64(wish.timeout) * 1000
        var coordinator = first
        for _ in 0..<5 {
            let left = Int((end - Moment.now) / 1000)
            guard left > 100 else { return nil }
            let answer = await lock(wish, at: coordinator, left: left)
            if let held = Self.held(answer) { return held }
            // What has no name cannot be asked for again: a lease that nobody heard of runs out.
            let mayRepeat =
                answer.status == 0
                ? wish.request != nil : ["shutting_down", "unavailable"].contains(answer.body["error"]?.string)
            guard mayRepeat, !isStopping else { return nil }
            await caller.loop.sleep(for: .milliseconds(50 + random.below(300)))
            coordinator = random.below(caller.coordinators.count)
        }
        return nil
    }

    private static func held(_ answer: Caller.Answer) -> Held? {
        guard answer.status == 200, let lease = answer.body["lease"]?.string, let token = answer.body["token"]?.string,
            let units = answer.body["units"]?.array?.compactMap(\.string),
            let fencing = answer.body["fencing_token"]?.integer,
            let left = answer.body["expires_in"]?.number, let waited = answer.body["waited_ms"]?.number
        else { return nil }
        let until = answer.sent + Int64(waited * 1000) + Int64(left * 1_000_000)
        return Held(lease: lease, token: token, units: units, fencing: fencing, until: until)
    }

    /// Asks, and closes the connection some time later, whatever has come.
    private func vanish(_ wish: Wish, at coordinator: Int) async {
        let waiting = caller.loop.spawn { _ = await self.lock(wish, at: coordinator, left: wish.timeout) }
        await caller.loop.sleep(for: .milliseconds(random.below(1500)))
        waiting.cancel()
        await waiting.value
        caller.history.note("vanished", ["h": .string(wish.holder)])
    }

    /// Asks twice with one `request_id`, as a proxy that repeats would.
    private func twice(_ wish: Wish, at coordinator: Int) async {
        let pause = Duration.milliseconds(random.below(300))
        let other = random.below(caller.coordinators.count)
        async let first = lock(wish, at: coordinator, left: wish.timeout)
        await caller.loop.sleep(for: pause)
        async let second = lock(wish, at: other, left: wish.timeout)
        let held = await [Self.held(first), Self.held(second)].compactMap(\.self)
        // Both may have been answered with one lease; the later token is the one that counts, and nobody knows which.
        for held in held { await giveBack(held, coordinator) }
    }

    /// What an admin does now and then.
    private func intervene() async {
        let host = random.element(around.hosts)
        var members: JSONObject = ["reason": "chaos"]
        switch random.below(4) {
        case 0: members["host"] = .string(host)
        case 1: members["holder"] = .string(holder)
        default: members["unit"] = .string("\(host)/\(random.below(around.unitsAHost))")
        }
        _ = await caller.call(
            "admin", number: number(), at: random.below(caller.coordinators.count),
            random.below(2) == 0 ? "/v1/gpu/reset" : "/v1/gpu/force-release-all", members, timeout: .seconds(6),
            facts: members)
    }

    // MARK: Holding

    private func use(_ lease: Held, _ coordinator: Int) async {
        var held = lease
        let plan = random.below(100)
        let renewals = plan >= 75 ? 1 + random.below(4) : 0
        let lasts = plan < 35 ? Int64.max : Moment.now + Int64(20_000 + random.below(500_000))
        var renewed = 0
        while Moment.now < min(held.until, renewed < renewals ? .max : lasts) {
            await operate(held)
            await caller.loop.sleep(for: .milliseconds(60 + random.below(120)))
            guard renewed < renewals, Moment.now < held.until else { continue }
            renewed += 1
            switch await renew(held, random.below(caller.coordinators.count)) {
            case .until(let moment): held.until = max(held.until, moment)
            case .over: return
            case .unknown: break
            }
        }
        guard Moment.now < held.until else {
            caller.history.note("ran-out", ["lease": .string(held.lease)], at: held.until)
            // A lease that may still stand at its agent, though nobody may believe in it: renewing it is allowed.
            if random.below(4) == 0 { _ = await renew(held, coordinator, late: true) }
            return
        }
        await giveBack(held, coordinator)
    }

    private func operate(_ held: Held) async {
        for unit in held.units where Moment.now < held.until {
            _ = await caller.ask(
                "/operate", of: around.device,
                ["unit": .string(unit), "fencing_token": .integer(held.fencing), "lease": .string(held.lease)],
                timeout: .seconds(2))
        }
    }

    private enum Renewal { case until(Int64), over, unknown }

    private func renew(_ held: Held, _ coordinator: Int, late: Bool = false) async -> Renewal {
        let answer = await caller.call(
            "renew", number: number(), at: coordinator, "/v1/gpu/renew", ["token": .string(held.token)],
            timeout: .seconds(4), facts: ["lease": .string(held.lease), "h": .string(holder), "late": .bool(late)])
        if answer.status == 200, let left = answer.body["expires_in"]?.number {
            return .until(answer.sent + Int64(left * 1_000_000))
        }
        return answer.status == 410 ? .over : .unknown
    }

    private func giveBack(_ held: Held, _ coordinator: Int) async {
        let byHolder = random.below(10) == 0
        let members: JSONObject =
            byHolder
            ? [
                "id": .string(holder),
                "kind": held.units.contains { $0.hasSuffix("model-load") } ? "model-load" : "gpu",
            ]
            : ["token": .string(held.token)]
        for attempt in 0..<(byHolder ? 1 : 3) {
            let answer = await caller.call(
                "unlock", number: number(), at: attempt == 0 ? coordinator : random.below(caller.coordinators.count),
                "/v1/gpu/unlock", members, timeout: .seconds(3),
                facts: ["lease": .string(held.lease), "h": .string(holder), "by": byHolder ? "id" : "token"])
            if answer.status == 200 { return }
            if byHolder { generation += 1 }
            await caller.loop.sleep(for: .milliseconds(200))
        }
    }
}
