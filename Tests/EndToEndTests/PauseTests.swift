import EventLoop
import Glibc
import TestSupport
import Testing

extension Faults {
    /// Processes that stand still and go on, as on a machine that is out of breath.
    @Suite struct `What stands still` {
        private static let clock = ContinuousClock()

        /// Stops a process for that long.
        private func pause(_ process: Int32, for duration: Duration) async throws {
            Glibc.kill(process, SIGSTOP)
            defer { Glibc.kill(process, SIGCONT) }
            // The length of the pause is what is tested, not something that is waited for.
            try await Self.clock.sleep(for: duration)
        }

        @Test func `a coordinator that stood still brings its waiters back in their old order`() async throws {
            try await withService(bridges: 2) { service in
                let (first, second) = (service.bridge(0), service.bridge(1))
                var held = try await second.acquire("holder")
                var calls: [String: Task<Answer, any Error>] = [:]
                for (number, priority) in [20, 0, 10, 0].enumerated() {
                    let bridge = number == 2 ? second : first
                    calls["w\(number)"] = bridge.waiting("w\(number)", priority: priority)
                    try await second.expectQueueDepth(number + 1)
                }
                let order = try await second.status().queued
                try await pause(first.program.processID, for: .seconds(7))
                try await second.expectQueued(order)
                for id in order {
                    try await second.unlock(held.token)
                    held = try #require(try await calls[id]?.value)
                    #expect(held.isAcquired)
                }
            }
        }

        @Test func `a coordinator that missed events reads all again`() async throws {
            try await withService(bridges: 2) { service in
                let (first, second) = (service.bridge(0), service.bridge(1))
                let held = try await first.acquire("ghost")
                try await second.expectOwner("ghost")
                Glibc.kill(second.program.processID, SIGSTOP)
                defer { Glibc.kill(second.program.processID, SIGCONT) }
                try await first.unlock(held.token)
                for _ in 0..<3 {
                    let answer = try await first.acquire("other")
                    try await first.unlock(answer.token)
                }
                // As so many others do to it when much happens.
                _ = try await service.redis.client.command(["XTRIM", "lh:{default}:events", "MAXLEN", "=", "1"])
                Glibc.kill(second.program.processID, SIGCONT)
                try await eventually("no ghost is left", is: [:]) { try await second.status().leases }
                #expect(try await second.status().units["h1/0"] == "free")
            }
        }

        @Test func `an agent that stood still takes up the waiters where they were`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                var calls: [Task<Answer, any Error>] = []
                for (number, id) in ["a", "b"].enumerated() {
                    calls.append(bridge.waiting(id))
                    try await bridge.expectQueueDepth(number + 1)
                }
                let lapsed = try await bridge.follow(types: "lapsed")
                Glibc.kill(service.agent.processID, SIGSTOP)
                defer { Glibc.kill(service.agent.processID, SIGCONT) }
                #expect(try await bridge.unlock(held.token).word("status") == "released")
                // Nobody is granted what the agent has not confirmed.
                try await eventually("the offer lapses", is: ["a"]) { lapsed.events.map { $0.word("holder") } }
                lapsed.end()
                try await bridge.expectQueued(["a", "b"])
                #expect(try await bridge.status().owner == nil)
                Glibc.kill(service.agent.processID, SIGCONT)
                let since = Self.clock.now
                let first = try await calls[0].value
                #expect(first.isAcquired)
                #expect(since.duration(to: Self.clock.now) < .seconds(10))
                #expect(try await bridge.unlock(first.token).word("status") == "released")
                #expect(try await calls[1].value.isAcquired)
            }
        }

        @Test func `a holder is not told more time than its lease has when everything stood still`() async throws {
            try await withService(units: 2) { service in
                let bridge = service.bridge
                let processes = [service.agent.processID, service.redis.processID ?? 0, bridge.program.processID]
                var toldTimes: [Duration] = []
                for (round, process) in processes.enumerated() {
                    let began = Self.clock.now
                    async let paused: Void = pause(process, for: .milliseconds(800))
                    let answer = try await bridge.lock("h\(round)", ttl: 1, timeout: 20)
                    #expect(answer.isAcquired)
                    let told = answer["expires_in"]?.number ?? 0
                    let sure = Double(answer.number("waited_ms")) / 1000 + told
                    try await paused
                    // Whoever waits for the unit gets it only after that.
                    let next = try await bridge.lock(
                        "n\(round)", timeout: 20, more: #""unit":"\#(answer.word("unit"))""#)
                    #expect(next.isAcquired)
                    let took = began.duration(to: Self.clock.now)
                    #expect(took > .seconds(sure), "\(took), told \(sure) s")
                    toldTimes.append(.seconds(told))
                    try await bridge.unlock(next.token)
                }
                // Half of it, or it is renewed before it is told.
                #expect(try #require(toldTimes.median) >= .milliseconds(500), "\(toldTimes)")
            }
        }

        @Test func `Redis that stands still makes a wait end with the reason, and status with its age`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let patient = bridge.waiting("patient")
                try await bridge.expectQueued(["patient"])
                service.redis.pause()
                let late = bridge.waiting("late", timeout: 1)
                try await eventually("the coordinator notices", within: .seconds(15)) {
                    try await bridge.status().isDegraded
                }
                #expect(try await bridge.get("/ready").status == 503)
                let status = try await bridge.status()
                #expect(status.owner == "holder" && status.queued == ["patient"])
                let refused = try await late.value
                #expect(refused.status == 503 && refused.word("msg") == "GPU Queue Timeout")
                let lost = try await bridge.lock("lost", timeout: 0.2)
                #expect(lost.word("reason").contains("Redis cannot be reached"))
                let verify = try await bridge.post("verify", #"{"unit":"h1/0","fencing_token":\#(held.fencing)}"#)
                #expect(verify.status == 503)
                service.redis.resume()
                try await eventually("the coordinator is back", is: 200) { try await bridge.get("/ready").status }
                #expect(try await bridge.renewedSoon(held.token))
                try await bridge.expectQueued(["patient"])
                #expect(try await bridge.unlock(held.token).word("status") == "released")
                #expect(try await patient.value.isAcquired)
            }
        }
    }
}
