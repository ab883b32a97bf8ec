import EventLoop
import LeaseStore
import RedisClient

/// Lets scripts reach Redis in the order in which they were decided, without one waiting for another's answer. Between
/// confirms and renewals of one turn, which leave together, the order is open.
///
/// Tasks that start in order need not arrive in order: each call on the way is a hop of its own. So a piece of work
/// takes its place when it is decided, and its script leaves when all before it have left.
actor Outbox {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    @TaskLocal private static var place: Int?

    private let loop: EventLoop
    private let toRedis: LeaseCalls.Sender
    private var issued = 0
    /// The place whose script is the next to leave.
    private var next = 0
    private var waiting: [Int: () -> Void] = [:]
    /// Places whose scripts have left, or never will, and after which `next` has yet to move on.
    private var left: Set<Int> = []

    init(loop: EventLoop, send: @escaping LeaseCalls.Sender) {
        self.loop = loop
        toRedis = send
    }

    /// Starts work whose script, one at most, leaves after those of all work started before. On the loop.
    nonisolated func start(_ work: @escaping @Sendable () async -> Void) {
        let place = assumeIsolated { outbox in
            defer { outbox.issued += 1 }
            return outbox.issued
        }
        loop.spawn {
            await Self.$place.withValue(place) { await work() }
            await self.leave(place)
        }
    }

    /// Sends a script after those of all work started before, without a task of its own. On the loop.
    nonisolated func send(
        _ script: RedisScript, _ keys: [String], _ arguments: [RedisArgument],
        _ reply: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        let departure = Departure { self.toRedis(script, keys, arguments, reply) }
        assumeIsolated { outbox in
            let place = outbox.issued
            outbox.issued += 1
            if place == outbox.next {
                outbox.next += 1
                departure.leave()
            } else {
                outbox.waiting[place] = {
                    departure.leave()
                    outbox.left.insert(place)
                }
            }
        }
    }

    /// `@unchecked Sendable` holds because it is made and left on the loop's thread.
    private struct Departure: @unchecked Sendable {
        let leave: () -> Void
    }

    /// Sends a script when its turn has come; one of no started work at once.
    func evaluate(
        _ script: RedisScript, _ keys: [String], _ arguments: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        let place = Self.place
        if let place, place > next {
            await withCheckedContinuation { continuation in waiting[place] = { continuation.resume() } }
        }
        let outcome: Result<RedisReply, RedisError> = await withCheckedContinuation { continuation in
            toRedis(script, keys, arguments) { continuation.resume(returning: $0) }
            if let place { leave(place) }
        }
        return try outcome.get()
    }

    private func leave(_ place: Int) {
        guard place >= next else { return }
        left.insert(place)
        while left.remove(next) != nil {
            next += 1
            waiting.removeValue(forKey: next)?()
        }
    }
}
