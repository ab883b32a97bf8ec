import HTTP
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `request_id`: what a client may do again.
    @Suite struct `Named requests` {
        @Test func `the same call again takes up the same place, and the earlier one is told`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let first = bridge.waiting("train", request: "r1")
                try await bridge.expectQueued(["train"])
                let score = try await bridge.status().waiters[0].score
                let rival = bridge.waiting("rival")
                try await bridge.expectQueued(["train", "rival"])
                let again = bridge.waiting("train", request: "r1")
                let replaced = try await first.value
                #expect(replaced.status == 409 && replaced.word("error") == "replaced")
                #expect(try await bridge.status().waiters.map(\.score).first == score)
                let state = try await bridge.get("/v1/gpu/requests/r1")
                #expect(state.word("state") == "queued")
                #expect(state["position"] == .integer(1) && state["queue_depth"] == .integer(2))
                #expect((100_000...120_000).contains(state.number("time_left_ms")))
                #expect(state["blocked_by"]?.array?.first?.object?["holder"] == .string("holder"))
                let other = try await bridge.get("/v1/gpu/requests/r2")
                #expect(other.status == 404 && other.word("error") == "unknown_request")
                try await bridge.unlock(held.token)
                let lease = try await again.value
                #expect(lease.isAcquired && lease.word("request_id") == "r1")
                try await eventually("it is told to hold", is: "held") {
                    try await bridge.get("/v1/gpu/requests/r1").word("state")
                }
                #expect(try await bridge.get("/v1/gpu/requests/r1").word("lease") == lease.word("lease"))
                // Once more: the same lease, with a token of its own that replaces the one before.
                let third = try await bridge.lock("train", request: "r1")
                #expect(third.isAcquired && third.word("lease") == lease.word("lease"))
                #expect(third.token != lease.token)
                #expect(try await bridge.unlock(lease.token).word("status") == "not_held")
                #expect(try await bridge.unlock(third.token).word("status") == "released")
                #expect(try await rival.value.isAcquired)
            }
        }

        @Test func `a client whose connection was cut finds its place again`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let wire = try bridge.bareLock(Bridge.lock("train", request: "r/1 ?&ü"))
                try await bridge.expectQueued(["train"])
                let rival = bridge.waiting("rival")
                try await bridge.expectQueued(["train", "rival"])
                wire.reset()
                let state = try await bridge.get("/v1/gpu/requests/r%2F1%20%3F%26%C3%BC")
                #expect(state.word("state") == "queued" && state["position"] == .integer(1))
                let again = bridge.waiting("train", request: "r/1 ?&ü")
                try await bridge.unlock(held.token)
                let lease = try await again.value
                #expect(lease.isAcquired)
                try await bridge.unlock(lease.token)
                #expect(try await rival.value.isAcquired)
            }
        }

        @Test func `a client that does not come back loses its place and its grant`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let wire = try bridge.bareLock(Bridge.lock("train", priority: 0, request: "r1"))
                let rival = bridge.waiting("rival")
                try await bridge.expectQueued(["train", "rival"])
                wire.close()
                try await bridge.unlock(held.token)
                // The grant waits 5 s for its client, and is then given back.
                #expect(try await rival.value.isAcquired)
                try await eventually("nothing is known of it", is: 404) {
                    try await bridge.get("/v1/gpu/requests/r1").status
                }
            }
        }

        @Test func `another coordinator takes a request over when its own is killed`() async throws {
            try await withService(bridges: 2) { service in
                let (first, second) = (service.bridge(0), service.bridge(1))
                let held = try await first.acquire("holder", request: "r0")
                let waiting = first.waiting("train", request: "r1")
                try await second.expectQueued(["train"])
                let score = try await second.status().waiters[0].score
                let rival = second.waiting("rival")
                try await second.expectQueued(["train", "rival"])
                await first.program.kill()
                await #expect(throws: (any Error).self) { try await waiting.value }
                let again = second.waiting("train", request: "r1")
                // The same place, though its coordinator is gone, and also after that one's tickets were dropped.
                try await second.expectQueued(["train", "rival"])
                #expect(try await second.status().waiters[0].score == score)
                // The holder did not get its answer, as far as it knows: the lease is answered again, once.
                let answer = try await second.lock("holder", request: "r0")
                #expect(answer.isAcquired && answer.word("lease") == held.word("lease"))
                #expect(try await second.unlock(held.token).word("status") == "not_held")
                #expect(try await second.status().leases.count == 1)
                try await second.unlock(answer.token)
                let lease = try await again.value
                #expect(lease.isAcquired)
                #expect(try await second.unlock(lease.token).word("status") == "released")
                #expect(try await rival.value.isAcquired)
            }
        }

        @Test func `a call elsewhere moves the request, and the one before is told`() async throws {
            try await withService(bridges: 2) { service in
                let (first, second) = (service.bridge(0), service.bridge(1))
                let held = try await first.acquire("holder")
                let waiting = first.waiting("train", request: "r1")
                try await first.expectQueued(["train"])
                let elsewhere = second.waiting("train", request: "r1")
                let moved = try await waiting.value
                #expect(moved.status == 409 && moved.word("error") == "moved")
                try await first.expectQueued(["train"])
                try await second.unlock(held.token)
                #expect(try await elsewhere.value.isAcquired)
            }
        }
    }
}
