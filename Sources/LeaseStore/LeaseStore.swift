import LeaseModel
import RedisClient

/// The shared record of one pool in Redis: a typed function for each script, and nothing else.
///
/// Every function throws `StoreError`. After `.unavailable` the script may or may not have run; nothing is repeated
/// here. Cancelling the calling task does not take a script back that has been sent.
package struct LeaseStore: Sendable {
    /// Runs one script with its keys and arguments.
    package typealias Runner =
        @Sendable (RedisScript, [String], [RedisArgument]) async throws(RedisError) -> RedisReply

    package let pool: PoolID
    let evaluate: Runner
    let keys: Keys
    let aging: Aging

    package init(client: RedisClient, pool: PoolID, aging: Aging = .standard) {
        self.init(pool: pool, aging: aging) { (script, keys, arguments) async throws(RedisError) in
            try await client.evaluate(script, keys: keys, arguments: arguments)
        }
    }

    /// A store whose scripts go through `evaluate`, on their way to a real Redis: the simulator sets their clock there.
    package init(pool: PoolID, aging: Aging = .standard, evaluate: @escaping Runner) {
        self.pool = pool
        self.aging = aging
        self.evaluate = evaluate
        self.keys = Keys(pool)
    }

    /// The channel on which all agents of a pool are told that Redis has lost everything.
    package static func allAgents(of pool: PoolID) -> String { Keys(pool).allAgents }

    /// The channel on which one agent or coordinator gets its messages.
    package static func inbox(of instance: InstanceID, pool: PoolID) -> String { Keys(pool).inbox(instance) }

    /// The key by which a client of a cluster finds the pool's master.
    package static func slotKey(of pool: PoolID) -> String { Keys(pool).absent }

    /// The hash in which each coordinator that uses this Redis has the number of its last heartbeat.
    package static func beatsKey(of pool: PoolID) -> String { Keys(pool).beats }

    /// The key of the pool's event stream.
    package var eventStream: String { keys.events }

    /// How long a host's records outlive its presence: until no lease of it can stand.
    static let hostRecords = Limits.longestTTL + .seconds(60)

    /// Runs a script with the pool's two keys.
    func run(_ script: RedisScript, _ arguments: [RedisArgument]) async throws(StoreError) -> Answer {
        let reply: RedisReply
        do throws(RedisError) {
            reply = try await evaluate(script, keys.ofScripts, arguments)
        } catch {
            throw StoreError(error)
        }
        return try Answer(script, reply)
    }
}

/// Who speaks for a host: its agent's instance and the session of that instance.
package struct AgentOrigin: Hashable, Sendable {
    package var host: HostID
    package var instance: InstanceID
    package var session: Int64

    package init(host: HostID, instance: InstanceID, session: Int64) {
        self.host = host
        self.instance = instance
        self.session = session
    }

    var arguments: [RedisArgument] { [.text(host.text), .text(instance.text), .integer(session)] }
}

/// A script's reply: an array that begins with a word, or one without.
struct Answer {
    let script: RedisScript
    let items: [RedisReply]

    init(_ script: RedisScript, _ reply: RedisReply) throws(StoreError) {
        if case .error(let message) = reply {
            throw StoreError(kind: .failed, message: "\(script.name): \(message)")
        }
        guard case .array(let items) = reply else { throw .notUnderstood(script, reply) }
        self.script = script
        self.items = items
        if word == "late" { throw .late(script) }
    }

    var word: String { text(0) }

    func text(_ index: Int) -> String { index < items.count ? items[index].text : "" }
    func bytes(_ index: Int) -> [UInt8] {
        guard index < items.count, case .bytes(let bytes) = items[index] else { return [] }
        return bytes
    }
    func integer(_ index: Int) -> Int64 {
        guard index < items.count else { return 0 }
        if case .integer(let value) = items[index] { return value }
        return Int64(items[index].text) ?? 0
    }
    func texts(_ index: Int) -> [String] {
        guard index < items.count, case .array(let items) = items[index] else { return [] }
        return items.map(\.text)
    }

    var notUnderstood: StoreError { .notUnderstood(script, .array(items)) }
}

extension RedisReply {
    var text: String {
        switch self {
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        case .integer(let value): String(value)
        default: ""
        }
    }
}

extension LeaseTerms {
    /// The order in which terms travel in messages and heartbeats: `terms_names` of Match.lua without the token.
    var fields: [String] {
        [
            holder.text, caller, ticket.text, coordinator.text, String(priority), selector, String(score),
            String(ttl.milliseconds), metadata, String(grace.milliseconds),
        ]
    }

    static let fieldCount = 10

    init?(fields: ArraySlice<String>) {
        let at = fields.startIndex
        guard fields.count == Self.fieldCount, let holder = try? HolderID(fields[at]),
            let priority = Int(fields[at + 4]), let score = Int64(fields[at + 6]), let ttl = Int64(fields[at + 7]),
            let grace = Int64(fields[at + 9])
        else { return nil }
        self.init(
            holder: holder, caller: fields[at + 1], ticket: TicketID(fields[at + 2]),
            coordinator: InstanceID(fields[at + 3]), priority: priority, selector: fields[at + 5], score: score,
            ttl: .milliseconds(ttl), metadata: fields[at + 8], grace: .milliseconds(grace))
    }
}
