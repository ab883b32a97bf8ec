import EventLoop
import TestSupport
import Testing

extension Faults {
    @Suite struct `What survives a crash` {
        private static let clock = ContinuousClock()

        @Test func `a coordinator that is killed loses its waiters' places and no lease`() async throws {
            let took = try await soonest(below: .seconds(6)) { try await self.waitersOfAKilledCoordinator() }
            #expect(took < .seconds(6), "\(took)")
        }

        /// How long their places stood.
        private func waitersOfAKilledCoordinator() async throws -> Duration {
            try await withService(bridges: 2) { service in
                let (first, second) = (service.bridge(0), service.bridge(1))
                let held = try await first.acquire("holder")
                let calls = (0..<100).map { first.waiting("w\($0)") }
                try await second.expectQueueDepth(100)
                let stranger = second.waiting("elsewhere", priority: 100)
                try await second.expectQueueDepth(101)
                await first.program.kill()
                let since = Self.clock.now
                try await second.expectQueued(["elsewhere"], within: .seconds(30))
                let took = since.duration(to: Self.clock.now)
                for call in calls { await #expect(throws: (any Error).self) { try await call.value } }
                #expect(try await second.status().owner == "holder")
                #expect(try await second.renew(held.token).word("status") == "renewed")
                let restarted = try await service.startBridge()
                #expect(try await restarted.status().owner == "holder")
                #expect(try await restarted.unlock(held.token).word("status") == "released")
                #expect(try await stranger.value.isAcquired)
                return took
            }
        }

        @Test func `an agent that is killed knows its leases when it is back`() async throws {
            try await withService(units: 2) { service in
                let bridge = service.bridge
                let one = try await bridge.acquire("one")
                let two = try await bridge.acquire("two", ttl: 3)
                let waiting = bridge.waiting("next")
                try await bridge.expectQueued(["next"])
                await service.agent.kill()
                #expect(try await bridge.renew(one.token).word("error") == "unanswered")
                #expect(try await bridge.status().holders == ["one", "two"])
                try await service.startAgent()
                try await eventually("the agent answers", is: "renewed") {
                    try await bridge.renew(one.token).word("status")
                }
                // The other one is not renewed: the restart has not made it longer.
                let answer = try await waiting.value
                #expect(answer.isAcquired && answer.word("unit") == two.word("unit"))
                #expect(answer.fencing > two.fencing)
                #expect(try await bridge.renew(two.token).word("error") == "expired")
                #expect(try await bridge.unlock(one.token).word("status") == "released")
            }
        }

        @Test func `a coordinator that is stopped answers every waiter before it closes`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let wires = try (0..<50).map { try bridge.bareLock(Bridge.lock("w\($0)")) }
                try await bridge.expectQueueDepth(50)
                bridge.program.signal(.terminate)
                for wire in wires {
                    try await eventually("the connection ends") { wire.hasEnded }
                    #expect(wire.text.hasPrefix("HTTP/1.1 503 "))
                    #expect(wire.text.contains(#"{"status":"unavailable","error":"shutting_down","msg":""#))
                    #expect(wire.text.contains("Retry-After: 1\r\n"))
                    #expect(!wire.wasReset)
                }
                #expect(await bridge.program.finish() == .exited(0))
                let next = try await service.startBridge()
                #expect(try await next.status().queueDepth == 0)
                #expect(try await next.unlock(held.token).word("status") == "released")
            }
        }

        @Test func `Redis forgets everything and nobody else does`() async throws {
            try await withService(units: 8) { service in
                let bridge = service.bridge
                var times: [Duration] = []
                var disorder = 0
                let rounds = Rounds.count(5, "LEASEHOLD_FLUSHES")
                for round in 0..<rounds {
                    let outcome = try await flushed(service, bridge, round: round)
                    times.append(outcome.time)
                    if !outcome.isInOrder { disorder += 1 }
                }
                // At the latest the agent's next heartbeat tells Redis what it holds.
                #expect(try #require(times.median) < .seconds(6), "first new grants after \(times)")
                #expect(disorder == 0, "\(disorder) of \(rounds) rounds in another order")
            }
        }

        /// One flush with all units held and many waiting; how long the first new grant took, and whether all were served
        /// in the order of before.
        private func flushed(
            _ service: Service, _ bridge: Bridge, round: Int
        ) async throws -> (time: Duration, isInOrder: Bool) {
            let count = 40
            let held = Shared<[String: String]>([:])  // unit to holder, as the clients see it
            var tokens: [String] = []
            for number in 0..<8 {
                let answer = try await bridge.acquire("h\(number)")
                held.withLock { $0[answer.word("unit")] = "h\(number)" }
                tokens.append(answer.token)
            }
            let firstAt = Shared<ContinuousClock.Instant?>(nil)
            let grants = Shared<[(holder: String, fencing: Int64)]>([])
            return try await withThrowingTaskGroup(of: Void.self) { group in
                var random = RandomSource(seed: UInt64(round))
                for number in 0..<count {
                    let priority = random.element([0, 10, 20])
                    group.addTask {
                        let answer = try await bridge.lock("w\(number)", priority: priority)
                        guard answer.isAcquired else { throw Bridge.NotAcquired(answer: answer) }
                        firstAt.withLock { $0 = $0 ?? Self.clock.now }
                        let before = held.withLock { $0.updateValue("w\(number)", forKey: answer.word("unit")) }
                        #expect(before == nil, "\(answer.word("unit")) is held by \(before ?? "")")
                        grants.withLock { $0.append(("w\(number)", answer.fencing)) }
                        held.withLock { $0[answer.word("unit")] = nil }
                        try await Self.released(answer.token, bridge)
                    }
                }
                try await bridge.expectQueueDepth(count)
                let order = try await bridge.status().waiters.map(\.holder)
                try await service.redis.flushAll()
                let flushedAt = Self.clock.now
                for (number, token) in tokens.enumerated() {
                    if number == tokens.count - 1 {
                        // The last holder goes on through it all.
                        #expect(try await bridge.renewedSoon(token))
                    }
                    // They stop using their units before they say so.
                    held.withLock { held in
                        for (unit, holder) in held where holder == "h\(number)" { held[unit] = nil }
                    }
                    try await Self.released(token, bridge)
                }
                try await group.waitForAll()
                let served = grants.withLock { $0 }.sorted { $0.fencing < $1.fencing }.map(\.holder)
                #expect(served.sorted() == order.sorted())
                let first = try #require(firstAt.withLock { $0 })
                return (flushedAt.duration(to: first), served == order)
            }
        }

        /// Says it until it is known to be done: a lease that Redis has lost is ended when its agent has spoken.
        private static func released(_ token: String, _ bridge: Bridge) async throws {
            try await eventually("the lease is over") {
                let answer = try await bridge.unlock(token)
                guard answer.word("status") != "released" else { return true }
                return try await bridge.renew(token).status == 410
            }
        }
    }
}

extension Bridge {
    /// Whether a lease is renewed, at the latest when its agent has spoken again.
    func renewedSoon(_ token: String) async throws -> Bool {
        try await eventually("the lease is renewed or gone") {
            let answer = try await self.renew(token)
            return answer.status == 503 ? nil : answer.status == 200
        }
    }
}
