import LeaseModel

/// Whether calls may have lain unread for long: this process or its machine stood still
/// (docs/decisions/0007-calls-of-unknown-age.md).
package struct Standstill {
    /// Heartbeats are due every `Limits.beat`. Where none was for longer than this, nothing was read either.
    static let bound = Limits.answerWindow

    private var lastTick: BootInstant?
    private var catchesUpUntil: BootInstant?

    package init() {}

    /// A heartbeat is due.
    package mutating func tick(at now: BootInstant) {
        if isOver(now) { catchesUpUntil = now + Limits.beat }
        lastTick = now
    }

    /// Whether a call that is read now may have come before this process stood still.
    package func mayBeOld(at now: BootInstant) -> Bool {
        isOver(now) || catchesUpUntil.map { now < $0 } ?? false
    }

    private func isOver(_ now: BootInstant) -> Bool { lastTick.map { now - $0 > Self.bound } ?? false }
}
