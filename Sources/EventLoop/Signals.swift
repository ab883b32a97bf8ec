import CSystem

/// The signals that end or reload a program, told on the loop's thread; while it lives they no longer kill the process.
///
/// Only one loop of a process can hear signals. `@unchecked Sendable` holds because everything happens on the loop.
package final class Signals: @unchecked Sendable {
    /// A signal that people and supervisors send.
    package enum Signal: Int32, Sendable, CaseIterable {
        case hangUp = 1
        case interrupt = 2
        case quit = 3
        case kill = 9
        case user1 = 10
        case terminate = 15

        /// As `kill -l` has it, without SIG.
        package var name: String {
            switch self {
            case .hangUp: "HUP"
            case .interrupt: "INT"
            case .quit: "QUIT"
            case .kill: "KILL"
            case .user1: "USR1"
            case .terminate: "TERM"
            }
        }
    }

    private let onSignal: @Sendable (Signal) -> Void
    private var events: [OpaquePointer] = []

    /// Listens until `close`. To be called on the loop's thread, as `close` is.
    package init(
        loop: EventLoop, for signals: [Signal] = [.interrupt, .terminate, .hangUp],
        onSignal: @escaping @Sendable (Signal) -> Void
    ) throws(LoopError) {
        loop.checkIsolated()
        self.onSignal = onSignal
        for signal in signals {
            let context = Unmanaged.passUnretained(self).toOpaque()  // freed in close, which deinit calls
            let kind = Int16(EV_SIGNAL | EV_PERSIST)
            guard let event = event_new(loop.base, signal.rawValue, kind, signalArrived, context),
                event_add(event, nil) == 0
            else { throw LoopError.last("event_new for \(signal)") }
            events.append(event)
        }
    }

    deinit { close() }

    /// Gives the signals their former effect back.
    package func close() {
        for event in events { event_free(event) }
        events = []
    }

    fileprivate func arrived(_ number: Int32) {
        guard let signal = Signal(rawValue: number) else { return }
        onSignal(signal)
    }
}

private func signalArrived(_ number: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Signals>.fromOpaque(context).takeUnretainedValue().arrived(number)
}
