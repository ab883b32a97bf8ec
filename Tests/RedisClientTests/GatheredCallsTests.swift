import EventLoop
import RedisClient
import Synchronization
import TestSupport
import Testing

/// Calls of scripts that take several at once.
@Suite struct `Calls of one turn` {
    /// Appends each call's two words to a list and answers with their place in it.
    private static let script = RedisScript(
        name: "push",
        source: Array(
            """
            local answers = {}
            for i = 1, #ARGV - 1, 2 do
              if ARGV[i] == 'bad' then return redis.error_reply('ERR bad') end
              answers[#answers + 1] = redis.call('RPUSH', KEYS[1], ARGV[i] .. ARGV[i + 1])
            end
            return answers
            """.utf8), wordsACall: 2)

    private typealias Outcome = Result<RedisReply, RedisError>

    /// What the server was asked for since the last look.
    private func calls(_ redis: TestRedis) async throws -> Int {
        let count = try await redis.calls(of: "eval") + redis.calls(of: "evalsha")
        _ = try await redis.client.command(["CONFIG", "RESETSTAT"])
        return count
    }

    /// Makes the calls in one turn and waits for their outcomes, in the order of their answers.
    private func push(_ words: [String], _ redis: TestRedis, then last: [RedisArgument]? = nil) async throws -> [(
        String, Outcome
    )] {
        let outcomes = Mutex<[(String, Outcome)]>([])
        let client = redis.client
        try await redis.loop.run {
            for word in words {
                client.evaluate(Self.script, keys: ["list"], arguments: [.text(word), "!"]) { outcome in
                    outcomes.withLock { $0.append((word, outcome)) }
                }
            }
            if let last { client.command(last) { outcome in outcomes.withLock { $0.append(("last", outcome)) } } }
        }
        let count = words.count + (last == nil ? 0 : 1)
        return try await eventually("all are answered") {
            outcomes.withLock { $0.count == count ? $0 : nil }
        }
    }

    @Test func `leave together, and each has its own answer`() async throws {
        try await withRedis { redis in
            _ = try await push(["zero"], redis)
            _ = try await calls(redis)
            let answers = try await push(["one", "two", "three"], redis)
            #expect(answers.map(\.0) == ["one", "two", "three"])
            #expect(try answers.map { try $0.1.get() } == [.integer(2), .integer(3), .integer(4)])
            #expect(try await calls(redis) == 1)
            #expect(
                try await redis.client.command(["LRANGE", "list", "0", "-1"]).array?.compactMap(\.text)
                    == ["zero!", "one!", "two!", "three!"])
        }
    }

    @Test func `leave in parts where they are many`() async throws {
        try await withRedis { redis in
            _ = try await push(["zero"], redis)
            _ = try await calls(redis)
            let words = (1...40).map { "\($0)" }
            let answers = try await push(words, redis)
            #expect(answers.map(\.0) == words)
            #expect(try answers.map { try $0.1.get().integer } == (2...41).map { Int64($0) })
            #expect(try await calls(redis) == 3)
        }
    }

    /// Each failure makes a further call: the last of a part leaves at once, but never within an answer, since hiredis would
    /// free, where it cannot write, what it is at work with further up the stack.
    @Test func `made within answers outlive the end of the connection, and each is answered once`() async throws {
        try await withRedis { redis in
            _ = try await push(["zero"], redis)
            let outcomes = Mutex<[Bool]>([])
            let client = redis.client
            redis.pause()
            try await redis.loop.run {
                for _ in 0..<320 {
                    client.evaluate(Self.script, keys: ["list"], arguments: ["first", "!"]) { outcome in
                        outcomes.withLock { $0.append((try? outcome.get()) == nil) }
                        client.evaluate(Self.script, keys: ["list"], arguments: ["second", "!"]) { outcome in
                            outcomes.withLock { $0.append((try? outcome.get()) == nil) }
                        }
                    }
                }
            }
            await redis.kill()
            try await eventually("all are answered", is: 640) { outcomes.withLock { $0.count } }
            #expect(outcomes.withLock { $0.allSatisfy { $0 } })
        }
    }

    @Test func `leave before a command that was made after them`() async throws {
        try await withRedis { redis in
            _ = try await push(["zero"], redis)  // a script that the server does not know is sent once more
            let answers = try await push(["one", "two"], redis, then: ["LLEN", "list"])
            #expect(try answers.map { try $0.1.get() } == [.integer(2), .integer(3), .integer(3)])
        }
    }

    @Test func `are all told of an error`() async throws {
        try await withRedis { redis in
            let answers = try await push(["one", "bad", "two"], redis)
            for (_, outcome) in answers {
                let error = #expect(throws: RedisError.self) { try outcome.get() }
                #expect(error?.kind == .server && error?.message.hasPrefix("ERR bad") == true)
            }
        }
    }

    @Test func `are all told that the connection has ended, and do not leave on the next one`() async throws {
        try await withRedis { redis in
            let outcomes = Mutex<[Outcome]>([])
            let client = redis.client
            try await redis.loop.run {
                for word in ["one", "two"] {
                    client.evaluate(Self.script, keys: ["list"], arguments: [.text(word), "!"]) { outcome in
                        outcomes.withLock { $0.append(outcome) }
                    }
                }
                #expect(client.inFlight == 2)
                client.reconnect()
            }
            try await eventually("both are answered", is: 2) { outcomes.withLock { $0.count } }
            for outcome in outcomes.withLock({ $0 }) { #expect(throws: RedisError.self) { try outcome.get() } }
            try await redis.waitUntilConnected()
            #expect(try await client.command(["LLEN", "list"]) == .integer(0))
        }
    }

    @Test func `are answered when the client is closed`() async throws {
        try await withRedis { redis in
            let outcomes = Mutex<[Outcome]>([])
            let client = try await redis.connect()
            try await redis.loop.run {
                client.evaluate(Self.script, keys: ["list"], arguments: ["one", "!"]) { outcome in
                    outcomes.withLock { $0.append(outcome) }
                }
                client.closeNow()
            }
            try await eventually("it is answered", is: 1) { outcomes.withLock { $0.count } }
            #expect(throws: RedisError.self) { try outcomes.withLock { $0 }[0].get() }
        }
    }
}
