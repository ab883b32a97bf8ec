import EventLoop
import LeaseModel
import RedisClient
import TestSupport
import Testing

@Suite struct RedisSubscriptionTests {
    @Test func `messages come in order, with their channel and every byte`() async throws {
        try await withSubscription(channels: ["a", "b"]) { redis, messages, _ in
            for number in 0..<200 {
                _ = try await redis.client.command(
                    ["PUBLISH", number % 2 == 0 ? "a" : "b", .bytes([0, 10, UInt8(number)])])
            }
            try await eventually("all have come", is: 200) { messages.all.count }
            #expect(messages.all.map(\.body) == (0..<200).map { [0, 10, UInt8($0)] })
            #expect(messages.all.map(\.channel) == (0..<200).map { $0 % 2 == 0 ? "a" : "b" })
        }
    }

    @Test func `after a restart of the server messages come again`() async throws {
        try await withSubscription(channels: ["a"]) { redis, messages, states in
            await redis.kill()
            try await eventually("the loss is told") {
                if case .disconnected? = states.all.last { true } else { false }
            }
            try await redis.restart()
            try await eventually("subscribed again", is: .connected(generation: 2)) { states.all.last }
            try await redis.waitUntilConnected()
            #expect(try await redis.client.command(["PUBLISH", "a", "x"]) == .integer(1))
            try await eventually("the message comes", is: [[UInt8(ascii: "x")]]) { messages.all.map(\.body) }
        }
    }

    @Test func `a subscription whose server hangs is known to be dead within five seconds`() async throws {
        let took = try await soonest(below: .milliseconds(5500)) {
            try await withSubscription(channels: ["a"]) { redis, _, states in
                redis.pause()
                let clock = ContinuousClock()
                let begin = clock.now
                try await eventually("the silence is noticed") {
                    if case .disconnected? = states.all.last { true } else { false }
                }
                let took = clock.now - begin
                redis.resume()
                try await eventually("subscribed again", is: .connected(generation: 2)) { states.all.last }
                return took
            }
        }
        #expect(took < .milliseconds(5500), "\(took)")
    }

    @Test func `a quiet subscription stays`() async throws {
        try await withSubscription(channels: ["a"]) { redis, messages, states in
            // Each proof of life is one SUBSCRIBE; six of them take longer than the longest silence.
            try await eventually("it has proved itself alive six times") {
                try await redis.calls(of: "subscribe") >= 7
            }
            #expect(states.all == [.connected(generation: 1)])
            _ = try await redis.client.command(["PUBLISH", "a", "x"])
            try await eventually("the message comes", is: 1) { messages.all.count }
        }
    }

    private struct Message: Sendable {
        let channel: String
        let body: [UInt8]
    }

    private func withSubscription<Result: Sendable>(
        channels: [String], _ body: @Sendable (TestRedis, Log<Message>, Log<RedisState>) async throws -> Result
    ) async throws -> Result {
        try await withRedis { redis in
            let messages = Log<Message>()
            let states = Log<RedisState>()
            let subscription = RedisSubscription(
                loop: redis.loop, endpoint: redis.endpoint, name: "listener", log: .silent)
            try await redis.loop.run {
                subscription.start(
                    channels: channels, onMessage: { messages.add(Message(channel: $0, body: $1)) },
                    onStateChange: { states.add($0) })
            }
            do {
                try await eventually("subscribed", is: .connected(generation: 1)) { states.all.last }
                let result = try await body(redis, messages, states)
                await subscription.close()
                return result
            } catch {
                await subscription.close()
                throw error
            }
        }
    }
}

@Suite struct RedisStreamReaderTests {
    @Test func `entries come once and in order, also across a restart`() async throws {
        try await withRedis(durability: .always) { redis in
            let numbers = Log<String>()
            let reader = try await startReader(redis, after: "0", numbers)
            try await add(0..<700, to: redis)
            try await eventually("the first have come", is: 700) { numbers.all.count }
            await redis.kill()
            try await redis.restart()
            try await redis.waitUntilConnected()
            try await add(700..<800, to: redis)
            try await eventually("all have come", is: 800) { numbers.all.count }
            #expect(numbers.all == (0..<800).map { "\($0)" })
            await reader.close()
        }
    }

    @Test func `from the end only what is new comes, an empty stream included`() async throws {
        try await withRedis { redis in
            let empty = Log<String>()
            let first = try await startReader(redis, after: "$", empty)
            try await eventually("the end is known", is: "0-0") { try await redis.loop.run { first.lastID } }
            try await add(0..<5, to: redis)
            let late = Log<String>()
            let second = try await startReader(redis, after: "$", late)
            try await eventually("the end is known") { try await redis.loop.run { second.lastID != nil } }
            try await add(5..<7, to: redis)
            try await eventually("both have all", is: [7, 2]) { [empty.all.count, late.all.count] }
            #expect(late.all == ["5", "6"])
            await first.close()
            await second.close()
        }
    }

    @Test func `a stream that begins anew with lower ids is read from its beginning`() async throws {
        try await withRedis { redis in
            let numbers = Log<String>()
            _ = try await redis.client.command(["XADD", "s", "9999999999999-5", "n", "future"])
            let reader = try await startReader(redis, after: "0", numbers)
            try await eventually("the old entry has come", is: ["future"]) { numbers.all }
            try await redis.flushAll()
            try await add(0..<3, to: redis)
            try await eventually("the new ones come", is: ["future", "0", "1", "2"]) { numbers.all }
            await reader.close()
        }
    }

    private func startReader(
        _ redis: TestRedis, after id: String, _ numbers: Log<String>
    ) async throws -> RedisStreamReader {
        let reader = RedisStreamReader(
            loop: redis.loop, endpoint: redis.endpoint, name: "reader", stream: "s", log: .silent)
        try await redis.loop.run {
            reader.start(after: id) { entries in
                for entry in entries { numbers.add(EventFields(words: entry.words)["n"] ?? "none") }
            }
        }
        return reader
    }

    private func add(_ numbers: Range<Int>, to redis: TestRedis) async throws {
        for number in numbers {
            _ = try await redis.client.command(["XADD", "s", "*", "n", .integer(Int64(number))])
        }
    }
}
