import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite struct `Several pools behind one coordinator` {
        private static func withPools(_ body: @Sendable (Service, Bridge) async throws -> Void) async throws {
            try await withService { service in
                try await service.startAgent(host: "h2", pool: "night")
                let bridge = try await service.startBridge("--pool", "default", "--pool", "night")
                try await eventually("the other pool has its unit", is: ["h2/0", "h2/model-load"]) {
                    Status(answer: try await bridge.get("/v1/gpu/status?pool=night")).units.keys.sorted()
                }
                try await body(service, bridge)
            }
        }

        @Test func `a call is about the pool that it names, or has what it speaks of`() async throws {
            try await Self.withPools { service, bridge in
                let first = try await bridge.acquire("day")
                #expect(first.word("unit") == "h1/0")
                let night = try await bridge.lock("night", more: #""pool":"night""#)
                #expect(night.word("unit") == "h2/0")
                // Whoever has a token needs no name of a pool: its unit tells.
                #expect(try await bridge.renew(night.word("token")).status == 200)
                let fencing = try #require(night["fencing_token"]?.integer)
                let verified = try await bridge.post("verify", #"{"unit":"h2/0","fencing_token":\#(fencing)}"#)
                #expect(verified.word("status") == "current")

                let call = Bridge.lock("next", request: "r1", more: #""pool":"night""#)
                let waiting = Task { try await bridge.post("lock", call) }
                try await eventually("it waits in that pool") {
                    try await bridge.get("/v1/gpu/status?pool=night")["queued"] == .array([.string("next")])
                }
                #expect(try await bridge.status().queued.isEmpty)
                #expect(try await bridge.get("/v1/gpu/requests/r1").word("state") == "queued")
                #expect(try await bridge.get("/v1/gpu/requests/r1?pool=default").status == 404)
                #expect(try await bridge.unlock(night.word("token")).word("status") == "released")
                #expect(try await waiting.value.word("unit") == "h2/0")

                let released = try await bridge.post("force-release-all", #"{"pool":"night"}"#)
                #expect("\(released)".contains(#""released":1"#))
                #expect(try await bridge.renew(first.word("token")).status == 200, "the other pool is left alone")
                let byID = try await bridge.post("unlock", #"{"id":"day","pool":"night"}"#)
                #expect(byID.word("status") == "not_held")
                #expect(try await bridge.unlock(id: "day").word("status") == "released")
            }
        }

        @Test func `a pool that is not served is refused, whatever the call`() async throws {
            try await Self.withPools { service, bridge in
                for path in ["lock", "unlock", "renew", "verify", "reset", "force-release-all", "cordon", "drain"] {
                    let answer = try await bridge.post(path, #"{"id":"a","pool":"other"}"#)
                    #expect(
                        answer.status == 400 && answer.text.contains("this coordinator serves no other pool"), "\(path)"
                    )
                }
                for path in ["/v1/gpu/status", "/v1/gpu/events", "/v1/gpu/requests/r1", "/metrics", "/ready"] {
                    #expect(try await bridge.get("\(path)?pool=other").status == 400, "\(path)")
                }
                #expect(try await bridge.get("/ready?pool=night").status == 200)
                #expect(try await bridge.get("/metrics?pool=night").text.contains("leasehold_pool_units"))
                let status = try await bridge.get("/v1/gpu/status")
                #expect(status.word("pool") == "default")
                #expect(status["pools"] == .array([.string("default"), .string("night")]))
                #expect(
                    try await service.bridge.get("/v1/gpu/status")["pools"] == nil, "one that serves one says nothing")
            }
        }

        @Test func `waiters of each are answered before it stops`() async throws {
            try await Self.withPools { service, bridge in
                _ = try await bridge.lock("holder", more: #""pool":"night""#)
                let waiting = Task { try await bridge.lock("next", more: #""pool":"night""#) }
                try await eventually("it waits") {
                    try await bridge.get("/v1/gpu/status?pool=night")["queued"] == .array([.string("next")])
                }
                bridge.program.signal(.terminate)
                let answer = try await waiting.value
                #expect(answer.status == 503 && answer.word("error") == "shutting_down")
            }
        }
    }
}
