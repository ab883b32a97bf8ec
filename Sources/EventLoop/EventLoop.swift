import CSystem
import Glibc
import Synchronization

/// One thread that runs network events, timers and Swift tasks in turn; everything above it is confined to that thread.
///
/// It is the executor of the actors that live on it and the preferred executor of the tasks that `spawn` starts, so a
/// continuation resumed by a C callback goes on in the same turn, without a lock and without another thread.
///
/// `@unchecked Sendable` holds because everything but `remote` is touched by the loop's thread alone, and `remote` is
/// read and written under `lock`.
package final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    /// For the rooms that attach their own C objects to the loop; owned by it, valid as long as it is.
    package let base: OpaquePointer
    let timers: TimerQueue

    private let wakeDescriptor: Int32
    private let thread = Atomic<UInt>(0)
    private let lock = ThreadLock()
    private var remote = RemoteQueue()
    private var jobs: [UnownedJob] = []
    private var running: [UnownedJob] = []
    private var isDrainPending = false
    private var wakeEvent: OpaquePointer?
    private var drainEvent: OpaquePointer?
    private var ownThread: pthread_t?

    /// What foreign threads hand over; the eventfd is written once a batch.
    private struct RemoteQueue {
        var jobs: [UnownedJob] = []
        var isSignalled = false
        var isStopRequested = false

        /// Whether the caller has to wake the loop; others before it have not.
        mutating func signal() -> Bool {
            defer { isSignalled = true }
            return !isSignalled
        }
    }

    /// Rounds of tasks in one turn before the network is looked at again.
    private static let roundsATurn = 4

    /// Makes a loop that belongs to the calling thread until `run` claims it.
    package convenience init() throws(LoopError) {
        try self.init(owner: pthread_self())
    }

    private init(owner: pthread_t) throws(LoopError) {
        shim_ignore_broken_pipes()
        guard let base = event_base_new() else { throw LoopError.last("event_base_new") }
        let wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard wakeDescriptor >= 0 else {
            event_base_free(base)
            throw LoopError.last("eventfd")
        }
        self.base = base
        self.wakeDescriptor = wakeDescriptor
        timers = try TimerQueue(base: base)
        thread.store(UInt(owner), ordering: .relaxed)
        let context = Unmanaged.passUnretained(self).toOpaque()  // both events are freed in deinit
        wakeEvent = event_new(base, wakeDescriptor, Int16(EV_READ | EV_PERSIST), woken, context)
        drainEvent = event_new(base, -1, 0, drainDue, context)
        guard let wakeEvent, drainEvent != nil, event_add(wakeEvent, nil) == 0 else {
            throw LoopError.last("event_new")
        }
    }

    deinit {
        if let ownThread { pthread_detach(ownThread) }
        if let wakeEvent { event_free(wakeEvent) }
        if let drainEvent { event_free(drainEvent) }
        timers.close()
        close(wakeDescriptor)
        event_base_free(base)
    }

    // MARK: Running

    /// Runs on the calling thread, which becomes the loop's, until `stop`. A later `run` goes on where this one ended.
    package func run() {
        thread.store(UInt(pthread_self()), ordering: .relaxed)
        event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY)
        lock.withLock { remote.isStopRequested = false }
    }

    /// Lets `run` return after the work at hand, from any thread. Tasks that are still waiting do not go on.
    package func stop() {
        let mustWake = lock.withLock {
            remote.isStopRequested = true
            return remote.signal()
        }
        if mustWake { wake() }
    }

    /// Starts a loop on a thread of its own, for clients and tests; `stopAndJoin` ends it.
    package static func onOwnThread() throws(LoopError) -> EventLoop {
        let loop = try EventLoop(owner: 0)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(loop)  // released when the thread ends
        let code = pthread_create(&thread, nil, ownThreadBody, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw LoopError(call: "pthread_create", code: code)
        }
        loop.lock.withLock { loop.ownThread = thread }
        return loop
    }

    /// Stops a loop made by `onOwnThread` and waits for its thread to end; on the loop's own thread it only stops.
    package func stopAndJoin() {
        stop()
        guard !isCurrent else { return }
        let thread = lock.withLock {
            defer { ownThread = nil }
            return ownThread
        }
        if let thread { pthread_join(thread, nil) }
    }

    /// Whether the caller is on the loop's thread.
    package var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    // MARK: Clocks

    /// Time since this host booted, suspended time included: the only clock that decides anything.
    package nonisolated var now: Duration { Self.read(CLOCK_BOOTTIME) }

    /// Time since 1970, for people to read; it may step and decides nothing.
    package nonisolated var wallClock: Duration { Self.read(CLOCK_REALTIME) }

    static func read(_ clock: clockid_t) -> Duration {
        var time = timespec()
        clock_gettime(clock, &time)
        return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
    }

    // MARK: Work

    /// Starts a task that stays on the loop's thread, also after each of its continuations.
    @discardableResult
    package func spawn(_ work: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: self, operation: work)
    }

    /// Runs `work` on the loop's thread: at once when called there, otherwise in a coming turn, in the order of calls.
    package func perform(_ work: @escaping @Sendable () -> Void) {
        if isCurrent { work() } else { spawn { work() } }
    }

    /// Runs `work` on the loop's thread and waits for the outcome that it tells, once. Cancelling the task changes nothing.
    package func outcome<Outcome: Sendable>(
        of work: @escaping @Sendable (_ tell: @escaping (Outcome) -> Void) -> Void
    ) async -> Outcome {
        await withUnsafeContinuation { continuation in
            perform { work { continuation.resume(returning: $0) } }
        }
    }

    /// A timer that fires once each time it is armed, on the loop's thread.
    package func timer(_ fire: @escaping @Sendable () -> Void) -> LoopTimer {
        LoopTimer(loop: self, fire: fire)
    }

    /// Returns after `duration`, or at once when the task is cancelled.
    package func sleep(for duration: Duration) async {
        let sleeper = Sleeper(loop: self)
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                perform { sleeper.begin(duration, continuation) }
            }
        } onCancel: {
            perform { sleeper.end() }
        }
    }

    // MARK: Executor

    /// Takes a task's next piece of work, from any thread.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            jobs.append(job)
            scheduleDrain()
            return
        }
        let mustWake = lock.withLock {
            remote.jobs.append(job)
            return remote.signal()
        }
        if mustWake { wake() }
    }

    /// Whether the caller may touch what lives on this loop.
    package func isIsolatingCurrentContext() -> Bool? { isCurrent }

    /// Traps when the caller is not on the loop's thread.
    package func checkIsolated() {
        precondition(isCurrent, "this may only be called on its loop's thread")
    }

    private func scheduleDrain() {
        guard !isDrainPending, let drainEvent else { return }
        isDrainPending = true
        event_active(drainEvent, 0, 0)
    }

    fileprivate func drain() {
        isDrainPending = true  // what is enqueued meanwhile is taken by this very loop
        for _ in 0..<Self.roundsATurn where !jobs.isEmpty {
            swap(&jobs, &running)
            for job in running {
                job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            }
            running.removeAll(keepingCapacity: true)
        }
        isDrainPending = !jobs.isEmpty
        guard isDrainPending, let drainEvent else { return }
        // An activated event would run again in the same pass; one that is due at once waits for the next look at the
        // network, so that tasks cannot starve it.
        var immediately = timeval()
        event_add(drainEvent, &immediately)
    }

    fileprivate func takeRemote() {
        var count: UInt64 = 0
        _ = Glibc.read(wakeDescriptor, &count, 8)
        let (arrived, mustStop) = lock.withLock {
            var arrived: [UnownedJob] = []
            swap(&arrived, &remote.jobs)
            remote.isSignalled = false
            return (arrived, remote.isStopRequested)
        }
        jobs.append(contentsOf: arrived)
        if !jobs.isEmpty { drain() }
        if mustStop { event_base_loopbreak(base) }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }
}

private func ownThreadBody(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().run()
    return nil
}

private func woken(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().takeRemote()
}

private func drainDue(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().drain()
}

/// One `sleep`: its continuation is resumed by the timer or by the cancellation, whichever comes first.
///
/// `@unchecked Sendable` holds because both act on the loop's thread only.
private final class Sleeper: @unchecked Sendable {
    private let loop: EventLoop
    private var continuation: UnsafeContinuation<Void, Never>?
    private var timer: LoopTimer?
    private var isOver = false

    init(loop: EventLoop) { self.loop = loop }

    func begin(_ duration: Duration, _ continuation: UnsafeContinuation<Void, Never>) {
        guard !isOver else { return continuation.resume() }
        self.continuation = continuation
        let timer = loop.timer { self.end() }
        self.timer = timer
        timer.arm(after: duration)
    }

    func end() {
        isOver = true
        timer?.disarm()
        timer = nil
        continuation?.resume()
        continuation = nil
    }
}
