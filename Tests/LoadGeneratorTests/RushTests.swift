import EventLoop
import LoadGenerator
import TestSupport
import Testing

/// One after the other: all connections of a process read into one room, since one loop generates the load.
@Suite(.serialized) struct `A rush of clients` {
    @Test func `every client has its turns, and the server's processor time is told`() async throws {
        try await withRedis { redis in
            let socket = redis.socketPath
            let loop = redis.loop
            let result = try await on(loop) {
                let dialogues = (0..<4).map { RedisPairDialogue(key: "lock-\($0)") }
                let rush = Rush(dialogues, to: .unix(path: socket), servers: [], isOneLock: false, loop: loop)
                return try await rush.run(warmUp: .milliseconds(10), for: .seconds(1))
            }
            #expect(result.pairs > 0)
            #expect(result.totalPairs >= result.pairs)
            #expect(result.lock.count > 0)
            #expect(result.grants.count == 4)
            #expect(result.ownCPU > 0)
        }
    }

    @Test func `a lock that is refused is told`() async throws {
        try await withRedis { redis in
            let socket = redis.socketPath
            let loop = redis.loop
            await #expect(throws: LoadError.self) {
                try await on(loop) {
                    // Two clients of one key: SET NX refuses the second.
                    let dialogues = (0..<2).map { _ in RedisPairDialogue(key: "lock") }
                    let rush = Rush(dialogues, to: .unix(path: socket), servers: [], isOneLock: true, loop: loop)
                    return try await rush.run(warmUp: .milliseconds(10), for: .seconds(2))
                }
            }
        }
    }
}

/// Runs on the loop, where the load generator belongs.
private func on<Result: Sendable>(
    _ loop: EventLoop, _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        loop.spawn {
            do {
                continuation.resume(returning: try await work())
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
