import CSystem
import Glibc

/// The terminal's foreground while a child has it: what is typed goes to the child, Ctrl-C and Ctrl-Z included.
///
/// A child that is stopped gives the terminal back to this process, which then stops as well, so that a shell takes both
/// for one job; `fg` and `bg` let both go on. `@unchecked Sendable` holds because all of it is used on the loop's thread.
package final class TerminalForeground: @unchecked Sendable {
    /// What a stop was.
    package enum Change: Sendable { case stopping, goesOn }

    private let terminal: Int32
    private let child: ChildProcess
    private let ownGroup = getpgrp()
    private let onChange: @Sendable (Change) -> Void
    private var manners = termios()
    private var events: [OpaquePointer] = []

    /// The descriptor of the terminal whose foreground this process is in; nil where there is none.
    package static var terminal: Int32? {
        ([0, 2, 1] as [Int32]).first { isatty($0) == 1 && tcgetpgrp($0) == getpgrp() }
    }

    /// To be made at once after the start of a child whose group is `.ownInForeground`, on the loop's thread.
    ///
    /// - Parameter onChange: Told before this process stops with the child, and when both go on.
    package init(
        terminal: Int32, child: ChildProcess, loop: EventLoop, onChange: @escaping @Sendable (Change) -> Void
    ) throws(LoopError) {
        loop.checkIsolated()
        self.terminal = terminal
        self.child = child
        self.onChange = onChange
        tcgetattr(terminal, &manners)
        let context = Unmanaged.passUnretained(self).toOpaque()  // freed in close, which deinit calls
        let kind = Int16(EV_SIGNAL | EV_PERSIST)
        events = [
            event_new(loop.base, SIGCHLD, kind, childChanged, context),
            event_new(loop.base, SIGCONT, kind, continued, context),
        ].compactMap(\.self)
        guard events.count == 2, events.allSatisfy({ event_add($0, nil) == 0 }) else {
            throw LoopError.last("event_new for signals of a child")
        }
        look()  // it may have stopped before anybody listened
    }

    deinit { close() }

    /// Takes the terminal back from a child that has ended, or could not be started.
    package static func takeBack(_ terminal: Int32) { _ = shim_set_foreground(terminal, getpgrp()) }

    /// The child has ended: the terminal is this process's again, with its former manners where a signal ended the child
    /// and nobody else tidies up.
    package func end(_ exit: ChildExit) {
        close()
        _ = shim_set_foreground(terminal, ownGroup)
        if case .signalled = exit { tcsetattr(terminal, TCSADRAIN, &manners) }
    }

    private func close() {
        for event in events { event_free(event) }
        events = []
    }

    fileprivate func look() {
        guard child.isRunning, shim_has_stopped(child.processID) != 0 else { return }
        onChange(.stopping)
        _ = shim_set_foreground(terminal, ownGroup)
        // Returns when a shell lets us go on; at once where none has stopped us because none is there.
        kill(0, SIGTSTP)
        goOn()
        onChange(.goesOn)
    }

    /// A shell has let this process go on, perhaps in the foreground.
    fileprivate func goOn() {
        guard child.isRunning else { return }
        if tcgetpgrp(terminal) == ownGroup { _ = shim_set_foreground(terminal, child.processID) }
        kill(-child.processID, SIGCONT)
    }
}

private func childChanged(_ number: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<TerminalForeground>.fromOpaque(context).takeUnretainedValue().look()
}

private func continued(_ number: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<TerminalForeground>.fromOpaque(context).takeUnretainedValue().goOn()
}
