import LeaseModel
import LeaseStore
import RedisClient
import TestSupport
import Testing

/// docs/decisions/0014.
@Suite struct `Events in one piece` {
    @Test func `say what events by their fields say`() async throws {
        try await withPool { pool in
            try await pool.forgetReaders()
            let byFields = try await pool.life(of: "t1")
            #expect(try await pool.namesOfLastEvents(3) == ["type", "type", "type"])
            _ = try await pool.beat(2)
            let inOnePiece = try await pool.life(of: "t2")
            #expect(try await pool.namesOfLastEvents(3) == ["event", "event", "event"])
            #expect(byFields.map(\.kind) == [.offered, .granted, .released])
            #expect(inOnePiece.map(\.kind) == byFields.map(\.kind))
            for (one, other) in zip(byFields, inOnePiece) {
                #expect(one.fields.all.map(\.name) == other.fields.all.map(\.name))
                #expect(one.fields["holder"] == "holder-t1" && other.fields["holder"] == "holder-t2")
                #expect(one.fields["unit"] == other.fields["unit"] && one.at <= other.at)
            }
            #expect(byFields[1].fields["metadata"] == inOnePiece[1].fields["metadata"])
        }
    }

    @Test func `wait until every coordinator that beats reads them`() async throws {
        try await withPool { pool in
            _ = try await pool.beat(2)
            _ = try await pool.life(of: "t1")
            #expect(try await pool.namesOfLastEvents(1) == ["event"])
            // One of an earlier version beats, and says of itself only that.
            let far = String(Int64.max / 4)
            _ = try await pool.redis.client.command(["ZADD", .text(pool.key("coordinators")), .text(far), "earlier"])
            _ = try await pool.beat(3)
            _ = try await pool.life(of: "t2")
            #expect(try await pool.namesOfLastEvents(3) == ["type", "type", "type"])
            _ = try await pool.redis.client.command(["ZREM", .text(pool.key("coordinators")), "earlier"])
            _ = try await pool.beat(4)
            _ = try await pool.life(of: "t3")
            #expect(try await pool.namesOfLastEvents(3) == ["event", "event", "event"])
        }
    }

    @Test func `end with the heartbeats of those who read them`() async throws {
        try await withPool { pool in
            _ = try await pool.beat(2)
            let until = try await pool.redis.client.command(["HGET", .text(pool.key("clock")), "packed"])
            let time = try await pool.redis.client.command(["TIME"])
            guard let now = time.array?.first?.text.flatMap({ Int64($0) }), let end = until.text.flatMap({ Int64($0) })
            else {
                Issue.record("no times: \(time), \(until)")
                return
            }
            #expect((1000...6000).contains(end - now * 1000))
            _ = try await pool.redis.client.command([
                "HSET", .text(pool.key("clock")), "packed", .integer(now * 1000 - 1),
            ])
            _ = try await pool.life(of: "t1")
            #expect(try await pool.namesOfLastEvents(3) == ["type", "type", "type"])
        }
    }

    @Test func `are read whole with values of any length`() async throws {
        let long = String(repeating: "ü", count: 100)
        let longer = String(repeating: "x", count: 70_000)
        let fields = [
            EventFields.Field(name: "why", value: long), .init(name: "", value: ""),
            .init(name: "metadata", value: longer),
            .init(name: "expires", value: "1780000000000"), .init(name: "left", value: "-5"),
        ]
        let known = EventFields(fields)
        #expect(known.all == fields)
        #expect(known["why"] == long && known["metadata"] == longer && known["none"] == nil)
        #expect(
            known.number("expires") == 1_780_000_000_000 && known.number("left") == -5 && known.number("why") == nil)
        let text = (["granted", "7"] + fields.flatMap { [$0.name, $0.value] }).joined(separator: "\u{1F}")
        let event = try #require(EventFields([.init(name: "event", value: text)]).event)
        #expect(event.type == "granted" && event.at == 7 && event.fields == known)
        #expect(EventFields([.init(name: "event", value: "granted")]).event == nil)
        #expect(EventFields([.init(name: "at", value: "7"), .init(name: "type", value: "granted")]).event == nil)
        for cut in 0..<20 {
            #expect(EventFields(words: [3, 0x61, 0x62, 0x63, 9] + Array(repeating: 1, count: cut)).all.count <= 20)
        }
    }
}

extension Pool {
    fileprivate func key(_ name: String) -> String { String(store.eventStream.dropLast("events".count)) + name }

    /// As in a pool in which nobody has beaten yet.
    fileprivate func forgetReaders() async throws {
        _ = try await redis.client.command(["HDEL", .text(key("clock")), "packed"])
    }

    /// A lease from its request to its end, and the events of it.
    fileprivate func life(of ticket: String) async throws -> [PoolEvent] {
        let lease = try await grant(ticket)
        _ = try await store.release(lease, token: TokenHash("hash-\(ticket)"), by: "me")
        let whole = try await store.history(after: "0-0", limit: 1000).events
        return whole.filter { $0.fields["lease"] == lease.text }
    }

    /// The names of the first fields of the newest entries.
    fileprivate func namesOfLastEvents(_ count: Int) async throws -> [String] {
        let reply = try await redis.client.command(
            ["XREVRANGE", .text(store.eventStream), "+", "-", "COUNT", .integer(Int64(count))])
        return (reply.array ?? []).compactMap { $0.array?.last?.array?.first?.text }
    }
}
