import EventLoop
import JSON
import RedisClient

/// Looks at every Redis server as long as a run lasts: writes the pool's stream of events into the history as it grows,
/// so that it is known after a server has lost it, and who took itself for the master.
actor RedisWatch {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private enum Role: Equatable { case gone, master, replica(of: String) }

    private final class Server {
        let door: RedisDoor
        var role: Role?
        var last = (Int64(0), Int64(0))
        /// Up to here its stream may be one of another server's that was never read here.
        var taken = (Int64(0), Int64(0))
        /// One that went back to an older file shows again what was read already.
        var seen: Set<[String]> = []
        init(_ door: RedisDoor) { self.door = door }
    }

    private let loop: EventLoop
    private let history: History
    private let key: String
    private let servers: [Server]
    private var isOver = false
    /// What was read from any server: replicas show what their master has.
    private var known: Set<[String]> = []
    /// Those that take themselves for masters, the one that was promoted last at the end.
    private(set) var masters: [String] = []
    /// There has been one master.
    private var hasBegun = false
    /// There is none, or more than one.
    private var isInDoubt = false

    init(_ doors: [RedisDoor], pool: String, history: History, loop: EventLoop) {
        self.loop = loop
        self.history = history
        key = "lh:{\(pool)}:events"
        servers = doors.map { Server($0) }
    }

    func begin() {
        for server in servers.indices { loop.spawn { await self.follow(server) } }
    }

    func end() async {
        await loop.sleep(for: .milliseconds(300))
        isOver = true
    }

    /// The one that was promoted last, and still is one.
    var master: String { masters.last ?? servers[0].door.name }

    /// Keys of the pool at the master that begin so, without the pool's name; nil where it does not answer.
    func keys(_ prefixes: [String]) async -> [String]? {
        guard let server = servers.first(where: { $0.door.name == master }),
            let keys = try? await server.door.ask(["KEYS", "lh:*"]).array?.compactMap(\.text)
        else { return nil }
        let short = keys.map { String($0.drop { $0 != "}" }.dropFirst(2)) }
        return short.filter { key in prefixes.contains { key.hasPrefix($0) } }.sorted()
    }

    private func follow(_ index: Int) async {
        while !isOver {
            if !(await look(at: servers[index])) { await loop.sleep(for: .milliseconds(50)) }
        }
        if isInDoubt { history.note("doubt", ["on": false]) }
        isInDoubt = false
    }

    /// Whether there may be more to read.
    private func look(at server: Server) async -> Bool {
        do throws(RedisError) {
            // Before anything is read, so that what is read belongs to no earlier role.
            let words = try await server.door.ask(["ROLE"]).array ?? []
            take(words.first?.text == "master" ? .master : .replica(of: words.dropFirst().first?.text ?? ""), server)
            return try await read(server)
        } catch {
            // One that does not answer may be as it was.
            if error.kind == .notConnected { take(.gone, server) }
            return false
        }
    }

    // MARK: Masters

    private func take(_ role: Role, _ server: Server) {
        guard servers.count > 1, role != server.role else { return }
        let name = server.door.name
        let isPromoted = if role == .master, case .replica = server.role { true } else { false }
        if isPromoted { history.note("promoted", ["r": .string(name)]) }
        server.role = role
        var facts: JSONObject = ["r": .string(name), "role": .string("\(role)")]
        if case .replica(let master) = role { facts["of"] = .string(master) }
        history.note("role", facts)
        masters.removeAll { $0 == name }
        // One that was down and comes back as a master is behind one that was promoted meanwhile.
        if role == .master { masters.insert(name, at: isPromoted ? masters.count : 0) }
        // A promotion loses what the new master had not got, and while there are two, what is told to the old one.
        let isDoubtful = hasBegun && masters.count != 1
        if isDoubtful != isInDoubt { history.note("doubt", ["on": .bool(isDoubtful)]) }
        isInDoubt = isDoubtful
        hasBegun = hasBegun || masters.count == 1
    }

    // MARK: Events

    private func read(_ server: Server) async throws(RedisError) -> Bool {
        // A stream that begins anew, behind a clock that went back, has lower numbers.
        let newest = try await server.door.ask(["XREVRANGE", .text(key), "+", "-", "COUNT", "1"])
        guard let entry = newest.array?.first?.array, let id = entry.first?.text else { return false }
        if Self.number(id) == server.last { return false }
        if Self.number(id) < server.last {
            server.last = (0, 0)
            if servers.count > 1 { server.taken = Self.number(id) }
        }
        let from = server.last == (0, 0) ? "-" : "(\(server.last.0)-\(server.last.1)"
        let found = try await server.door.ask(["XRANGE", .text(key), .text(from), "+", "COUNT", "500"])
        let entries = found.array ?? []
        for entry in entries { note(entry, of: server) }
        return entries.count == 500
    }

    private func note(_ entry: RedisReply, of server: Server) {
        guard let parts = entry.array, parts.count == 2, let id = parts[0].text,
            var fields = parts[1].array?.map({ $0.text ?? "" })
        else { return }
        if fields.count == 2, fields[0] == "event" {
            let words = fields[1].split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
            fields = ["type", words[0], "at"] + words.dropFirst()
        }
        server.last = Self.number(id)
        guard server.seen.insert([id] + fields).inserted else { return }
        var facts: JSONObject = ["id": .string(id), "r": .string(server.door.name)]
        if server.last <= server.taken { facts["taken"] = true }
        for index in stride(from: 0, to: fields.count - 1, by: 2)
        where !["k", "t", "id", "r", "taken"].contains(fields[index]) {
            facts[fields[index]] = .string(fields[index + 1])
        }
        history.note(known.insert([id] + fields).inserted ? "event" : "event-again", facts)
    }

    private static func number(_ id: String) -> (Int64, Int64) {
        let parts = id.split(separator: "-").compactMap { Int64($0) }
        return parts.count == 2 ? (parts[0], parts[1]) : (0, 0)
    }
}
