import CSystem
import Glibc

/// A one-shot timer that can be armed again; for the loop's thread only.
///
/// The loop keeps an armed timer alive until it fires or is disarmed. `@unchecked Sendable` holds because each method
/// checks that it runs on the loop's thread.
package final class LoopTimer: @unchecked Sendable {
    private unowned let loop: EventLoop
    fileprivate let fire: @Sendable () -> Void
    fileprivate var position: Int?
    fileprivate var deadline = Duration.zero
    fileprivate var turn: UInt64 = 0

    init(loop: EventLoop, fire: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.fire = fire
    }

    /// Lets the timer fire once `after` has passed, suspended time included, in place of any earlier arming.
    /// Zero and less fire in a coming turn, never inside this call.
    package func arm(after: Duration) {
        loop.checkIsolated()
        loop.timers.arm(self, at: EventLoop.read(CLOCK_BOOTTIME) + max(after, .zero))
    }

    /// Forgets the arming; does nothing when there is none.
    package func disarm() {
        loop.checkIsolated()
        loop.timers.disarm(self)
    }

    /// Whether the timer is going to fire.
    package var isArmed: Bool {
        loop.checkIsolated()
        return position != nil
    }
}

/// All timers of a loop in one binary heap over one descriptor, so that thousands of deadlines cost one system call
/// each time the earliest of them changes. The descriptor counts suspended time, which libevent's own timers do not.
final class TimerQueue {
    private let descriptor: Int32
    private var event: OpaquePointer?
    private var heap: [LoopTimer] = []
    private var turns: UInt64 = 0
    private var setFor: Duration?

    init(base: OpaquePointer) throws(LoopError) {
        descriptor = timerfd_create(CLOCK_BOOTTIME, Int32(TFD_NONBLOCK | TFD_CLOEXEC))
        guard descriptor >= 0 else { throw LoopError.last("timerfd_create") }
        let context = Unmanaged.passUnretained(self).toOpaque()  // freed in close, before the queue goes
        event = event_new(base, descriptor, Int16(EV_READ | EV_PERSIST), timersDue, context)
        guard let event, event_add(event, nil) == 0 else { throw LoopError.last("event_new") }
    }

    func close() {
        if let event { event_free(event) }
        event = nil
        Glibc.close(descriptor)
    }

    func arm(_ timer: LoopTimer, at deadline: Duration) {
        if timer.position != nil { remove(timer) }
        timer.deadline = deadline
        timer.turn = turns
        turns += 1
        timer.position = heap.count
        heap.append(timer)
        rise(from: heap.count - 1)
        setDescriptor()
    }

    func disarm(_ timer: LoopTimer) {
        // The descriptor may stay set too early: a wake-up without a due timer costs less than setting it each time.
        if timer.position != nil { remove(timer) }
    }

    fileprivate func fireDue() {
        var expirations: UInt64 = 0
        _ = read(descriptor, &expirations, 8)
        setFor = nil
        let now = EventLoop.read(CLOCK_BOOTTIME)
        let turn = turns  // what is armed while these fire waits for the next turn
        while let first = heap.first, first.deadline <= now, first.turn < turn {
            remove(first)
            first.fire()
        }
        setDescriptor()
    }

    private func setDescriptor() {
        guard let earliest = heap.first?.deadline, setFor.map({ earliest < $0 }) ?? true else { return }
        setFor = earliest
        let (seconds, attoseconds) = max(earliest, .nanoseconds(1)).components  // zero would mean never
        var setting = itimerspec()
        setting.it_value.tv_sec = Int(seconds)
        setting.it_value.tv_nsec = Int(attoseconds / 1_000_000_000)
        let status = timerfd_settime(descriptor, Int32(TFD_TIMER_ABSTIME), &setting, nil)
        precondition(status == 0, "a deadline that the descriptor takes")
    }

    // MARK: Heap

    private func isBefore(_ a: LoopTimer, _ b: LoopTimer) -> Bool {
        a.deadline == b.deadline ? a.turn < b.turn : a.deadline < b.deadline
    }

    private func remove(_ timer: LoopTimer) {
        guard let position = timer.position else { return }
        precondition(heap[position] === timer, "a timer knows its own place")
        timer.position = nil
        let last = heap.removeLast()
        guard last !== timer else { return }
        heap[position] = last
        last.position = position
        sink(from: position)
        rise(from: last.position ?? position)
    }

    private func rise(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBefore(heap[child], heap[parent]) else { return }
            exchange(child, parent)
            child = parent
        }
    }

    private func sink(from start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if isBefore(heap[child], heap[least]) { least = child }
            }
            guard least != parent else { return }
            exchange(parent, least)
            parent = least
        }
    }

    private func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].position = a
        heap[b].position = b
    }
}

private func timersDue(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<TimerQueue>.fromOpaque(context).takeUnretainedValue().fireDue()
}
