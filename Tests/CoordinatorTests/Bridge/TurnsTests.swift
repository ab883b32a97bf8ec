import EventLoop
import Glibc
import LeaseModel
import LeaseStore
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Coordinator

@Suite struct `An emergency that ends many waits` {
    /// Keeps a loop's thread until it is opened.
    private final class Gate: Sendable {
        private let ends: (reading: Int32, writing: Int32)
        private let hasCome = Mutex(false)

        init() {
            var ends: [Int32] = [-1, -1]
            precondition(pipe(&ends) == 0, "a pipe can be made")
            self.ends = (ends[0], ends[1])
        }

        func shut(_ loop: EventLoop) async throws {
            loop.perform {
                self.hasCome.withLock { $0 = true }
                var byte: UInt8 = 0
                _ = read(self.ends.reading, &byte, 1)
            }
            try await eventually("the loop stands still") { self.hasCome.withLock { $0 } }
        }

        func open() { close(ends.writing) }

        deinit { close(ends.reading) }
    }

    private static func post(_ path: String, _ body: String) -> String {
        "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// The lock calls that wait, as this answer to a call for the metrics has them.
    private static func waiting(_ answer: String) -> Int? {
        let name = "\nleasehold_connected_waiters "
        return answer.firstRange(of: name).flatMap { Int(answer[$0.upperBound...].prefix { $0 != "\n" }) }
    }

    @Test func `has who else asks answered before all of them are`() async throws {
        try await withRedis { redis in
            try await withLoop { loop in
                var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
                settings.listen = [.unix(path: "\(redis.directory)/l.sock")]
                let coordinator = Coordinator(settings: settings, loop: loop, log: .silent)
                try await coordinator.start()
                do {
                    try await eventually("the coordinator is ready") { await coordinator.isReady }
                    // An answer takes some turns of its own, and the mail has to fit into one read of 16 KiB.
                    try await Self.end(4 * Limits.messagesATurn, at: coordinator, on: loop, redis)
                } catch {
                    await loop.spawn { await coordinator.stop() }.value
                    throw error
                }
                await loop.spawn { await coordinator.stop() }.value
            }
        }
    }

    /// So many wait, and their refusals and another call come while the coordinator is busy.
    private static func end(
        _ count: Int, at coordinator: Coordinator, on loop: EventLoop, _ redis: TestRedis
    ) async throws {
        func connect() throws -> Wire { try Wire.connect(unixPath: "\(redis.directory)/l.sock") }
        let asking = try connect()
        let clients = try (0..<count).map { _ in try connect() }
        for client in clients { client.send(post("/v1/gpu/lock", #"{"id": "train", "timeout": 600}"#)) }
        try await eventually("all wait in Redis", is: count) { await coordinator.mirror.waiters.count }
        let gate = Gate()
        try await gate.shut(loop)
        let store = LeaseStore(client: redis.client, pool: .standard)
        let outcome = try await store.revoke(.all, mode: .forceReleaseAll, by: "admin", why: "test")
        #expect(outcome.refused == count)
        // Redis has sent what it published before it answers the next command.
        _ = try await redis.client.command(["PING"])
        asking.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        gate.open()
        let left = try await eventually("the metrics") { waiting(asking.text) }
        #expect((1..<count).contains(left), "\(left) of \(count) still waited")
        for client in clients {
            try await eventually("a refusal") { client.text.contains("force_released") }
        }
    }
}
