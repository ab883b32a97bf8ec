import CSystem
import EventLoop

/// One connection, from connecting to its end, and the commands that wait on it. Never connects twice.
///
/// `@unchecked Sendable` holds because it is used on the loop's thread alone, where hiredis calls it too.
final class RedisLink: @unchecked Sendable {
    typealias Reply = (Result<RedisReply, RedisError>) -> Void
    /// Takes an answer while it is read; it must not keep it.
    typealias Reader = (Result<RedisReplyView, RedisError>) -> Void

    private struct Pending {
        let deadline: Duration
        let reply: Reader
    }

    private enum Stage {
        case idle, connecting, up, closing, over
    }

    private let loop: EventLoop
    private var stage = Stage.idle
    private var context: UnsafeMutablePointer<redisAsyncContext>?
    /// The server answers in order, so the first that waits is the first to be answered.
    private var pending = Fifo<Pending>()
    private var timer: LoopTimer?
    private var timerDue: Duration?
    private var hasHadGrace = false
    private var depth = 0
    private var reason = "closed"
    private var buffer: [UInt8] = []
    private var keptAlive: RedisLink?  // hiredis holds no reference; this one ends a turn after its last callback

    /// Called once when commands can be sent.
    var onUp: (() -> Void)?
    /// Called at most once, with the reason, when the connection cannot be made or ends; not after `close`.
    var onDown: ((String) -> Void)?
    /// Called with each message of a subscribed connection.
    var onPush: ((RedisReplyView) -> Void)?

    /// A reply that lies unread because this very process was late is worth one short look before giving up.
    private static let grace = Duration.milliseconds(100)

    init(loop: EventLoop) { self.loop = loop }

    /// Commands that wait for their answers.
    var inFlight: Int { pending.count }

    /// Scripts whose sources have been sent here.
    private var scripts: Set<String> = []

    /// Whether this script's source has been sent before; from now on it has.
    func noteScript(_ sha1: String) -> Bool { !scripts.insert(sha1).inserted }

    // MARK: Life

    /// Connects to a unix socket or a numeric address.
    func connect(to address: RedisEndpoint.Address) {
        precondition(stage == .idle, "a link connects once")
        stage = .connecting
        let made =
            switch address {
            case .tcp(let host, let port): redisAsyncConnect(host, Int32(port))
            case .unix(let path): redisAsyncConnectUnix(path)
            }
        guard let made else { return failLater("no memory for a connection") }
        guard made.pointee.err == 0 else {
            let why = Self.text(made)
            redisAsyncFree(made)
            return failLater(why)
        }
        made.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        RedisSocketEvents.attach(to: made, loop.base)
        redisAsyncSetConnectCallback(made, linkConnected)
        redisAsyncSetDisconnectCallback(made, linkDisconnected)
        context = made
        keptAlive = self
    }

    /// Ends the connection; commands that wait fail, in this turn or the next. `onDown` is not called.
    func close(because reason: String) {
        onDown = nil
        onUp = nil
        onPush = nil
        end(because: reason)
    }

    private func end(because why: String) {
        guard stage != .closing, stage != .over else { return }
        reason = why
        stage = .closing
        if depth > 0 {
            inNextTurn { $0.free() }  // hiredis is still at work with the context further up the stack
        } else {
            free()
        }
    }

    private func free() {
        guard let context else { return over() }
        redisAsyncFree(context)  // answers all that wait with NULL
        self.context = nil
        over()
    }

    /// The context is gone or was never there.
    private func over() {
        guard stage != .over else { return }
        stage = .over
        context = nil
        timer?.disarm()
        timer = nil
        while let waiting = pending.popFirst() { waiting.reply(.failure(lost(waiting))) }
        let tell = onDown
        onDown = nil
        onUp = nil
        onPush = nil
        inNextTurn { $0.keptAlive = nil }
        tell?(reason)
    }

    private func failLater(_ why: String) {
        reason = why
        keptAlive = self
        inNextTurn { $0.over() }
    }

    private func inNextTurn(_ work: @escaping @Sendable (RedisLink) -> Void) {
        loop.timer { work(self) }.arm(after: .zero)
    }

    fileprivate func connected(_ status: Int32, _ context: UnsafePointer<redisAsyncContext>) {
        depth += 1
        defer { depth -= 1 }
        guard status == REDIS_OK else {
            if stage == .connecting { reason = Self.text(context) }
            self.context = nil  // hiredis frees it right after this
            return over()
        }
        guard stage == .connecting else { return }
        stage = .up
        let tell = onUp
        onUp = nil
        tell?()
    }

    fileprivate func disconnected(_ context: UnsafePointer<redisAsyncContext>) {
        if stage != .closing { reason = Self.text(context) }
        self.context = nil  // hiredis frees it right after this
        over()
    }

    private static func text(_ context: UnsafePointer<redisAsyncContext>) -> String {
        guard let text = context.pointee.errstr else { return "closed" }
        let said = String(cString: text)
        return said.isEmpty ? "closed" : said
    }

    // MARK: Commands

    /// Sends a command; `reply` is called exactly once, never inside this call.
    /// False, and no call, when the connection cannot take it.
    func send(_ arguments: [RedisArgument], deadline: Duration, reply: @escaping Reply) -> Bool {
        ask(arguments, deadline: deadline) { outcome in reply(outcome.map(\.reply)) }
    }

    /// The same for an answer that is large, or comes often: no copy of it is made.
    func ask(_ arguments: [RedisArgument], deadline: Duration, read: @escaping Reader) -> Bool {
        guard stage == .up, let context else { return false }
        arguments.encoded(into: &buffer)
        let status = submit(context, linkReplied)
        guard status == REDIS_OK else { return false }
        let due = loop.now + deadline
        pending.append(Pending(deadline: due, reply: read))
        if timerDue.map({ due < $0 }) ?? true { setTimer(due) }
        return true
    }

    /// Has the server begin with what has been sent so far, which else leaves at the end of the turn. Not within an answer:
    /// hiredis frees the context where it cannot write, also while it is at work with it further up the stack.
    func flush() {
        guard stage == .up, depth == 0, let context else { return }
        depth += 1
        defer { depth -= 1 }
        RedisSocketEvents.flush(context)
    }

    /// Sends SUBSCRIBE; confirmations and messages come through `onPush`.
    func subscribe(_ channels: [String]) -> Bool {
        guard stage == .up, let context else { return false }
        (["SUBSCRIBE"] + channels.map { .text($0) }).encoded(into: &buffer)
        return submit(context, linkPushed) == REDIS_OK
    }

    private func submit(
        _ context: UnsafeMutablePointer<redisAsyncContext>,
        _ callback:
            @escaping @convention(c) (
                UnsafeMutablePointer<redisAsyncContext>?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
            ) -> Void
    ) -> Int32 {
        buffer.append(0)  // hiredis looks for the next word of a SUBSCRIBE with strchr, beyond the end that it is told
        return buffer.withUnsafeBytes {
            redisAsyncFormattedCommand(
                context, callback, nil, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count - 1)
        }
    }

    fileprivate func replied(
        _ reply: UnsafeMutablePointer<redisReply>?, _ context: UnsafePointer<redisAsyncContext>
    ) {
        depth += 1
        defer { depth -= 1 }
        guard let waiting = pending.popFirst() else { return }
        guard let reply else {
            if stage == .up { reason = Self.text(context) }
            return waiting.reply(.failure(lost(waiting)))
        }
        hasHadGrace = false
        let view = RedisReplyView(reply)
        if let message = view.error {
            waiting.reply(.failure(RedisError(.server, message)))
        } else {
            waiting.reply(.success(view))
        }
    }

    fileprivate func pushed(_ reply: UnsafeMutablePointer<redisReply>?) {
        guard let reply else { return }
        depth += 1
        defer { depth -= 1 }
        onPush?(RedisReplyView(reply))
    }

    private func lost(_ waiting: Pending) -> RedisError {
        waiting.deadline <= loop.now
            ? RedisError(.deadline, "Redis did not answer in time")
            : RedisError(.disconnected, "the connection to Redis was lost: \(reason)")
    }

    // MARK: Deadlines

    private func setTimer(_ due: Duration) {
        let timer = self.timer ?? loop.timer { [weak self] in self?.lookAtDeadlines() }
        self.timer = timer
        timerDue = due
        timer.arm(after: due - loop.now)
    }

    private func lookAtDeadlines() {
        timerDue = nil
        guard let earliest = pending.least(by: \.deadline) else { return }
        let now = loop.now
        if earliest > now {
            setTimer(earliest)
        } else if now - earliest > Self.grace, !hasHadGrace {
            hasHadGrace = true
            setTimer(now + Self.grace)
        } else {
            end(because: "no answer in time")
        }
    }
}

private func link(_ context: UnsafePointer<redisAsyncContext>?) -> RedisLink? {
    guard let data = context?.pointee.data else { return nil }
    return Unmanaged<RedisLink>.fromOpaque(data).takeUnretainedValue()
}

private func linkConnected(_ context: UnsafePointer<redisAsyncContext>?, _ status: Int32) {
    guard let context else { return }
    link(context)?.connected(status, context)
}

private func linkDisconnected(_ context: UnsafePointer<redisAsyncContext>?, _ status: Int32) {
    guard let context else { return }
    link(context)?.disconnected(context)
}

private func linkReplied(
    _ context: UnsafeMutablePointer<redisAsyncContext>?, _ reply: UnsafeMutableRawPointer?,
    _ command: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    link(context)?.replied(reply?.assumingMemoryBound(to: redisReply.self), context)
}

private func linkPushed(
    _ context: UnsafeMutablePointer<redisAsyncContext>?, _ reply: UnsafeMutableRawPointer?,
    _ command: UnsafeMutableRawPointer?
) {
    link(context)?.pushed(reply?.assumingMemoryBound(to: redisReply.self))
}
