import EventLoop
import Synchronization
import TestSupport
import Testing

@Suite struct EventLoopTests {
    @Test func `a spawned task stays on the loop after each continuation`() async throws {
        try await withLoop { loop in
            let places = Log<Bool>()
            let echo = Echo(loop: loop)
            await loop.spawn {
                for _ in 0..<100 {
                    places.add(loop.isCurrent)
                    await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                        loop.timer { continuation.resume() }.arm(after: .zero)
                    }
                    await withCheckedContinuation { $0.resume() }
                    places.add(loop.isCurrent)
                    #expect(await echo.isOnLoop())
                }
            }.value
            #expect(places.all == Array(repeating: true, count: 200))
        }
    }

    @Test func `an actor of the loop is entered from a callback without a hop`() async throws {
        try await withLoop { loop in
            let echo = Echo(loop: loop)
            let entered = try await loop.run { echo.assumeIsolated { $0.enter() } }
            #expect(entered == 1)
            #expect(await echo.isOnLoop())
        }
    }

    @Test func `work from many threads is all done, each thread's in its order`() async throws {
        try await withLoop { loop in
            let done = Log<[Int]>()
            await withTaskGroup(of: Void.self) { group in
                for thread in 0..<8 {
                    group.addTask { for step in 0..<500 { loop.perform { done.add([thread, step]) } } }
                }
            }
            try await eventually("all work is done", is: 4000) { done.all.count }
            for thread in 0..<8 { #expect(done.all.filter { $0[0] == thread }.map { $0[1] } == Array(0..<500)) }
        }
    }

    @Test func `tasks that never rest do not starve timers`() async throws {
        try await withLoop { loop in
            let fired = Log<Int>()
            let task = loop.spawn {
                while !Task.isCancelled { await loop.spawn {}.value }
            }
            loop.perform { loop.timer { fired.add(1) }.arm(after: .milliseconds(5)) }
            try await eventually("the timer fires", is: [1]) { fired.all }
            task.cancel()
            await task.value
        }
    }

    @Test func `timers fire in the order of their deadlines`() async throws {
        try await withLoop { loop in
            let fired = Log<(earliest: Duration, latest: Duration)>()
            try await loop.run {
                for delay in (0..<300).shuffled().map({ Duration.microseconds(20_000 + $0 / 2 * 100) }) {
                    let bounds = Mutex((earliest: loop.now + delay, latest: Duration.zero))
                    loop.timer { fired.add(bounds.withLock { $0 }) }.arm(after: delay)
                    bounds.withLock { $0.latest = loop.now + delay }
                }
            }
            try await eventually("all have fired", is: 300) { fired.all.count }
            for (one, next) in zip(fired.all, fired.all.dropFirst()) { #expect(one.earliest <= next.latest) }
        }
    }

    @Test func `timers that are due fire in the order of their arming`() async throws {
        try await withLoop { loop in
            let fired = Log<Int>()
            try await loop.run {
                for index in 0..<300 { loop.timer { fired.add(index) }.arm(after: .seconds(-index)) }
            }
            try await eventually("all have fired", is: Array(0..<300)) { fired.all }
        }
    }

    @Test func `a disarmed timer is silent, one armed again fires once`() async throws {
        try await withLoop { loop in
            let fired = Log<String>()
            try await loop.run {
                let disarmed = loop.timer { fired.add("disarmed") }
                disarmed.arm(after: .milliseconds(1))
                disarmed.disarm()
                let moved = loop.timer { fired.add("moved") }
                moved.arm(after: .milliseconds(1))
                moved.arm(after: .milliseconds(3))
                loop.timer { fired.add("last") }.arm(after: .milliseconds(20))
            }
            try await eventually("the last has fired") { fired.all.contains("last") }
            #expect(fired.all == ["moved", "last"])
        }
    }

    @Test func `a timer armed for now by itself fires again in a later turn`() async throws {
        try await withLoop { loop in
            let fired = Log<Int>()
            let again = Mutex<LoopTimer?>(nil)
            let timer = loop.timer {
                fired.add(1)
                if fired.all.count < 50 { again.withLock { $0 }?.arm(after: .zero) }
            }
            again.withLock { $0 = timer }
            loop.perform { timer.arm(after: .zero) }
            try await eventually("it has fired fifty times", is: 50) { fired.all.count }
            again.withLock { $0 = nil }
        }
    }

    @Test func `heap order survives random arming and disarming`() async throws {
        try await withLoop { loop in
            let fired = Log<Int>()
            let kept = try await loop.run { () -> [Int] in
                var generator = SystemRandomNumberGenerator()
                let timers = (0..<500).map { index in loop.timer { fired.add(index) } }
                var armed = Set<Int>()
                for _ in 0..<3000 {
                    let index = Int.random(in: 0..<500, using: &generator)
                    if Bool.random(using: &generator) {
                        timers[index].arm(after: .milliseconds(Int.random(in: 60...90, using: &generator)))
                        armed.insert(index)
                    } else {
                        timers[index].disarm()
                        armed.remove(index)
                    }
                }
                return armed.sorted()
            }
            try await eventually("the armed ones have fired") { fired.all.count >= kept.count }
            #expect(fired.all.sorted() == kept)
        }
    }

    @Test func `a sleep ends at once when its task is cancelled`() async throws {
        try await withLoop { loop in
            let task = loop.spawn { await loop.sleep(for: .seconds(600)) }
            task.cancel()
            await task.value
            await loop.sleep(for: .milliseconds(1))
        }
    }

    @Test func `a stopped loop can run again`() async throws {
        let loop = try EventLoop.onOwnThread()
        loop.stopAndJoin()
        loop.stopAndJoin()
        #expect(!loop.isCurrent)
    }

    @Test func `a loop that is let go leaves nothing behind`() async throws {
        weak var gone: EventLoop?
        do {
            let loop = try EventLoop.onOwnThread()
            gone = loop
            await loop.spawn {}.value
            loop.stopAndJoin()
        }
        #expect(gone == nil)
    }

    @Test func `the boot clock rises and the wall clock is this century's`() async throws {
        try await withLoop { loop in
            let before = loop.now
            #expect(loop.now >= before)
            #expect(before > .zero)
            #expect(loop.wallClock > .seconds(1_700_000_000))
        }
    }
}

/// Values in the order in which they came, from any thread.
final class Log<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

private actor Echo {
    let loop: EventLoop
    private var entries = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(loop: EventLoop) { self.loop = loop }

    func isOnLoop() -> Bool { loop.isCurrent }
    func enter() -> Int {
        entries += 1
        return entries
    }
}
