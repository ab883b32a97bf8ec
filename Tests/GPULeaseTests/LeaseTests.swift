import GPULease
import HTTP
import LeaseModel
import Synchronization
import TestSupport
import Testing

@Suite(.serialized) struct `A lease without a scope` {
    @Test func `is renewed by its program where that wants to`() async throws {
        try await withHouse { house in
            let lease = try await house.pool().acquire(
                for: "train", options: .init(ttl: .seconds(30), renewal: .manual))
            let before = lease.deadline
            try await eventually("a renewal moves the deadline") {
                try await lease.renew()
                return lease.deadline > before
            }
            try lease.checkHeld()
            #expect(await lease.release())
            #expect(await lease.release())
            #expect(await lease.lost == nil)
            #expect(await failure { try lease.checkHeld() } == .lost(.released, by: nil, why: nil))
            #expect(await failure { try await lease.renew() } == .lost(.released, by: nil, why: nil))
        }
    }

    @Test func `ends by its own deadline when nobody renews it`() async throws {
        try await withHouse { house in
            let lease = try await house.pool().acquire(
                for: "train", options: .init(ttl: .milliseconds(400), renewal: .manual))
            let loss = await lease.lost
            #expect(loss?.kind == .lost(.expired, by: nil, why: nil))
            #expect(ContinuousClock.now >= lease.deadline)
            #expect(await failure { try await lease.renew() } == .lost(.expired, by: nil, why: nil))
            try await eventually("the unit is free", is: []) { try await house.holders() }
        }
    }

    @Test func `is asked for by a request that preempts, and revoked where it is not given back`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let dream = try await gpu.acquire(for: "dreamer", options: .init(priority: 20))
            #expect(dream.preemption == nil)
            async let first = gpu.acquire(for: "voice", options: .init(priority: 0, preempts: true))
            let wish = try #require(await dream.preempted)
            #expect(wish.by == "voice" && wish.priority == 0)
            #expect(wish.deadline > .now && dream.preemption == wish)
            await dream.release()
            await (try first).release()
            let stubborn = try await gpu.acquire(
                for: "dreamer", options: .init(priority: 20, grace: .milliseconds(300)))
            async let second = gpu.acquire(for: "voice", options: .init(priority: 0, preempts: true))
            #expect(await stubborn.lost?.reason == .preempted)
            #expect(await stubborn.preempted == nil)
            await (try second).release()
        }
    }

    @Test func `is no longer certain when it was given back behind its back`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let lease = try await gpu.acquire(for: "train", options: .init(renewal: .manual))
            let current = try await gpu.verify(unit: lease.unit, fencing: lease.fencingToken)
            #expect(current.isCurrent && current.holder == "train")
            _ = try await house.store.release(.oldest(of: HolderID("train"), caller: "", kind: .gpu, by: "somebody"))
            let loss = await #expect(throws: LeaseError.self) { try await lease.renew() }
            #expect(loss?.reason == .released || loss?.reason == .lost)
            try await eventually("its fencing token is stale") {
                try await !gpu.verify(unit: lease.unit, fencing: lease.fencingToken).isCurrent
            }
            #expect(await failure { _ = try await gpu.verify(unit: "h9/0", fencing: 1) } == .invalid)
        }
    }

    @Test func `hears of its loss in whichever pool of a coordinator it is`() async throws {
        try await withHouse { house in
            try await house.openCoordinator("c2", before: "day")
            let lease = try await house.pool("c2").acquire(
                for: "night", options: .init(pool: "default", renewal: .manual))
            let client = HTTPClient(loop: house.redis.loop)
            let endpoint = HTTPEndpoint.unix(path: "\(house.redis.directory)/c2.sock")
            try await eventually("its events are followed") {
                let metrics = try await client.send(
                    .get, "/metrics?pool=default", to: endpoint, timeout: .seconds(10))
                return String(decoding: metrics.body, as: UTF8.self)
                    .contains("\nleasehold_event_stream_subscribers 1\n")
            }
            client.close()
            try await house.revoke(.reset)
            // No renewal asks for it, so only an event can tell.
            #expect(await lease.lost?.reason == .revoked)
        }
    }

    @Test func `tells its loss to all who wait for it, and nobody whose task is cancelled`() async throws {
        try await withHouse { house in
            let lease = try await house.pool().acquire(for: "train")
            let patient = [Task { await lease.lost }, Task { await lease.lost }]
            let impatient = Task { await lease.lost }
            impatient.cancel()
            #expect(await impatient.value == nil)
            try await house.revoke(.reset)
            for task in patient {
                let loss = await task.value
                #expect(loss?.reason == .revoked)
            }
        }
    }

    @Test func `leaves the status as it found it`() async throws {
        try await withHouse(units: 2) { house in
            let gpu = try house.pool()
            let lease = try await gpu.acquire(for: "train", options: .init(priority: 3, metadata: ["job": "7"]))
            try await eventually("the lease is shown") { try await gpu.status().leases.map(\.id) == [lease.id] }
            let status = try await gpu.status()
            #expect(!status.isLocked && status.owner == "train" && status.degraded == nil && status.pool == "default")
            #expect(status.hosts.map(\.id) == ["h1"] && status.hosts.allSatisfy(\.isPresent))
            let unit = try #require(status.units.first { $0.id == lease.unit })
            #expect(unit.state == .held && unit.holder == "train" && unit.memoryMB == 24_000 && unit.kind == .gpu)
            #expect(unit.deviceType == .discrete && unit.lease == lease.id)
            #expect(status.leases.map(\.priority) == [3])
            await lease.release()
            try await eventually("nothing is shown") { try await gpu.status().leases.isEmpty }
        }
    }
}

@Suite(.serialized) struct `The events of a pool` {
    @Test func `are told as they happen, and again from any of them on`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let told = Mutex<[GPUEvent]>([])
            let following = Task {
                for try await event in gpu.events(of: ["granted", "released"]) { told.withLock { $0.append(event) } }
            }
            // The stream is open when it tells something: leases are taken until it has.
            try await eventually("the stream has seen enough") {
                try await gpu.withLease(for: "train") { _ in }
                return told.withLock { $0.count >= 4 }
            }
            following.cancel()
            try await following.value
            let seen = told.withLock { Array($0.prefix(4)) }
            let first = try #require(seen.first { $0.type == "granted" })
            #expect(first.holder == "train" && first.unit == "h1/0" && first.lease?.hasPrefix("h1/0#") == true)
            let start = try #require(seen.first)
            var again: [GPUEvent] = []
            for try await event in gpu.events(of: ["granted", "released"], after: start.id) {
                again.append(event)
                if again.count == 3 { break }
            }
            #expect(again == Array(seen.dropFirst()))
        }
    }

    @Test func `go on behind the last one when a coordinator is replaced`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let lease = try await gpu.acquire(for: "first", options: .init(renewal: .manual))
            let status = try await house.store.snapshot()
            await lease.release()
            var events = gpu.events(of: ["released"], after: status.lastEvent).makeAsyncIterator()
            #expect(try await events.next()?.holder == "first")
            await house.closeCoordinator()
            try await house.openCoordinator("c1")
            try await gpu.withLease(for: "second") { _ in }
            #expect(try await events.next()?.holder == "second")
        }
    }

    @Test func `end with a task that is cancelled, and with a type that there is not`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let task = Task { () -> Int in
                var count = 0
                for try await _ in gpu.events() { count += 1 }
                return count
            }
            task.cancel()
            #expect(try await task.value == 0)
            let wrong = await failure { for try await _ in gpu.events(of: ["nonsense"]) {} }
            #expect(wrong == .invalid)
        }
    }
}
