import HTTP
import TestSupport
import Testing

extension EndToEnd {
    @Suite struct `The stream of events` {
        @Test func `it tells what happened, in order, and goes on behind the event that was seen last`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let before = try await bridge.follow()
                let one = try await bridge.acquire("one")
                let two = bridge.waiting("two")
                try await bridge.expectQueued(["two"])
                #expect(try await bridge.renew(one.token).status == 200)
                try await bridge.unlock(one.token)
                let lease = try await two.value
                try await eventually("all is told") {
                    before.events.map(\.type)
                        == ["offered", "granted", "queued", "renewed", "released", "offered", "granted"]
                }
                #expect(before.events.map { $0.word("holder") } == ["one", "one", "two", "one", "one", "two", "two"])
                let seen = try #require(before.events.last)
                await bridge.program.kill()
                try await eventually("the stream ends") { before.hasEnded }
                // Happens while nobody follows.
                let next = try await service.startBridge()
                try await next.unlock(lease.token)
                let missed = try await next.acquire("three")
                let after = try await next.follow(after: seen.id)
                try await next.unlock(missed.token)
                try await eventually("what was missed is told, and what comes") {
                    after.events.map(\.type).suffix(4) == ["released", "offered", "granted", "released"]
                }
                #expect(after.events.allSatisfy { $0.id > seen.id })
                let all = try await next.follow(after: "0-0")
                try await eventually("the whole past is told") { all.events.last?.id == after.events.last?.id }
                #expect(all.events.map(\.id) == (try await service.streamIDs()))
                for tail in [before, after, all] { tail.end() }
            }
        }

        @Test func `who comes back in the midst of it all misses nothing and gets nothing twice`() async throws {
            try await withService(units: 4) { service in
                let bridge = service.bridge
                try await withThrowingTaskGroup(of: Void.self) { group in
                    let busy = Shared(8)
                    for number in 0..<8 {
                        group.addTask {
                            defer { busy.withLock { $0 -= 1 } }
                            for _ in 0..<Rounds.count(60) {
                                let answer = try await bridge.acquire("c\(number)")
                                try await bridge.unlock(answer.token)
                            }
                        }
                    }
                    var got: [EventTail.Event] = []
                    for _ in 0..<20 {
                        let tail = try await bridge.follow(after: got.last?.id ?? "0-0")
                        let count = got.isEmpty ? 1 : 5
                        try await eventually("events come") {
                            tail.events.count >= count || busy.withLock { $0 } == 0
                        }
                        tail.end()
                        got += tail.events
                    }
                    try await group.waitForAll()
                    let tail = try await bridge.follow(after: got.last?.id)
                    let ids = try await service.streamIDs()
                    let before = got
                    try await eventually("all is told", is: ids.last) { (before + tail.events).last?.id }
                    tail.end()
                    #expect((before + tail.events).map(\.id) == ids)
                }
            }
        }
    }
}

extension Service {
    /// The ids of all events, as Redis has them.
    func streamIDs() async throws -> [String] {
        let reply = try await redis.client.command(["XRANGE", "lh:{default}:events", "-", "+"])
        guard case .array(let entries) = reply else { return [] }
        return entries.compactMap { entry in
            guard case .array(let parts) = entry, case .bytes(let id)? = parts.first else { return nil }
            return String(decoding: id, as: UTF8.self)
        }
    }
}
