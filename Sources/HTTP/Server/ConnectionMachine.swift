/// What a server's connection is at, and what follows from each thing that happens to it. It decides; `Connection` acts.
struct ConnectionMachine {
    enum Stage: Equatable {
        /// Nothing of a request has come.
        case waiting
        /// A request has begun and is not complete.
        case reading
        /// A request is with the handler.
        case answering
        /// The beginning of an answer is sent; more follows until the handler ends it.
        case streaming
        /// The answer is given, but the kernel has not taken all of it.
        case draining
        /// The last answer is sent and our side closed; what still comes is thrown away until the peer closes too.
        case lingering
        case closed
    }

    /// What to do next.
    enum Step: Equatable {
        /// Nothing: something has to happen first.
        case wait
        /// Look for the next request among the bytes that are there.
        case readNext
        /// Answer with this refusal; nothing more is read.
        case refuse(Refusal)
        /// Close our side and throw away what comes.
        case linger
        /// Tell the handler that its client is gone, then close.
        case giveUp
        case close
    }

    private let limits: HTTPLimits
    private(set) var stage = Stage.waiting
    /// When `timeUp` has to be called; nil where only the peer or the handler can move things.
    private(set) var deadline: Duration?
    /// Whether a request has ever been complete.
    private var hasAsked = false
    /// Whether the connection ends with the present answer.
    private(set) var isLast = false

    init(limits: HTTPLimits, at now: Duration) {
        self.limits = limits
        deadline = now + limits.requestDeadline  // a connection is made for a request, so the first has to come soon
    }

    /// How dispensable the connection is; nil while something is owed to its client.
    var dispensability: Dispensability? {
        guard let deadline else { return nil }
        switch stage {
        case .waiting where hasAsked: return Dispensability(rank: .idle, since: deadline - limits.idleTimeout)
        case .waiting, .reading:
            return Dispensability(
                rank: hasAsked ? .sending : .hasAskedNothing, since: deadline - limits.requestDeadline)
        case .answering, .streaming, .draining, .lingering, .closed: return nil
        }
    }

    /// Whether somebody waits for an answer.
    var owesAnswer: Bool { stage == .answering || stage == .streaming }
    var isReading: Bool { stage == .waiting || stage == .reading }

    /// A part of a request is read. However busily the rest trickles, its deadline stands.
    mutating func requestBegan(at now: Duration) {
        guard stage == .waiting else { return }
        stage = .reading
        deadline = now + limits.requestDeadline
    }

    /// A request is complete and goes to the handler.
    mutating func requestCame(keepsAlive: Bool) {
        precondition(isReading, "no request is read while another one waits for its answer")
        stage = .answering
        hasAsked = true
        deadline = nil
        isLast = !keepsAlive
    }

    /// What came, or did not come, gets a refusal as its answer.
    mutating func refused() {
        stage = .answering
        deadline = nil
        isLast = true
    }

    /// The handler or the server wants no further request on this connection.
    mutating func endsAfterAnswer() { isLast = true }

    mutating func streamBegan() {
        precondition(stage == .answering, "a stream answers a request")
        stage = .streaming
    }

    /// The answer is complete; `isSent` when the kernel has all of it.
    mutating func answered(isSent: Bool, at now: Duration) -> Step {
        precondition(owesAnswer, "an answer belongs to a request")
        if isSent { return sent(at: now) }
        stage = .draining
        deadline = now + limits.drainDeadline
        return .wait
    }

    /// The kernel has taken all that was to be sent.
    mutating func drained(at now: Duration) -> Step { stage == .draining ? sent(at: now) : .wait }

    private mutating func sent(at now: Duration) -> Step {
        if isLast {
            stage = .lingering
            deadline = now + limits.lingerDeadline
            return .linger
        }
        stage = .waiting
        deadline = now + limits.idleTimeout
        return .readNext
    }

    /// The peer closed its side, or the connection broke. A half close counts as gone.
    func peerClosed() -> Step {
        switch stage {
        case .answering, .streaming, .draining: .giveUp
        case .waiting, .reading, .lingering: .close
        case .closed: .wait
        }
    }

    func timeUp(at now: Duration) -> Step {
        guard let deadline, deadline <= now else { return .wait }
        switch stage {
        case .reading: return .refuse(.tooSlow)
        case .draining: return .giveUp
        case .waiting, .lingering: return .close
        case .answering, .streaming, .closed: return .wait
        }
    }

    /// The server has waited long enough for its handlers and closes.
    func serverCloses() -> Step {
        switch stage {
        case .waiting: .close
        case .reading, .answering: .refuse(.shuttingDown)
        case .streaming, .draining: .giveUp
        case .lingering, .closed: .wait
        }
    }

    mutating func closed() {
        stage = .closed
        deadline = nil
    }
}
