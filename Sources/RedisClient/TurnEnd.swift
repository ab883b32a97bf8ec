import CSystem

/// Something to do at the end of a turn of the loop, after all that the turn has found to do, and before it waits again.
/// On the loop's thread.
final class TurnEnd {
    private let work: () -> Void
    private var event: OpaquePointer?

    /// - Parameter base: The loop's; it outlives this value.
    init(_ base: OpaquePointer, _ work: @escaping () -> Void) {
        self.work = work
        event = event_new(base, -1, 0, turnHasEnded, Unmanaged.passUnretained(self).toOpaque())  // freed in deinit
    }

    deinit { event.map { event_free($0) } }

    /// Has it done once at the end of this turn.
    func arm() { event_active(event, 0, 0) }

    fileprivate func end() { work() }
}

private func turnHasEnded(_ descriptor: Int32, _ what: Int16, _ data: UnsafeMutableRawPointer?) {
    guard let data else { return }
    Unmanaged<TurnEnd>.fromOpaque(data).takeUnretainedValue().end()
}
