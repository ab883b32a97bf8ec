import EventLoop
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite struct RedisClientTests {
    @Test func `answers of every shape come back as they are`() async throws {
        try await withRedis { redis in
            let client = redis.client
            #expect(try await client.command(["SET", "a", .bytes([0, 13, 10, 255])]) == .status("OK"))
            #expect(try await client.command(["GET", "a"]) == .bytes([0, 13, 10, 255]))
            #expect(try await client.command(["GET", "none"]) == .null)
            #expect(try await client.command(["INCRBY", "n", .integer(-7)]) == .integer(-7))
            #expect(try await client.command(["SET", "", ""]) == .status("OK"))
            let script = RedisScript(
                name: "shapes",
                source: Array("return {1, 'x', {}, false, redis.error_reply('E bad'), {ok='fine'}}".utf8))
            let shapes = try await client.evaluate(script, keys: [], arguments: [])
            #expect(
                shapes == .array([.integer(1), .bytes([120]), .array([]), .null, .error("E bad"), .status("fine")]))
        }
    }

    @Test func `an error of the server is thrown with its words`() async throws {
        try await withRedis { redis in
            let error = await #expect(throws: RedisError.self) { try await redis.client.command(["INCR"]) }
            #expect(error?.kind == .server)
            #expect(error?.message.hasPrefix("ERR wrong number of arguments") == true)
        }
    }

    @Test func `a thousand commands at once are answered each with its own`() async throws {
        try await withRedis { redis in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        let answer = try await redis.client.command(["ECHO", .integer(Int64(number))])
                        #expect(answer.integer == Int64(number))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func `an unknown script is loaded and runs once, also after SCRIPT FLUSH`() async throws {
        try await withRedis { redis in
            let script = RedisScript(name: "count", source: Array("return redis.call('INCR', KEYS[1])".utf8))
            #expect(try await redis.client.evaluate(script, keys: ["n"], arguments: []) == .integer(1))
            #expect(try await redis.client.evaluate(script, keys: ["n"], arguments: []) == .integer(2))
            _ = try await redis.client.command(["SCRIPT", "FLUSH"])
            #expect(try await redis.client.evaluate(script, keys: ["n"], arguments: []) == .integer(3))
        }
    }
}
