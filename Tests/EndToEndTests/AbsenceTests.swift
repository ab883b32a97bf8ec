import EventLoop
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Clients that die, and calls that prove nothing.
    @Suite struct `Those who go away` {
        private static let clock = ContinuousClock()

        @Test func `a holder that dies makes room within its ttl and 3 s`() async throws {
            try await withService(units: 8) { service in
                let bridge = service.bridge
                var random = RandomSource(seed: 3)
                // How much longer than its ttl each kept the next one waiting.
                var times: [Duration] = []
                for _ in 0..<(Rounds.count(8) + 7) / 8 {
                    try await withThrowingTaskGroup(of: Duration.self) { group in
                        for unit in 0..<8 {
                            let ttl = Double(random.below(900) + 200) / 1000
                            group.addTask {
                                // Its connection ends with it; nobody renews or unlocks.
                                let more = #""unit":"h1/\#(unit)""#
                                let asked = Self.clock.now
                                let holder = try await bridge.lock("dies", ttl: ttl, more: more)
                                #expect(holder.isAcquired)
                                let since = Self.clock.now
                                let next = try await bridge.lock("next", timeout: 60, more: more)
                                let now = Self.clock.now
                                #expect(next.isAcquired)
                                #expect(next.fencing > holder.fencing)
                                let waited = Double(holder.number("waited_ms")) / 1000
                                let end = asked + .seconds(waited + (holder["expires_in"]?.number ?? 0))
                                #expect(now > end, "granted while it was held")
                                let late = try await bridge.unlock(holder.token)
                                #expect(late.word("status") == "not_held")
                                #expect(try await bridge.renew(holder.token).status == 410)
                                try await bridge.unlock(next.token)
                                return since.duration(to: now) - .seconds(ttl)
                            }
                        }
                        for try await time in group { times.append(time) }
                    }
                }
                #expect(try #require(times.median) < .seconds(3), "\(times)")
            }
        }

        @Test func `a waiter that dies is gone within a second and is never granted`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let events = try await bridge.follow(types: "granted")
                var held = try await bridge.acquire("holder")
                var random = RandomSource(seed: 4)
                var times: [Duration] = []
                for round in 0..<Rounds.count(20) {
                    let wire = try bridge.bareLock(Bridge.lock("dies-\(round)", priority: 0))
                    let next = bridge.waiting("next-\(round)", priority: 20)
                    try await bridge.expectQueued(["dies-\(round)", "next-\(round)"])
                    let since = Self.clock.now
                    switch random.below(3) {
                    case 0: wire.close()
                    case 1: wire.reset()
                    default: wire.halfClose()
                    }
                    try await bridge.expectQueued(["next-\(round)"])
                    times.append(since.duration(to: Self.clock.now))
                    try await bridge.unlock(held.token)
                    held = try await next.value
                    #expect(held.isAcquired)
                }
                #expect(try #require(times.median) < .seconds(1), "\(times)")
                try await eventually("all grants are told", is: Rounds.count(20) + 1) { events.events.count }
                #expect(!events.events.contains { $0.word("holder").hasPrefix("dies") })
                events.end()
            }
        }

        @Test func `a waiter that dies in the instant of its grant passes the lease on within a second`() async throws {
            try await withService { service in
                let bridge = service.bridge
                var held = try await bridge.acquire("holder")
                var random = RandomSource(seed: 5)
                var told = 0
                var times: [Duration] = []
                for round in 0..<Rounds.count(20) {
                    let wire = try bridge.bareLock(Bridge.lock("dies-\(round)", priority: 0))
                    let next = bridge.waiting("next-\(round)", priority: 20)
                    try await bridge.expectQueued(["dies-\(round)", "next-\(round)"])
                    let pause = Duration.microseconds(random.below(6000))
                    let token = held.token
                    async let freed = bridge.unlock(token)
                    // The random moment is what is tested, not something that is waited for.
                    try await Self.clock.sleep(for: pause)
                    // An end that still hears what came before it, so that the test knows whether it was told.
                    wire.halfClose()
                    let since = Self.clock.now
                    #expect(try await freed.word("status") == "released")
                    try await eventually("the connection is closed") { wire.hasEnded }
                    if wire.text.contains("acquired") {
                        // It died as a holder, which only its ttl can tell.
                        told += 1
                        #expect(try await bridge.unlock(id: "dies-\(round)").word("status") == "released")
                    }
                    held = try await next.value
                    #expect(held.isAcquired)
                    times.append(since.duration(to: Self.clock.now))
                }
                #expect(try #require(times.median) < .seconds(1), "\(times)")
                #expect(told < Rounds.count(20), "no round hit the instant")
            }
        }

        @Test func `strangers and tokens of earlier leases free nothing`() async throws {
            try await withService { service in
                let bridge = service.bridge
                var earlier = try await bridge.acquire("one")
                try await bridge.unlock(earlier.token)
                for _ in 0..<Rounds.count(20) {
                    let held = try await bridge.acquire("one")
                    let wrong = String(held.token.dropLast()) + (held.token.hasSuffix("0") ? "1" : "0")
                    for token in [earlier.token, wrong, "h1/0#\(held.fencing)", "nonsense", "h1/0#1.x", ""] {
                        let answer = try await bridge.unlock(token)
                        #expect("\(answer)".hasPrefix(#"200 {"status":"not_held","released":0,"msg":""#), "\(token)")
                        #expect(try await bridge.renew(token).status == 410)
                    }
                    #expect(try await bridge.unlock(id: "two").word("status") == "not_held")
                    try await bridge.expectOwner("one")
                    #expect(try await bridge.renew(held.token).word("status") == "renewed")
                    #expect(try await bridge.unlock(held.token).word("status") == "released")
                    earlier = held
                }
            }
        }
    }
}
