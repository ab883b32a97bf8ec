import EventLoop
import Glibc
import LeaseModel
import Synchronization
import TestSupport
import Testing

@testable import GPULease

@Suite(.serialized) struct `A scope with a lease` {
    @Test func `holds the unit while its body runs, and gives it back`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let text = try await gpu.withLease(for: "train") { lease in
                #expect(lease.unit == "h1/0" && lease.host == "h1" && lease.holder == "train")
                #expect(lease.isHeld && lease.deadline > .now && lease.deadline < .now + .seconds(60))
                #expect(lease.id == "h1/0#\(lease.fencingToken)")
                #expect(!"\(lease)".contains(lease.token))
                let holders = try await house.holders()
                #expect(holders == ["train"])
                return "done"
            }
            #expect(text == "done")
            #expect(try await house.holders() == [])
        }
    }

    @Test func `gives it back when its body throws, and lets the error through`() async throws {
        struct Mistake: Error {}
        try await withHouse { house in
            let gpu = try house.pool()
            await #expect(throws: Mistake.self) { try await gpu.withLease(for: "train") { _ in throw Mistake() } }
            #expect(try await house.holders() == [])
        }
    }

    @Test func `lets its body give the unit back early`() async throws {
        try await withHouse { house in
            let value = try await house.pool().withLease(for: "train") { lease in
                let isGivenBack = await lease.release()
                #expect(isGivenBack)
                #expect(!lease.isHeld)
                return 7
            }
            #expect(value == 7)
        }
    }

    @Test func `renews for longer than three times its time`() async throws {
        let ttl = Duration.seconds(4)
        try await withHouse { house in
            try await house.pool().withLease(for: "train", options: .init(ttl: ttl)) { lease in
                let began = ContinuousClock.now
                try await eventually("it was renewed often enough", within: .seconds(60)) {
                    lease.deadline > began + ttl * 3
                }
                let holders = try await house.holders()
                #expect(lease.isHeld && holders == ["train"])
            }
        }
    }

    @Test func `renews while its body blocks its thread`() async throws {
        let ttl = Duration.seconds(4)
        try await withHouse { house in
            try await house.pool().withLease(for: "train", options: .init(ttl: ttl)) { lease in
                let target = ContinuousClock.now + ttl * 2
                while lease.deadline < target, lease.isHeld { usleep(1000) }
                #expect(lease.isHeld)
            }
        }
    }

    @Test func `cancels its body when an admin resets the unit`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let wasCancelled = Mutex(false)
            let kind = await failure {
                try await gpu.withLease(for: "train") { lease in
                    // Renewed when the stream of events is open, which tells more than a renewal does.
                    let first = lease.deadline
                    try await eventually("the stream is open") { lease.deadline > first }
                    try await house.revoke(.reset)
                    await house.untilCancelled()
                    wasCancelled.withLock { $0 = Task.isCancelled }
                }
            }
            #expect(kind == .lost(.revoked, by: "admin", why: "tests"))
            #expect(wasCancelled.withLock { $0 })
        }
    }

    @Test func `tells a loss rather than what its body made of it, and keeps that as the cause`() async throws {
        struct Mistake: Error {}
        try await withHouse { house in
            let gpu = try house.pool()
            let error = await #expect(throws: LeaseError.self) {
                try await gpu.withLease(for: "train") { lease in
                    try await house.revoke(.forceReleaseAll)
                    let loss = await lease.lost
                    #expect(loss?.reason == .forceReleased)
                    throw Mistake()
                }
            }
            #expect(error?.cause is Mistake)
        }
    }

    @Test func `cancels its body at its own deadline when nobody answers`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let deadline = Mutex<ContinuousClock.Instant?>(nil)
            let kind = await failure {
                try await gpu.withLease(for: "train", options: .init(ttl: .seconds(2))) { lease in
                    house.redis.pause()
                    await house.untilCancelled()
                    deadline.withLock { $0 = lease.deadline }
                    #expect(!lease.isHeld)
                }
            }
            let end = try #require(deadline.withLock { $0 })
            #expect(kind == .lost(.expired, by: nil, why: nil))
            // Giving back is not tried for a lease that is over: that would have taken 5 s without an answer.
            #expect(ContinuousClock.now - end < .seconds(4))
            house.redis.resume()
        }
    }

    @Test func `cancels its body when its task is cancelled, and gives the unit back`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let runs = Mutex(false)
            let task = Task {
                try await gpu.withLease(for: "train") { _ in
                    runs.withLock { $0 = true }
                    await house.untilCancelled()
                    return Task.isCancelled
                }
            }
            // The pool knows of a grant a moment before its holder does.
            try await eventually("it runs") { runs.withLock { $0 } }
            task.cancel()
            #expect(try await task.value)
            #expect(try await house.holders() == [])
        }
    }

    @Test func `lets go of its thread when nobody needs it`() async throws {
        try await withHouse { house in
            weak let loop = try await Self.use(house)
            try await eventually("the loop has ended") { loop == nil }
        }
    }

    private static func use(_ house: House) async throws -> EventLoop {
        let gpu = try house.pool("c1", "nobody")
        try await gpu.withLease(for: "train") { lease in
            let first = lease.deadline
            try await eventually("the stream of events is open") { lease.deadline > first }
        }
        try await gpu.withLease(for: "train") { _ in }
        let asked = await gpu.service.coordinator
        #expect(asked == 0, "the end of a lease is no failure of its coordinator")
        return gpu.service.loop
    }
}

extension House {
    /// Returns when the calling task is cancelled.
    func untilCancelled() async { try? await Task.sleep(for: .seconds(60)) }
}
