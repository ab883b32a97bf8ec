import CSystem
import EventLoop
import Glibc

/// When processes die that are not this one's children. On a thread of its own, which nothing else keeps busy.
actor Deaths {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    struct Death: Sendable {
        /// When it was last seen alive.
        var after: Int64
        /// When it was first seen dead.
        var before: Int64
    }

    private let loop: EventLoop
    private var watched: [Int32: (entry: pollfd, alive: Int64)] = [:]
    private var deaths: [Int32: Death] = [:]
    private var isOver = false

    init() throws { loop = try EventLoop.onOwnThread() }

    func begin() {
        loop.spawn {
            while await self.look() { await self.loop.sleep(for: .microseconds(50)) }
        }
    }

    /// Ends the thread; to be called from another.
    nonisolated func end() async {
        await stop()
        loop.stopAndJoin()
    }

    private func stop() { isOver = true }

    /// False where there is no such process.
    func watch(_ process: Int32) -> Bool {
        let descriptor = shim_pidfd_open(process)
        guard descriptor >= 0 else { return false }
        watched[process] = (pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0), Moment.now)
        return true
    }

    /// When the last of these died; nil while one lives.
    func end(of processes: [Int32]) -> Death? {
        let ends = processes.compactMap { deaths[$0] }
        return ends.count == processes.count ? ends.max { $0.before < $1.before } : nil
    }

    private func look() -> Bool {
        guard !isOver else { return false }
        let processes = Array(watched.keys)
        var entries = processes.compactMap { watched[$0]?.entry }
        poll(&entries, nfds_t(entries.count), 1)
        let now = Moment.now
        for (process, entry) in zip(processes, entries) {
            if entry.revents == 0 {
                watched[process]?.alive = now
            } else {
                close(entry.fd)
                deaths[process] = Death(after: watched[process]?.alive ?? now, before: now)
                watched[process] = nil
            }
        }
        return true
    }
}
