import EventLoop

/// The world that a command works in: its loop, its variables, and the people or programs at its streams.
struct Surroundings: Sendable {
    /// One of the two streams that a command writes.
    struct Channel: Sendable {
        /// Writes a text as it is.
        let write: @Sendable (String) -> Void
        /// Whether a person's terminal is at the other end.
        var isTerminal = false
        /// Whether colours and bold letters may be used.
        var hasColours = false

        /// Writes a line.
        func line(_ text: String = "") { write(text + "\n") }
    }

    let loop: EventLoop
    let environment: [String: String]
    let output: Channel
    let error: Channel
    let interruptions: Interruptions
    /// A line of standard input; nil at its end.
    var readLine: @Sendable () -> String? = { nil }
    /// Whether a person can be asked on standard input.
    var canAsk = false
    /// The size of the terminal that `output` or `error` is; nil where there is none.
    var size: @Sendable () -> Terminal.Size? = { nil }

    /// Tells of keys, on the loop's thread; nil where there is no terminal to press them on.
    var keys: @Sendable (_ pressed: @escaping @Sendable (UInt8) -> Void) -> TerminalKeys? = { _ in nil }

    /// Columns that a table may take: 80 unless a terminal has others.
    var width: Int {
        guard output.isTerminal, let size = size() else { return 80 }
        return max(40, size.columns)
    }

    /// The streams of this process.
    static func process(loop: EventLoop, environment: [String: String]) -> Surroundings {
        let mayColour = environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
        func channel(_ stream: Console.Stream) -> Channel {
            let isTerminal = Console.isTerminal(stream)
            return Channel(
                write: { text in
                    // As in `leasehold events | head`: other programs die of SIGPIPE then.
                    if !Console.write(text, to: stream), stream == .output { Environment.exit(128 + 13) }
                }, isTerminal: isTerminal, hasColours: isTerminal && mayColour)
        }
        return Surroundings(
            loop: loop, environment: environment, output: channel(.output), error: channel(.error),
            interruptions: Interruptions(loop: loop), readLine: { Console.readLine() },
            canAsk: Console.isInputTerminal, size: { Terminal.size },
            keys: { TerminalKeys(loop: loop, onKey: $0) })
    }
}

/// The signals that ask a command to end, told to whatever is under way.
///
/// Until something listens they have their usual effect.
actor Interruptions {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private var signals: Signals?
    private var tell: (@Sendable (Signals.Signal) -> Void)?
    /// The first signal that came.
    private(set) var first: Signals.Signal?
    private var count = 0

    /// Whose signals these are.
    enum Source { case process, caller }

    private let source: Source

    /// - Parameter source: With `caller` nothing but `heard` tells of signals.
    init(loop: EventLoop, of source: Source = .process) {
        self.loop = loop
        self.source = source
    }

    /// Tells of each signal from now on, at once of one that has come already.
    func listen(_ tell: @escaping @Sendable (Signals.Signal) -> Void) {
        self.tell = tell
        if signals == nil, source == .process {
            signals = try? Signals(loop: loop) { [weak self] signal in self?.assumeIsolated { $0.heard(signal) } }
        }
        if let first { tell(first) }
    }

    /// A signal has come.
    func heard(_ signal: Signals.Signal) {
        count += 1
        if first == nil { first = signal }
        tell?(signal)
    }

    /// Runs `work`, which a signal cancels.
    func cancelling<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            let task = loop.spawn { continuation.resume(returning: await work()) }
            listen { _ in task.cancel() }
        }
    }
}

extension ExitCode {
    /// What shells show of a program that a signal has ended.
    static func signalled(_ signal: Signals.Signal) -> ExitCode { .code(128 + signal.rawValue) }
}
