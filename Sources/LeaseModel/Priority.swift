/// How urgent a request is: 0 is served first, 100 last.
package struct Priority: Hashable, Comparable, Sendable {
    package let value: Int

    /// - Throws: `InvalidName` outside 0...100.
    package init(_ value: Int) throws(InvalidName) {
        guard (0...Limits.lowestPriority).contains(value) else {
            throw InvalidName(what: "priority", got: String(value), want: "0 (first) to \(Limits.lowestPriority)")
        }
        self.value = value
    }

    private init(known value: Int) { self.value = value }

    package static let voice = Priority(known: 0)
    package static let console = Priority(known: 10)
    package static let standard = Priority(known: 15)
    package static let dreamer = Priority(known: 20)

    package static func < (left: Priority, right: Priority) -> Bool { left.value < right.value }
}

/// How the age of a request weighs against its priority (design §3).
package enum Aging: Equatable, Sendable {
    /// A priority point is worth this many milliseconds of waiting.
    case perPoint(milliseconds: Int64)
    /// Priority alone decides; age orders only equals.
    case strict

    package static let standard = Aging.perPoint(milliseconds: 6000)

    /// Microseconds of queue score that a priority point weighs.
    ///
    /// `strict` is 10^13 µs (116 days): with 100 points and a clock of 1.7·10^15 µs a score stays below 2^53, the
    /// largest integer that a sorted set holds exactly.
    package var microsecondsPerPoint: Int64 {
        switch self {
        case .perPoint(let milliseconds): milliseconds * 1000
        case .strict: 10_000_000_000_000
        }
    }
}
