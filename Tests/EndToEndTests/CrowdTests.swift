import EventLoop
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    @Suite struct `A crowd` {
        /// Who is inside, as the clients themselves see it.
        private final class Room: Sendable {
            struct Visit: Sendable {
                var holder: String
                var fencing: Int64
            }
            private let state = Mutex<(inside: Int, most: Int, visits: [Visit])>((0, 0, []))

            func enter(_ holder: String, _ fencing: Int64) {
                state.withLock { state in
                    state.inside += 1
                    state.most = max(state.most, state.inside)
                    state.visits.append(Visit(holder: holder, fencing: fencing))
                }
            }
            func leave() { state.withLock { $0.inside -= 1 } }
            var most: Int { state.withLock { $0.most } }
            var visits: [Visit] { state.withLock { $0.visits } }
        }

        @Test func `many clients of one unit are served in the order of their scores, one at a time`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let count = Rounds.count(300, "LEASEHOLD_CROWD")
                let held = try await bridge.acquire("holder")
                let room = Room()
                var random = RandomSource(seed: 6)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<count {
                        let (priority, pause) = (
                            random.element([0, 10, 20]), Duration.milliseconds(random.below(1000))
                        )
                        group.addTask {
                            // Random arrivals are what is tested.
                            try await ContinuousClock().sleep(for: pause)
                            let answer = try await bridge.lock("c\(number)", ttl: 20, timeout: 110, priority: priority)
                            guard answer.isAcquired else { throw Bridge.NotAcquired(answer: answer) }
                            room.enter("c\(number)", answer.fencing)
                            room.leave()
                            let unlock = try await bridge.unlock(answer.token)
                            #expect(unlock.word("status") == "released")
                        }
                    }
                    try await bridge.expectQueueDepth(count, within: .seconds(60))
                    let waiters = try await bridge.status().waiters
                    #expect(waiters.map(\.score) == waiters.map(\.score).sorted())
                    #expect(Set(waiters.map(\.score)).count == count)
                    try await bridge.unlock(held.token)
                    try await group.waitForAll()
                    #expect(room.most == 1)
                    #expect(room.visits.map(\.holder) == waiters.map(\.holder))
                    #expect(room.visits.map(\.fencing) == room.visits.map(\.fencing).sorted())
                    #expect(Set(room.visits.map(\.fencing)).count == count)
                }
                try await bridge.expectQueueDepth(0)
            }
        }

        @Test func `a crowd that gives up at once does not hold up the others`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let count = Rounds.count(300, "LEASEHOLD_CROWD")
                let held = try await bridge.acquire("holder")
                let ended = Shared(0)
                let calls = (0..<count).map { number in
                    Task {
                        defer { ended.withLock { $0 += 1 } }
                        return try await bridge.lock("c\(number)", timeout: 6)
                    }
                }
                try await eventually("all wait, or on a slow machine the first have given up") {
                    try await bridge.status().queueDepth == count || ended.withLock { $0 } > 0
                }
                var slowest = Duration.zero
                while ended.withLock({ $0 }) < count {
                    let began = ContinuousClock().now
                    #expect(try await bridge.get("/health").status == 200)
                    slowest = max(slowest, began.duration(to: ContinuousClock().now))
                }
                #expect(slowest < .seconds(5), "\(slowest)")
                for call in calls { #expect(try await call.value.word("status") == "timeout") }
                #expect(try await bridge.unlock(held.token).word("status") == "released")
            }
        }

        @Test func `several units are used at the same time and none is held twice`() async throws {
            try await withService(units: 4) { service in
                let bridge = service.bridge
                let rooms = Shared<[String: Room]>([:])
                let clients = 40
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<clients {
                        group.addTask {
                            for _ in 0..<5 {
                                let answer = try await bridge.acquire("c\(number)", ttl: 20)
                                let room = rooms.withLock { rooms in
                                    let room = rooms[answer.word("unit")] ?? Room()
                                    rooms[answer.word("unit")] = room
                                    return room
                                }
                                room.enter("c\(number)", answer.fencing)
                                await Task.yield()
                                room.leave()
                                try await bridge.unlock(answer.token)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let all = rooms.withLock { $0 }
                #expect(all.count == 4)
                for room in all.values {
                    #expect(room.most == 1)
                    #expect(room.visits.map(\.fencing) == room.visits.map(\.fencing).sorted())
                }
                #expect(all.values.map { $0.visits.count }.reduce(0, +) == clients * 5)
            }
        }
    }
}
