import HTTP
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// What the programs written for the original bridge send and expect.
    @Suite struct `Old clients` {
        @Test func `lock, status, unlock and reset answer as the original did`() async throws {
            try await withService { service in
                let bridge = service.bridge
                var status = try await bridge.status()
                #expect(!status.isLocked)
                #expect(status.answer["owner"] == .null)
                #expect(status.answer["queued"] == .array([]))
                #expect(status.answer["request_start_times"] == .object([:]))
                let bearer: HTTPHeaders = ["Authorization": "Bearer anything"]
                let lock = try await bridge.post("lock", #"{"id":"Root-Mic"}"#, headers: bearer)
                #expect(lock.status == 200)
                #expect(lock.headers["Content-Type"] == "application/json")
                #expect(lock.text.hasPrefix(#"{"status":"acquired","token":"h1/0#"#))
                #expect(lock.word("holder") == "Root-Mic")
                #expect(lock.word("unit") == "h1/0")
                #expect(lock["ttl"] == .integer(120))
                #expect(lock["expires_in"]?.number.map { (100...119).contains($0) } == true)
                try await bridge.expectOwner("Root-Mic")
                #expect(try await bridge.status().isLocked)
                let waiting = bridge.waiting("Root-Console")
                try await bridge.expectQueued(["Root-Console"])
                status = try await bridge.status()
                #expect(status.queueDepth == 1)
                let began = status.answer["request_start_times"]?.object?["Root-Console"]?.number ?? 0
                #expect(abs(began - (status.answer["now"]?.number ?? 0)) < 10)
                let unlock = try await bridge.post("unlock", #"{"id":"Root-Mic"}"#, headers: bearer)
                #expect("\(unlock)" == #"200 {"status":"released","released":1}"#)
                #expect(try await waiting.value.isAcquired)
                let again = try await bridge.post("unlock", #"{"id":"Root-Mic"}"#)
                #expect(
                    "\(again)"
                        == #"200 {"status":"not_held","released":0,"msg":"\"Root-Mic\" holds no lease of that kind here. Nothing was freed."}"#
                )
                let reset = try await bridge.post("reset")
                #expect(
                    "\(reset)"
                        == #"200 {"status":"reset","released":1,"ending":0,"refused":0,"hosts":{"h1":1}}"#)
                try await bridge.expectOwner(nil)
            }
        }

        @Test func `a body may lack its content type, carry unknown members and ids of any script`() async throws {
            try await withService { service in
                let bridge = service.bridge
                for id in ["Ωμέγα-麦克风", "эхо 🎤", "a\"b\\c", "x"] {
                    let body = Bridge.lock(id, more: #""unknown":{"deep":[1,2]},"client":null"#)
                    let lock = try await bridge.post("lock", body, headers: ["Content-Type": "text/plain"])
                    #expect(lock.isAcquired)
                    #expect(lock.word("holder") == id)
                    try await bridge.expectOwner(id)
                    #expect(try await bridge.unlock(id: id).text == #"{"status":"released","released":1}"#)
                }
            }
        }

        @Test func `who waits in vain gets the original's timeout`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let lease = try await bridge.acquire("holder")
                let first = bridge.waiting("first", timeout: 30)
                try await bridge.expectQueued(["first"])
                for timeout in [0.0, 0.3] {
                    let answer = try await bridge.lock("late", timeout: timeout)
                    #expect(answer.status == 503)
                    #expect(
                        answer.text.hasPrefix(
                            #"{"status":"timeout","error":"timeout","msg":"GPU Queue Timeout","waited_ms":"#))
                    #expect(answer["reason"] == .null)
                    #expect((Int64(timeout * 1000)...20_000).contains(answer.number("waited_ms")))
                }
                try await bridge.expectQueued(["first"])
                try await bridge.unlock(lease.token)
                #expect(try await first.value.isAcquired)
            }
        }

        @Test func `force-release-all refuses every waiter and grants none of them`() async throws {
            try await withService(units: 2) { service in
                let bridge = service.bridge
                _ = try await bridge.acquire("one")
                _ = try await bridge.acquire("two")
                let waiting = (0..<20).map { bridge.waiting("w\($0)") }
                try await bridge.expectQueueDepth(20)
                let answer = try await bridge.post("force-release-all", #"{"reason":"maintenance"}"#)
                #expect(
                    "\(answer)"
                        == #"200 {"status":"all_gpu_locks_force_released","released":2,"ending":0,"refused":20,"hosts":{"h1":2}}"#
                )
                for call in waiting {
                    let refused = try await call.value
                    #expect(
                        "\(refused)"
                            == #"503 {"status":"refused","error":"force_released","msg":"An administrator (local) refused all waiting requests. The reason given: maintenance. Nothing was granted to you; ask again later, under another request_id.","by":"local","why":"maintenance"}"#
                    )
                }
                try await bridge.expectQueueDepth(0)
                try await bridge.expectOwner(nil)
                #expect(try await bridge.acquire("next").isAcquired)
            }
        }

        @Test func `a cordoned host counts as locked, and says why`() async throws {
            try await withService { service in
                let bridge = service.bridge
                #expect(try await bridge.post("cordon", #"{"host":"h1","on":true}"#).status == 200)
                try await eventually("it is locked") { try await bridge.status().isLocked }
                let waiting = bridge.waiting("train", request: "r1")
                try await bridge.expectQueued(["train"])
                let state = try await bridge.get("/v1/gpu/requests/r1")
                #expect(
                    state.word("why")
                        == "1st for gpu/any, which 1 unit meets. 1 of them cannot be granted at present: not heard of, resting after a restart, or cordoned."
                )
                #expect(state["expected_wait_ms"] == .null)
                #expect(try await bridge.post("cordon", #"{"host":"h1","on":false}"#).status == 200)
                #expect(try await waiting.value.isAcquired)
            }
        }

        @Test func `ids decide who is served first`() async throws {
            try await withService { service in
                let bridge = service.bridge
                var held = try await bridge.acquire("holder")
                // "Academic-Batch" has "mic" within a word only: it is like any other.
                var waiting: [String: Task<Answer, any Error>] = [:]
                for (count, id) in ["my-console", "Dreamer", "Root-Mic", "train", "Academic-Batch"].enumerated() {
                    waiting[id] = bridge.waiting(id)
                    try await bridge.expectQueueDepth(count + 1)
                }
                for id in ["Root-Mic", "my-console", "train", "Academic-Batch", "Dreamer"] {
                    try await bridge.unlock(held.token)
                    let answer = try #require(try await waiting[id]?.value)
                    #expect(answer.isAcquired)
                    try await bridge.expectOwner(id)
                    held = answer
                }
            }
        }
    }
}
