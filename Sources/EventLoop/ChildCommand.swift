/// What a child process is told to be.
package struct ChildCommand: Sendable {
    /// What the child reads on standard input.
    package enum Input: Sendable {
        /// An end at once.
        case nothing
        /// What this process reads.
        case inherited
        /// These bytes and then an end.
        case bytes([UInt8])
    }

    /// Where what the child writes goes.
    package enum Output: Sendable {
        /// Nowhere.
        case discarded
        /// Where this process writes.
        case inherited
        /// Into the result; the bytes beyond `limit` are read and dropped.
        case collected(limit: Int)
        /// To the end of a file, made when missing.
        case file(String)
    }

    /// The process group, which a terminal's Ctrl-C and `ChildProcess.signal` reach as a whole.
    package enum Group: Sendable {
        /// A new one, named by the child's process id.
        case own
        /// That of this process, as a program in a terminal's foreground needs it.
        case parents
        /// A new one that the terminal at this descriptor listens to from the child's first moment on.
        case ownInForeground(terminal: Int32)

        var isOwn: Bool {
            switch self {
            case .own, .ownInForeground: true
            case .parents: false
            }
        }
    }

    /// The program, looked up in PATH unless it has a slash, and what follows it.
    package var arguments: [String]
    /// All variables of the child; nil hands on this process's own.
    package var environment: [String: String]?
    /// The child's current directory; nil leaves this process's own.
    package var directory: String?
    package var input = Input.nothing
    package var output = Output.collected(limit: 1 << 20)
    package var errorOutput = Output.collected(limit: 1 << 20)
    package var group = Group.own
    /// The signal that the child gets when the loop's thread ends, however it ends. Needs `setpriv` of util-linux.
    ///
    /// A parent that dies within the first milliseconds, before the child has asked for it, leaves the child behind.
    package var diesWithParent: Signals.Signal?

    package init(_ arguments: [String]) { self.arguments = arguments }
}

/// How a child ended.
package enum ChildExit: Equatable, Sendable {
    /// By itself, with this code, 0 to 255.
    case exited(Int32)
    /// By this signal.
    case signalled(Int32)
}

/// What is left of a child.
package struct ChildResult: Equatable, Sendable {
    package let exit: ChildExit
    package let output: [UInt8]
    package let errorOutput: [UInt8]
    /// Whether it was killed because its deadline passed.
    package let passedDeadline: Bool
}
