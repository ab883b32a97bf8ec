import EventLoop
import HTTP
import JSON
import LeaseModel
import LeaseStore
import TestSupport
import Testing

@testable import Coordinator

/// The record is changed here without the events that a coordinator's copy follows: so the copy is surely late.
@Suite struct `A coordinator whose copy is late` {
    private static let unit = "lh:{default}:unit:h1/0"

    /// A coordinator with the unit `h1/0`, of which it has heard nothing but that it is free.
    private func withCoordinator(
        _ body: @Sendable (_ redis: TestRedis, _ verify: @Sendable (Int64) async throws -> String) async throws -> Void
    ) async throws {
        try await withRedis { redis in
            let store = LeaseStore(client: redis.client, pool: .standard)
            _ = try await store.heartbeat(
                AgentHeartbeat(
                    origin: AgentOrigin(host: HostID("h1"), instance: InstanceID("a1"), session: 1), ancestors: [],
                    isFirst: true, address: "", version: "test", labels: [:],
                    units: [
                        UnitReport(
                            properties: UnitProperties(
                                unit: UnitID("h1/0"), kind: .gpu, memoryMB: 24_000, deviceType: "discrete",
                                details: "{}"),
                            state: .free, highestFencing: FencingToken(0))
                    ]))
            var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
            settings.listen = [.unix(path: "\(redis.directory)/l.sock")]
            let coordinator = Coordinator(settings: settings, loop: redis.loop, log: .silent)
            try await coordinator.start()
            let client = HTTPClient(loop: redis.loop)
            do {
                try await eventually("the coordinator shows the host") {
                    let host = try HostID("h1")
                    return await coordinator.isReady ? await coordinator.shows(host) : false
                }
                try await body(redis) { fencing in
                    let answer = try await client.send(
                        .post, "/v1/gpu/verify", to: .unix(path: "\(redis.directory)/l.sock"),
                        body: Array(#"{"unit":"h1/0","fencing_token":\#(fencing)}"#.utf8), timeout: .seconds(10))
                    let document = try JSONParser.parse(answer.body).object
                    return document?["status"]?.string ?? document?["error"]?.string ?? "\(answer.status)"
                }
            } catch {
                client.close()
                await redis.loop.spawn { await coordinator.stop() }.value
                throw error
            }
            client.close()
            await redis.loop.spawn { await coordinator.stop() }.value
        }
    }

    private static func set(
        _ fencing: Int64, state: String, expires: Int64, of first: String = "h1/0", _ redis: TestRedis
    ) async throws {
        let lease = "\(first)#\(fencing)"
        _ = try await redis.client.command(["HSET", .text(unit), "state", .text(state), "lease", .text(lease)])
        _ = try await redis.client.command([
            "HSET", .text("lh:{default}:lease:\(lease)"), "state", .text(state), "holder", "train", "unit", "h1/0",
            "expires", .integer(expires),
        ])
    }

    private static let later: Int64 = 99_999_999_999_999

    @Test func `does not call stale what was just granted`() async throws {
        try await withCoordinator { redis, verify in
            #expect(try await verify(41) == "stale")
            try await Self.set(41, state: "held", expires: Self.later, redis)
            #expect(try await verify(41) == "current")
            #expect(try await verify(40) == "stale")
            // A lease of several units is named by the first of them.
            try await Self.set(43, state: "held", expires: Self.later, of: "h1/7", redis)
            #expect(try await verify(43) == "current")
            #expect(try await verify(41) == "stale")
        }
    }

    @Test func `does not call current what was just given back, or is over`() async throws {
        try await withCoordinator { redis, verify in
            try await Self.set(41, state: "held", expires: Self.later, redis)
            #expect(try await verify(41) == "current")
            try await Self.set(41, state: "ending", expires: Self.later, redis)
            #expect(try await verify(41) == "stale")
            try await Self.set(41, state: "held", expires: 1, redis)
            #expect(try await verify(41) == "stale")
            try await Self.set(41, state: "held", expires: Self.later, redis)
            _ = try await redis.client.command(["DEL", "lh:{default}:lease:h1/0#41"])
            _ = try await redis.client.command(["HSET", .text(Self.unit), "state", "free", "lease", ""])
            #expect(try await verify(41) == "stale")
        }
    }

    @Test func `says that it cannot tell where Redis has lost the unit`() async throws {
        try await withCoordinator { redis, verify in
            _ = try await redis.client.command(["DEL", .text(Self.unit)])
            #expect(try await verify(41) == "unavailable")
        }
    }
}
