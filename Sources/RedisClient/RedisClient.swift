import EventLoop
import Telemetry

/// The commands of one connection to Redis, pipelined, with a deadline each; connects again for ever.
///
/// Never repeats a command on its own: one whose answer is lost may have run. `@unchecked Sendable` holds because
/// everything happens on the loop's thread; the async calls go there first.
package final class RedisClient: @unchecked Sendable {
    package let loop: EventLoop
    private let settings: RedisSettings
    private let connector: RedisConnector
    private var gathered: [Gathered] = []
    /// Made with the first call that is gathered, gone when the client is closed.
    private var turnEnd: TurnEnd?

    /// Calls of one script that leave together, on the connection that there was when the first was made.
    private struct Gathered {
        let script: RedisScript
        let keys: [String]
        weak var link: RedisLink?
        var calls: [[RedisArgument]]
        var replies: [(Result<RedisReply, RedisError>) -> Void]
    }

    /// Calls of a script that leave together at most: the server does nothing else meanwhile, some 0.1 ms each.
    private static let callsAtOnce = 16

    /// Told on the loop's thread with each change; to be set before `start`.
    package var onStateChange: (@Sendable (RedisState) -> Void)? {
        get { connector.onStateChange }
        set { connector.onStateChange = newValue }
    }

    /// Prepares a client; nothing happens before `start`. `name` is what the server's CLIENT LIST shows.
    package init(
        loop: EventLoop, endpoint: RedisEndpoint, name: String, log: Log, settings: RedisSettings = .init()
    ) {
        self.loop = loop
        self.settings = settings
        connector = RedisConnector(
            loop: loop, endpoint: endpoint, name: name, demands: .store, log: log, settings: settings)
    }

    /// Connects, and again whenever that ends, until `close`. On the loop's thread.
    package func start() {
        loop.checkIsolated()
        connector.start()
    }

    /// Ends the connection for ever; commands that wait fail as `disconnected`. A client that was started must be closed.
    package func close() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            loop.perform {
                self.closeNow()
                continuation.resume()
            }
        }
    }

    /// The same on the loop's thread, also inside an answer.
    package func closeNow() {
        loop.checkIsolated()
        connector.close()
        sendGathered()  // none of them has left
        turnEnd = nil
    }

    /// Whether commands are taken. On the loop's thread.
    package var isConnected: Bool {
        loop.checkIsolated()
        return connector.ready != nil
    }

    /// How things stand. On the loop's thread.
    package var state: RedisState {
        loop.checkIsolated()
        return connector.state
    }

    /// Commands that wait for their answers, of which one may be a script of several calls, and calls that have yet to
    /// leave. On the loop's thread.
    package var inFlight: Int {
        loop.checkIsolated()
        return (connector.ready?.inFlight ?? 0) + gathered.reduce(0) { $0 + $1.calls.count }
    }

    /// Gives the present connection up and makes a new one, as when an answer has not come for too long. Commands that
    /// wait fail as `disconnected`. On the loop's thread.
    package func reconnect() {
        loop.checkIsolated()
        if let link = connector.ready { connector.abandon(link, because: "an answer has not come for too long") }
    }

    // MARK: Commands

    /// Sends a command and waits for its answer, `deadline` at most. An answer that is an error is thrown with kind
    /// `server`. Cancelling the task changes nothing: what is sent is waited for.
    package func command(
        _ arguments: [RedisArgument], deadline: Duration? = nil
    ) async throws(RedisError) -> RedisReply {
        try await loop.outcome { self.command(arguments, deadline: deadline, reply: $0) }.get()
    }

    /// The same without a task, on the loop's thread. `reply` is called exactly once, possibly inside this call.
    package func command(
        _ arguments: [RedisArgument], deadline: Duration? = nil,
        reply: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        loop.checkIsolated()
        sendGathered()  // what was said before leaves before
        send(arguments, deadline: deadline, reply: reply)
    }

    private func send(
        _ arguments: [RedisArgument], deadline: Duration? = nil,
        reply: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        guard let link = connector.ready else { return reply(.failure(absence)) }
        guard link.inFlight < settings.inFlightLimit else {
            let message = "\(settings.inFlightLimit) commands already wait for Redis: try again in a moment"
            return reply(.failure(RedisError(.overloaded, message)))
        }
        let isSent = link.send(arguments, deadline: deadline ?? settings.deadline) { [weak self, weak link] outcome in
            guard case .failure(let error) = outcome, error.kind == .server, let self, let link,
                let redirection = RedisRedirection(error.message, from: self.connector.address)
            else { return reply(outcome) }
            // It has not run, so sending it once more at the right server would be no repetition. But that is another
            // connection, and what is said on one connection belongs to it: an agent's scripts carry the session that
            // began with it, and begin anew with the next. So the caller is told that nothing was done.
            self.connector.abandon(link, because: redirection)
            reply(.failure(RedisError(.notConnected, error.message)))
        }
        if !isSent { reply(.failure(RedisError(.notConnected, "the connection to Redis is just ending"))) }
    }

    private var absence: RedisError {
        switch connector.state {
        case .refused(let reason): RedisError(.refusedServer, reason)
        case .disconnected(let reason): RedisError(.notConnected, "no connection to Redis: \(reason)")
        case .connected: RedisError(.notConnected, "no connection to Redis")
        }
    }

    // MARK: Scripts

    /// Runs a script and waits for its answer. The first time on a connection the server is sent its source, and once more
    /// where it has forgotten it.
    package func evaluate(
        _ script: RedisScript, keys: [String], arguments: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        try await loop.outcome { self.evaluate(script, keys: keys, arguments: arguments, reply: $0) }.get()
    }

    /// The same without a task, on the loop's thread: the hot path.
    ///
    /// Calls of a script that takes several, made in one turn of the loop, leave together at its end, or before, with the
    /// next command of another kind. Between two such scripts their order is open.
    package func evaluate(
        _ script: RedisScript, keys: [String], arguments: [RedisArgument],
        reply: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        loop.checkIsolated()
        guard script.wordsACall != nil, script.isGathered else {
            sendGathered()
            return evaluate(script, keys, calls: [arguments], replies: [reply])
        }
        guard let link = connector.ready else { return reply(.failure(absence)) }
        if let index = gathered.firstIndex(where: {
            $0.script.sha1 == script.sha1 && $0.keys == keys && $0.link === link
        }) {
            gathered[index].calls.append(arguments)
            gathered[index].replies.append(reply)
            if gathered[index].calls.count == Self.callsAtOnce {
                sendGathered()
                link.flush()  // this turn has more to do, which the server need not wait for
            }
        } else {
            if gathered.isEmpty {
                turnEnd = turnEnd ?? TurnEnd(loop.base) { [weak self] in self?.sendGathered() }
                turnEnd?.arm()
            }
            gathered.append(
                Gathered(script: script, keys: keys, link: link, calls: [arguments], replies: [reply]))
        }
    }

    private func sendGathered() {
        guard !gathered.isEmpty else { return }
        let leaving = gathered
        gathered = []
        for batch in leaving {
            // What was said on one connection is not sent on the next: an agent's session has ended with it.
            guard let link = batch.link, link === connector.ready else {
                for reply in batch.replies {
                    reply(.failure(RedisError(.notConnected, "the connection to Redis has just ended")))
                }
                continue
            }
            evaluate(batch.script, batch.keys, calls: batch.calls, replies: batch.replies)
        }
    }

    private func evaluate(
        _ script: RedisScript, _ keys: [String], calls: [[RedisArgument]],
        replies: [(Result<RedisReply, RedisError>) -> Void]
    ) {
        evaluate(script, keys, script.arguments(of: calls)) { outcome in
            switch outcome {
            case .success(let whole):
                guard let answers = script.answers(in: whole, to: calls.count) else {
                    let error = RedisError(.protocolViolation, "\(script.name): so many calls have other answers")
                    for reply in replies { reply(.failure(error)) }
                    return
                }
                for (reply, answer) in zip(replies, answers) {
                    if script.wordsACall != nil, case .error(let message) = answer {
                        reply(.failure(RedisError(.server, message)))
                    } else {
                        reply(.success(answer))
                    }
                }
            case .failure(let error): for reply in replies { reply(.failure(error)) }
            }
        }
    }

    private func evaluate(
        _ script: RedisScript, _ keys: [String], _ arguments: [RedisArgument],
        reply: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        // The first on a connection brings its source. One that the server turned out not to know would be sent once more,
        // behind what was said after it: behind a heartbeat, say, after which it came too late.
        let isKnown = connector.ready?.noteScript(script.sha1) ?? true
        var words: [RedisArgument] = isKnown ? ["EVALSHA", .text(script.sha1)] : ["EVAL", .bytes(script.source)]
        words.append(.integer(Int64(keys.count)))
        words.reserveCapacity(3 + keys.count + arguments.count)
        for key in keys { words.append(.text(key)) }
        words += arguments
        send(words) { [weak self, words] outcome in
            guard case .failure(let error) = outcome, error.kind == .server, error.message.hasPrefix("NOSCRIPT"),
                let self
            else { return reply(outcome) }
            // NOSCRIPT means that it has not run, so this is no repetition; EVAL runs it and lets the server keep it.
            self.send(["EVAL", .bytes(script.source)] + words.dropFirst(2), reply: reply)
        }
    }
}
