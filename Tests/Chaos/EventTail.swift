import EventLoop
import JSON
import RedisClient
import Telemetry

/// Writes the pool's stream of events into the history as it grows, so that it is known after Redis has lost it.
actor EventTail {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private let history: History
    private let client: RedisClient
    private let key: String
    private var isOver = false
    private var last = (Int64(0), Int64(0))
    /// A server that went back to an older file shows again what was read already.
    private var seen: Set<[String]> = []

    init(_ endpoint: RedisEndpoint, pool: String, history: History, loop: EventLoop) {
        self.loop = loop
        self.history = history
        key = "lh:{\(pool)}:events"
        client = RedisClient(loop: loop, endpoint: endpoint, name: "chaos", log: .silent)
    }

    func begin() {
        client.start()
        loop.spawn { await self.follow() }
    }

    func end() async {
        await loop.sleep(for: .milliseconds(300))
        isOver = true
        await client.close()
    }

    /// Keys of the pool that begin so, without the pool's name.
    func keys(_ prefixes: [String]) async -> [String]? {
        guard let reply = try? await client.command(["KEYS", "lh:*"]), let keys = reply.array?.compactMap(\.text) else {
            return nil
        }
        let short = keys.map { String($0.drop { $0 != "}" }.dropFirst(2)) }
        return short.filter { key in prefixes.contains { key.hasPrefix($0) } }.sorted()
    }

    private func follow() async {
        while !isOver {
            if !(await read()) { await loop.sleep(for: .milliseconds(50)) }
        }
    }

    /// Whether there may be more.
    private func read() async -> Bool {
        do throws(RedisError) {
            // A stream that begins anew, behind a clock that went back, has lower numbers.
            let newest = try await client.command(["XREVRANGE", .text(key), "+", "-", "COUNT", "1"])
            guard let entry = newest.array?.first?.array, let id = entry.first?.text else { return false }
            if Self.number(id) < last { last = (0, 0) }
            let from = last == (0, 0) ? "-" : "(\(last.0)-\(last.1)"
            let found = try await client.command(["XRANGE", .text(key), .text(from), "+", "COUNT", "500"])
            let entries = found.array ?? []
            for entry in entries { note(entry) }
            return entries.count == 500
        } catch {
            return false
        }
    }

    private func note(_ entry: RedisReply) {
        guard let parts = entry.array, parts.count == 2, let id = parts[0].text,
            let fields = parts[1].array?.map({ $0.text ?? "" })
        else { return }
        last = Self.number(id)
        guard seen.insert([id] + fields).inserted else { return }
        var facts: JSONObject = ["id": .string(id)]
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            if ["k", "t"].contains(fields[index]) { continue }
            facts[fields[index]] = .string(fields[index + 1])
        }
        history.note("event", facts)
    }

    private static func number(_ id: String) -> (Int64, Int64) {
        let parts = id.split(separator: "-").compactMap { Int64($0) }
        return parts.count == 2 ? (parts[0], parts[1]) : (0, 0)
    }
}
