import CSystem
import Glibc

/// The terminal that this process is shown on.
package enum Terminal {
    /// Characters that fit.
    package struct Size: Equatable, Sendable {
        package let columns: Int
        package let rows: Int

        package init(columns: Int, rows: Int) {
            self.columns = columns
            self.rows = rows
        }
    }

    /// The size of the terminal at the output, the error output or the input; nil where none of them is one.
    package static var size: Size? {
        for descriptor in [1, 2, 0] as [Int32] {
            var columns: Int32 = 0
            var rows: Int32 = 0
            if shim_terminal_size(descriptor, &columns, &rows) == 0, columns > 0, rows > 0 {
                return Size(columns: Int(columns), rows: Int(rows))
            }
        }
        return nil
    }
}

/// The keys that are pressed on the terminal at standard input, one by one and unseen, told on the loop.
///
/// While it lives Ctrl-C works as ever and Ctrl-Z does not: it would leave the terminal as it is.
/// `@unchecked Sendable` holds because it is made, used and closed on the loop's thread.
package final class TerminalKeys: @unchecked Sendable {
    private let onKey: @Sendable (UInt8) -> Void
    private var former = termios()
    private var event: OpaquePointer?

    /// Nil where standard input is no terminal. To be called on the loop's thread, as `close` is.
    package init?(loop: EventLoop, onKey: @escaping @Sendable (UInt8) -> Void) {
        loop.checkIsolated()
        self.onKey = onKey
        guard tcgetattr(0, &former) == 0 else { return nil }
        var changed = former
        changed.c_lflag &= ~tcflag_t(ICANON | ECHO)
        shim_disable_suspend_key(&changed)
        guard tcsetattr(0, TCSANOW, &changed) == 0 else { return nil }
        let context = Unmanaged.passUnretained(self).toOpaque()  // freed in close, which deinit calls
        event = event_new(loop.base, 0, Int16(EV_READ | EV_PERSIST), keysPressed, context)
        guard let event, event_add(event, nil) == 0 else {
            close()
            return nil
        }
    }

    deinit { close() }

    /// Gives the terminal its former manners back.
    package func close() {
        guard let event else { return }
        event_free(event)
        self.event = nil
        tcsetattr(0, TCSANOW, &former)
    }

    fileprivate func look() {
        var bytes = [UInt8](repeating: 0, count: 64)
        let got = read(0, &bytes, bytes.count)
        guard got > 0 else {
            if got == 0 { close() }
            return
        }
        for byte in bytes[..<got] { onKey(byte) }
    }
}

private func keysPressed(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<TerminalKeys>.fromOpaque(context).takeUnretainedValue().look()
}
