import EventLoop

/// What the tasks of one loop count together, in a window that is opened and closed.
///
/// `@unchecked Sendable` holds because each method checks that it runs on the loop's thread.
package final class Tally: @unchecked Sendable {
    private let loop: EventLoop
    private var isOpen = false
    private var samples = Samples()
    private var sum = 0

    package init(loop: EventLoop) { self.loop = loop }

    /// Counts from now on.
    package func open() {
        loop.checkIsolated()
        (samples, sum, isOpen) = (Samples(), 0, true)
    }

    /// Counts no more; tells the durations and the sum of the amounts.
    package func close() -> (samples: Samples, sum: Int) {
        loop.checkIsolated()
        isOpen = false
        return (samples, sum)
    }

    /// Something took so many nanoseconds.
    package func note(_ nanoseconds: Int) {
        loop.checkIsolated()
        if isOpen { samples.add(nanoseconds) }
    }

    /// So much of something came.
    package func add(_ amount: Int) {
        loop.checkIsolated()
        if isOpen { sum += amount }
    }
}

/// A flag that ends tasks of one loop.
///
/// `@unchecked Sendable` holds because both accesses check that they run on the loop's thread.
package final class EndFlag: @unchecked Sendable {
    private let loop: EventLoop
    private var isSet = false

    package init(loop: EventLoop) { self.loop = loop }

    package var isRaised: Bool {
        loop.checkIsolated()
        return isSet
    }

    package func raise() {
        loop.checkIsolated()
        isSet = true
    }
}

/// When something happened last, told between tasks of one loop.
///
/// `@unchecked Sendable` holds because both accesses check that they run on the loop's thread.
package final class LastMoment: @unchecked Sendable {
    private let loop: EventLoop
    private var nanoseconds: Int?

    package init(loop: EventLoop) { self.loop = loop }

    package var moment: Int? {
        get {
            loop.checkIsolated()
            return nanoseconds
        }
        set {
            loop.checkIsolated()
            nanoseconds = newValue
        }
    }
}
