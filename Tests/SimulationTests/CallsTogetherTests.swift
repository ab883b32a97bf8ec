import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Simulation

/// Random calls on two servers by a virtual clock: on one each call is a script of its own, a microsecond behind the one
/// before; on the other those of a turn are one script.
@Suite struct `Calls that leave together` {
    @Test(arguments: 1...4) func `leave what the same calls leave one after the other`(seed: UInt64) async throws {
        try await withRedis { single in
            try await withRedis { several in
                var world = World(seed: seed, single: single, several: several, scripts: try VirtualScripts())
                try await world.begin()
                for _ in 0..<120 { try await world.step() }
                #expect(world.made > 400)
                #expect(world.offered > 20)
            }
        }
    }
}

private struct World {
    var random: RandomSource
    var single: Side
    var several: Side
    var time: Int64 = 1_764_000_000_000_000
    var made = 0
    var offered = 0
    private var count = 0
    private var held: [String: String] = [:]

    init(seed: UInt64, single: TestRedis, several: TestRedis, scripts: VirtualScripts) {
        random = RandomSource(seed: seed)
        self.single = Side(redis: single, scripts: scripts)
        self.several = Side(redis: several, scripts: scripts)
    }

    private var origin: AgentOrigin {
        get throws { AgentOrigin(host: try HostID("h1"), instance: InstanceID("a1"), session: 1) }
    }

    mutating func begin() async throws {
        let origin = try origin
        let units = try (0..<6).map { number in
            UnitReport(
                properties: UnitProperties(
                    unit: try UnitID("h1/\(number)"), kind: .gpu, memoryMB: 8000 * (1 + number % 3),
                    deviceType: "discrete", details: "{}"),
                state: .free, highestFencing: FencingToken(0))
        }
        // An empty record settles at the second heartbeat of a coordinator that knew nothing.
        for number in 1...3 {
            try await both { store in
                _ = try await store.beat(
                    Beat(
                        coordinator: InstanceID("c1"), number: Int64(number), count: 0, tickets: [],
                        memory: PoolMemory()))
            }
            try await both { store in
                _ = try await store.heartbeat(
                    AgentHeartbeat(
                        origin: origin, ancestors: [], isFirst: number == 1, address: "", version: "test",
                        labels: [:], units: units))
            }
            time += 6_000_000
        }
    }

    /// The same script on both sides.
    private mutating func both(_ work: (LeaseStore) async throws -> Void) async throws {
        guard let (script, arguments) = await words(work) else { return }
        time += 1000
        let one = try await single.run(script, [arguments], at: time)
        let other = try await several.run(script, [arguments], at: time)
        #expect(one == other)
    }

    /// A turn's calls of one script, together and one after the other.
    private mutating func turn(_ works: [(LeaseStore) async throws -> Void]) async throws {
        var calls: [[RedisArgument]] = []
        var script: RedisScript?
        for work in works {
            guard let sent = await words(work) else { continue }
            script = sent.script
            calls.append(sent.arguments)
        }
        guard let script else { return }
        time += 1000 + Int64(random.below(40)) * 1000
        var answers: [RedisReply] = []
        for (index, call) in calls.enumerated() {
            answers += try await single.run(script, [call], at: time + Int64(index))
        }
        let together = try await several.run(script, calls, at: time)
        #expect(answers == together, "\(script.name)")
        #expect(single.mail == several.mail, "\(script.name)")
        let difference = try await several.record().difference(from: single.record())
        #expect(difference.isEmpty, "\(script.name): \(difference)")
        made += calls.count
    }

    mutating func step() async throws {
        let many = 1 + random.below(7)
        switch random.below(5) {
        case 0, 1: try await turn((0..<many).map { _ in ask() })
        case 2: try await confirm(many)
        case 3: try await turn((0..<many).map { _ in release() })
        default: try await turn((0..<many).map { _ in renew() })
        }
    }

    private mutating func ask() -> (LeaseStore) async throws -> Void {
        count += 1
        // Now and then one that was asked before.
        let ticket = random.below(6) == 0 ? "t\(1 + random.below(count))" : "t\(count)"
        let selectors = [
            "gpu/any", "gpu/any", "gpu/host=h1", "gpu/unit=h1/2", "gpu/any?vram=16000", "gpu/any?count=2",
        ]
        let selector = random.element(selectors)
        let priority = random.element([0, 10, 15, 20])
        let affinity = random.below(4) == 0 ? "model:a" : ""
        return { store in
            _ = try await store.ask(
                Ask(
                    ticket: TicketID(ticket), selector: try #require(Selector(parsing: selector)),
                    holder: try HolderID("holder-\(ticket)"),
                    caller: "", priority: try Priority(priority), ttl: .seconds(60), coordinator: InstanceID("c1"),
                    token: TokenHash("hash-\(ticket)"), metadata: "", age: .fresh, affinity: affinity, beat: 3))
        }
    }

    private mutating func confirm(_ many: Int) async throws {
        let reply = try await single.redis.client.command(["ZRANGE", "lh:{default}:offers", "0", "-1"])
        let offers = (reply.array ?? []).compactMap(\.text).prefix(many)
        let origin = try origin
        var works: [(LeaseStore) async throws -> Void] = []
        for name in offers {
            let ticket = try await single.redis.client.command([
                "HGET", .text("lh:{default}:lease:\(name)"), "ticket",
            ])
            held[name] = ticket.text
            works.append { store in _ = try await store.confirm(origin, LeaseID(name)) }
        }
        offered += offers.count
        if random.below(3) == 0 { works.append { store in _ = try await store.confirm(origin, LeaseID("h1/0#7")) } }
        try await turn(works)
    }

    private mutating func release() -> (LeaseStore) async throws -> Void {
        let (name, ticket) = pick()
        if random.below(5) > 0 { held[name] = nil }
        let token = TokenHash(random.below(8) == 0 ? "guess" : "hash-\(ticket)")
        let byHolder = random.below(4) == 0
        return { store in
            if byHolder {
                _ = try await store.release(
                    .oldest(
                        of: try HolderID("holder-\(ticket)"), caller: "", kind: .gpu, by: "test",
                        coordinator: InstanceID("c1"), beat: 3))
            } else {
                _ = try await store.release(LeaseID(name), token: token, by: "test")
            }
        }
    }

    private mutating func renew() -> (LeaseStore) async throws -> Void {
        let (name, ticket) = pick()
        let nonce = "n\(count)"
        return { store in
            _ = try await store.renew(
                LeaseID(name), token: TokenHash("hash-\(ticket)"), nonce: nonce, coordinator: InstanceID("c1"))
        }
    }

    private mutating func pick() -> (lease: String, ticket: String) {
        let names = held.keys.sorted()
        guard !names.isEmpty else { return ("h1/1#9", "none") }
        let name = random.element(names)
        return (name, held[name] ?? "")
    }
}

/// A server, and what its scripts have published: to whom, and the records.
private struct Side {
    let redis: TestRedis
    let scripts: VirtualScripts
    var mail: [String: [UInt8]] = [:]

    /// Runs these calls as one script at a moment, in µs; returns their answers.
    mutating func run(_ script: RedisScript, _ calls: [[RedisArgument]], at time: Int64) async throws
        -> [RedisReply]
    {
        let reply = try await redis.client.evaluate(
            scripts.wrapped(script), keys: ["lh:{default}:clock", String(time)],
            arguments: script.arguments(of: calls))
        let parts = try #require(reply.array)
        let posts = try #require(parts[1].array)
        for index in stride(from: 0, to: posts.count - 1, by: 2) {
            guard let to = posts[index].text, case .bytes(let bytes) = posts[index + 1] else { continue }
            // An agent's mail begins with its session.
            let records = to == "a1" ? bytes.drop { $0 != 0x1E } : [0x1E] + bytes
            mail[to, default: []] += records
        }
        return try #require(script.answers(in: parts[0], to: calls.count))
    }

    /// All keys with what they hold. The moment of the last script is another where the last call of several changed nothing.
    func record() async throws -> [String] {
        let script = """
            local function sorted(list) table.sort(list) return list end
            local read = {
              string = function(key) return redis.call('GET', key) end,
              set = function(key) return sorted(redis.call('SMEMBERS', key)) end,
              zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
              stream = function(key) return redis.call('XRANGE', key, '-', '+') end,
              hash = function(key)
                local list, all = {}, redis.call('HGETALL', key)
                for i = 1, #all, 2 do
                  if not (key == 'lh:{default}:clock' and all[i] == 'last') then list[#list + 1] = all[i] .. '=' .. all[i + 1] end
                end
                return sorted(list)
              end,
            }
            local found = {}
            for _, key in ipairs(redis.call('KEYS', 'lh:*')) do
              found[#found + 1] = key .. ' ' .. cjson.encode(read[redis.call('TYPE', key).ok](key))
            end
            return sorted(found)
            """
        let reply = try await redis.client.command(["EVAL", .text(script), "0"])
        return reply.array?.compactMap(\.text) ?? []
    }
}

/// What a function of the store would send.
private func words(
    _ work: (LeaseStore) async throws -> Void
) async -> (script: RedisScript, arguments: [RedisArgument])? {
    let sent = Mutex<(RedisScript, [RedisArgument])?>(nil)
    let store = LeaseStore(pool: .standard) { (script, _, arguments) async throws(RedisError) in
        sent.withLock { $0 = (script, arguments) }
        throw RedisError(.notConnected, "nothing is sent")
    }
    try? await work(store)
    return sent.withLock { $0.map { ($0.0, $0.1) } }
}
