import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// How a coordinator's copy of the pool is kept: what has to be read again, and how old it is.
struct PoolReading {
    /// The copy has been read once.
    var isRead = false
    /// Events come.
    var isFollowed = false
    var wasFollowed = false
    var isReading = false
    var mustReadAgain = false
    /// What happened while the pool was being read: some of it is in what is read, some is not.
    var meanwhile: [PoolEvent] = []
    /// The newest event that is in the copy.
    var lastSeen: RedisStreamID?
    /// Since when the copy is not kept current; nil while it is.
    private(set) var lostAt: BootInstant?
    /// The pool's clock less this host's, ms.
    private var offset: Int64?

    /// At most one reading of the pool in this time, however many hosts come and go.
    static let pause = Duration.milliseconds(200)

    mutating func lost(at now: BootInstant) { lostAt = lostAt ?? now }
    mutating func found() { lostAt = nil }

    func age(at now: BootInstant) -> Duration { lostAt.map { now - $0 } ?? .zero }

    /// The pool's clock as far as it is known here; 0 before anything was heard.
    func clock(at now: BootInstant) -> Int64 { offset.map { now.sinceBoot.milliseconds + $0 } ?? 0 }

    /// A moment of the pool's clock that was read just now.
    mutating func clockWas(_ milliseconds: Int64, at now: BootInstant) {
        offset = milliseconds - now.sinceBoot.milliseconds
    }

    /// A moment of the pool's clock that has passed.
    mutating func clockPassed(_ milliseconds: Int64, at now: BootInstant) {
        if milliseconds > clock(at: now) { clockWas(milliseconds, at: now) }
    }
}

extension Coordinator {
    /// Reads hosts, units, leases and waiters; what happens meanwhile is applied on top.
    func readPool() {
        guard stage == .running else { return }
        guard !pool.isReading else {
            pool.mustReadAgain = true
            return
        }
        pool.isReading = true
        pool.mustReadAgain = false
        pool.meanwhile = []
        loop.spawn { [store, log] in
            let snapshot: PoolSnapshot?
            do throws(StoreError) {
                snapshot = try await store.snapshot()
            } catch {
                log.debug("snapshot_failed", ["error": .text(error.message)])
                snapshot = nil
            }
            await self.poolWasRead(snapshot)
        }
    }

    private func poolWasRead(_ snapshot: PoolSnapshot?) async {
        if let snapshot {
            mirror.take(snapshot)
            let last = RedisStreamID(snapshot.lastEvent)
            pool.lastSeen = last
            for event in pool.meanwhile where RedisStreamID(event.id) > last { mirror.apply(event) }
            pool.isRead = true
            pool.clockWas(snapshot.at.milliseconds, at: now)
            if isUp { pool.found() }
            follow(after: snapshot.lastEvent)
            lookAtAdminCalls()
        } else {
            pool.lost(at: now)
            pool.mustReadAgain = true
        }
        await loop.sleep(for: PoolReading.pause)
        pool.isReading = false
        pool.meanwhile = []
        // A Redis that is away is read when it is back.
        if pool.mustReadAgain, isUp { readPool() }
    }

    /// The oldest event that the stream has kept. What was trimmed before it was read here is not told: read all again.
    func streamBegins(at first: RedisStreamID) {
        guard let lastSeen = pool.lastSeen, lastSeen < first else { return }
        // A pool that had no events yet has not missed any that anybody could know of.
        if lastSeen > .beginning {
            log.warning("events_missed", ["after": .text(lastSeen.text), "before": .text(first.text)])
        }
        readPool()
    }

    /// Entries of the event stream, in order.
    func happened(_ entries: [RedisStreamEntry]) {
        var mustRead = false
        let events = entries.compactMap(Inbox.event)
        audit { (trail) throws(LoopError) in try trail.take(events) }
        if let latest = events.lazy.map(\.at).max() { pool.clockPassed(latest, at: now) }
        for event in events {
            if pool.isReading { pool.meanwhile.append(event) }
            count(event)
            if let ended = mirror.apply(event) { leaseEnded(ended) }
            if PoolMirror.changesHosts(event.kind) { mustRead = true }
            feed.tell(event)
        }
        if let last = entries.last { pool.lastSeen = RedisStreamID(last.id) }
        if mustRead { readPool() }
    }
}
