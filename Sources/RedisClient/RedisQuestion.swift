import EventLoop

/// One command to one server, over a connection that is made for it and ends with the answer.
///
/// `@unchecked Sendable` holds because it is used on the loop's thread alone.
package final class RedisQuestion: @unchecked Sendable {
    package typealias Tell = (Result<RedisReply, RedisError>) -> Void

    private let loop: EventLoop
    private let logIn: [RedisArgument]
    private let command: [RedisArgument]
    private var tell: Tell?
    private var link: RedisLink?
    private lazy var timer = loop.timer { [weak self] in
        self?.finish(.failure(RedisError(.deadline, "no answer in time")))
    }

    package init(loop: EventLoop, user: String?, password: String?, command: [RedisArgument]) {
        self.loop = loop
        self.command = command
        logIn = RedisEndpoint.logIn(user: user, password: password)
    }

    /// Asks; `tell` is called exactly once, never inside this call, unless `cancel` comes first. The question has to be
    /// kept until then.
    package func ask(_ address: RedisEndpoint.Address, within deadline: Duration, tell: @escaping Tell) {
        precondition(self.tell == nil && link == nil, "a question is asked once")
        self.tell = tell
        timer.arm(after: deadline)
        guard case .tcp(let host, let port) = address else { return connect(address, deadline) }
        NameLookup.resolve(host, on: loop) { [weak self] outcome in
            switch outcome {
            case .success(let addresses): self?.connect(.tcp(host: addresses[0], port: port), deadline)
            case .failure(let error): self?.finish(.failure(RedisError(.notConnected, error.description)))
            }
        }
    }

    /// Nothing is told any more.
    package func cancel() {
        tell = nil
        timer.disarm()
        link?.close(because: "not needed any more")
        link = nil
    }

    private func connect(_ address: RedisEndpoint.Address, _ deadline: Duration) {
        guard tell != nil else { return }
        let link = RedisLink(loop: loop)
        self.link = link
        link.onDown = { [weak self] reason in self?.finish(.failure(RedisError(.notConnected, reason))) }
        link.onUp = { [weak self, weak link] in
            guard let self, let link else { return }
            var isSent = true
            if !self.logIn.isEmpty {
                isSent = link.send(self.logIn, deadline: deadline) { [weak self] outcome in
                    if case .failure = outcome { self?.finish(outcome) }
                }
            }
            isSent = isSent && link.send(self.command, deadline: deadline) { [weak self] in self?.finish($0) }
            if !isSent { self.finish(.failure(RedisError(.notConnected, "the connection takes no commands"))) }
        }
        link.connect(to: address)
    }

    private func finish(_ outcome: Result<RedisReply, RedisError>) {
        let tell = self.tell
        cancel()
        tell?(outcome)
    }
}

extension RedisEndpoint {
    /// The command that logs in; empty where nobody has to.
    static func logIn(user: String?, password: String?) -> [RedisArgument] {
        guard let password else { return [] }
        return ["AUTH"] + (user.map { [RedisArgument.text($0)] } ?? []) + [.text(password)]
    }
}
