/// A moment since this host booted, suspended time included (`CLOCK_BOOTTIME`). Means nothing to another host.
package struct BootInstant: Comparable, Hashable, Sendable {
    package var sinceBoot: Duration
    package init(sinceBoot: Duration) { self.sinceBoot = sinceBoot }
    package static func < (left: BootInstant, right: BootInstant) -> Bool { left.sinceBoot < right.sinceBoot }
    package static func + (left: BootInstant, right: Duration) -> BootInstant {
        BootInstant(sinceBoot: left.sinceBoot + right)
    }
    package static func - (left: BootInstant, right: Duration) -> BootInstant {
        BootInstant(sinceBoot: left.sinceBoot - right)
    }
    package static func - (left: BootInstant, right: BootInstant) -> Duration { left.sinceBoot - right.sinceBoot }

    /// The earlier of two moments that may never come.
    package static func earlier(_ a: BootInstant?, _ b: BootInstant?) -> BootInstant? {
        guard let a, let b else { return a ?? b }
        return min(a, b)
    }
}

/// A moment of the pool clock, in milliseconds. Orders queues, dates presence; never ends a lease (design §5).
package struct PoolInstant: Comparable, Hashable, Sendable {
    package var milliseconds: Int64
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package static func < (left: PoolInstant, right: PoolInstant) -> Bool { left.milliseconds < right.milliseconds }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
    /// Whole microseconds, rounded towards zero.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
    /// Seconds as a fraction, for JSON and metrics.
    package var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
