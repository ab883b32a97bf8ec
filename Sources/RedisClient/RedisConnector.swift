import EventLoop
import Telemetry

/// Keeps one connection to a server alive: looks its name up, connects, logs in, checks the server, and begins again
/// after each end, with pauses that grow.
///
/// `@unchecked Sendable` holds because it is used on the loop's thread alone.
final class RedisConnector: @unchecked Sendable {
    /// What the server has to be.
    enum Demands {
        /// A primary of a fit version that never evicts.
        case store
        /// Whatever answers.
        case none
    }

    private enum Failure {
        case lost(String)
        case refused(String)
    }

    let loop: EventLoop
    let endpoint: RedisEndpoint
    let settings: RedisSettings
    private let name: String
    private let demands: Demands
    private let log: Log

    /// Called with each connection that is ready for commands.
    var onReady: ((RedisLink) -> Void)?
    /// Called with each new connection before it counts as ready; it calls back when it does.
    var prepare: ((RedisLink, @escaping () -> Void) -> Void)?
    /// Called when a connection, ready or not, has ended.
    var onEnd: (() -> Void)?
    /// Called with each change, after `onReady`.
    var onStateChange: (@Sendable (RedisState) -> Void)?

    private(set) var state = RedisState.disconnected(reason: "not started")
    /// The connection that is ready; nil at all other times.
    private(set) var ready: RedisLink?
    private var link: RedisLink?
    private var generation = 0
    private var attempt = 0
    private var isClosed = false
    private var isStarted = false
    private lazy var pause = loop.timer { [weak self] in self?.begin() }
    private lazy var connectTimer = loop.timer { [weak self] in
        self?.fail(.lost("no answer while connecting"))
    }

    init(
        loop: EventLoop, endpoint: RedisEndpoint, name: String, demands: Demands, log: Log, settings: RedisSettings
    ) {
        self.loop = loop
        self.endpoint = endpoint
        self.name = name
        self.demands = demands
        self.log = log
        self.settings = settings
    }

    func start() {
        precondition(!isStarted, "a connection is started once")
        isStarted = true
        begin()
    }

    /// Ends for ever; commands that wait fail.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        pause.disarm()
        connectTimer.disarm()
        ready = nil
        link?.close(because: "closed by this process")
        link = nil
        change(.disconnected(reason: "closed by this process"))
    }

    /// Gives the present connection up, as one that no longer serves, and makes another.
    func abandon(_ link: RedisLink, because reason: String) {
        guard link === self.link else { return }
        fail(.lost(reason))
    }

    // MARK: One attempt

    private func begin() {
        guard !isClosed else { return }
        connectTimer.arm(after: settings.connectDeadline)
        attempt += 1
        let attempt = attempt
        switch endpoint.address {
        case .unix: connect(to: endpoint.address)
        case .tcp(let host, let port):
            NameLookup.resolve(host, on: loop) { [weak self] outcome in
                guard let self, !self.isClosed, attempt == self.attempt, self.link == nil,
                    self.connectTimer.isArmed
                else { return }
                switch outcome {
                case .success(let addresses):
                    // Each attempt takes the next address, so that one that is down does not stand in the way.
                    self.connect(to: .tcp(host: addresses[(attempt - 1) % addresses.count], port: port))
                case .failure(let error): self.fail(.lost(error.description))
                }
            }
        }
    }

    private func connect(to address: RedisEndpoint.Address) {
        let link = RedisLink(loop: loop)
        self.link = link
        link.onUp = { [weak self, weak link] in
            if let self, let link { self.greet(link) }
        }
        link.onDown = { [weak self, weak link] reason in
            guard let self, link === self.link else { return }
            self.fail(.lost(reason))
        }
        link.connect(to: address)
    }

    /// Sends all that a new connection needs at once; the answers come in the same order.
    private func greet(_ link: RedisLink) {
        if let password = endpoint.password {
            let user = endpoint.user.map { [RedisArgument.text($0)] } ?? []
            ask(link, ["AUTH"] + user + [.text(password)]) { _ in nil }
        }
        if endpoint.database != 0 {
            ask(link, ["SELECT", .integer(Int64(endpoint.database))]) { _ in nil }
        }
        // A name helps people who look at the server; one that it does not take is no reason to stay away.
        _ = link.send(["CLIENT", "SETNAME", .text(name)], deadline: settings.connectDeadline) { _ in }
        if case .store = demands {
            let oldest = settings.oldestVersion
            ask(link, ["INFO", "server"]) { ServerReport($0).refusal(ofVersionsBefore: oldest).map { .refused($0) } }
            ask(link, ["INFO", "memory"]) { ServerReport($0).refusalOfEviction().map { .refused($0) } }
            ask(link, ["INFO", "replication"]) { ServerReport($0).objectionToReplica().map { .lost($0) } }
        }
        // Last, since a server that still loads its data answers the questions above and nothing else.
        ask(link, ["PING"]) { [weak self, weak link] _ in
            guard let self, let link, link === self.link else { return nil }
            guard let prepare = self.prepare else {
                self.becomeReady(link)
                return nil
            }
            prepare(link) { [weak self, weak link] in
                if let self, let link, link === self.link { self.becomeReady(link) }
            }
            return nil
        }
    }

    private func ask(_ link: RedisLink, _ command: [RedisArgument], _ judge: @escaping (RedisReply) -> Failure?) {
        let isSent = link.send(command, deadline: settings.connectDeadline) { [weak self, weak link] outcome in
            guard let self, let link, link === self.link else { return }
            switch outcome {
            case .success(let reply):
                if let failure = judge(reply) { self.fail(failure) }
            case .failure(let error) where error.kind == .server:
                self.fail(Self.judge(error.message))
            case .failure: break  // `onDown` tells
            }
        }
        if !isSent { fail(.lost("the connection takes no commands")) }
    }

    /// What an error in answer to the greeting means.
    private static func judge(_ message: String) -> Failure {
        switch message.prefix(while: { $0 != " " }) {
        case "LOADING", "BUSY", "MASTERDOWN": .lost(message)
        case "WRONGPASS", "NOAUTH":
            .refused("Redis refuses the log-in (\(message)): put user and password into its address")
        case "NOPERM": .refused("Redis lets this user not look at it (\(message)): allow it INFO, PING and SELECT")
        default: .refused("Redis refuses the connection: \(message)")
        }
    }

    private func becomeReady(_ link: RedisLink) {
        connectTimer.disarm()
        generation += 1
        attempt = 0
        ready = link
        onReady?(link)
        guard link === ready else { return }
        change(.connected(generation: generation))
    }

    private func fail(_ failure: Failure) {
        guard !isClosed else { return }
        connectTimer.disarm()
        ready = nil
        let ended = link
        link = nil
        onEnd?()
        pause.arm(after: nextPause())
        switch failure {
        case .lost(let reason):
            ended?.close(because: reason)
            change(.disconnected(reason: reason))
        case .refused(let reason):
            ended?.close(because: reason)
            change(.refused(reason: reason))
        }
    }

    private func nextPause() -> Duration {
        let doubled = settings.firstPause * (1 << min(max(attempt - 1, 0), 16))
        let full = min(doubled, settings.longestPause)
        return full * Double.random(in: 0.5...1)
    }

    private func change(_ new: RedisState) {
        guard new != state else { return }
        state = new
        switch new {
        case .connected: log.debug("redis_connected", ["connection": "\(name)"])
        case .disconnected(let reason): log.debug("redis_disconnected", ["connection": "\(name)", "why": "\(reason)"])
        case .refused(let reason): log.debug("redis_refused", ["connection": "\(name)", "why": "\(reason)"])
        }
        onStateChange?(new)
    }
}

/// What INFO tells.
struct ServerReport {
    private let values: [Substring: Substring]

    init(_ reply: RedisReply) {
        var values: [Substring: Substring] = [:]
        for line in (reply.text ?? "").split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            values[line[..<colon]] = line[line.index(after: colon)...]
        }
        self.values = values
    }

    /// A sentence when the server is too old, or does not say how old it is.
    func refusal(ofVersionsBefore oldest: RedisVersion) -> String? {
        guard let text = values["redis_version"], let version = RedisVersion(parsing: text) else {
            return "Redis does not tell its version: allow INFO to this user"
        }
        return version < oldest ? "Redis is version \(text), want \(oldest) or newer: update it" : nil
    }

    /// A sentence when the server may throw keys away.
    func refusalOfEviction() -> String? {
        guard let policy = values["maxmemory_policy"] else {
            return "Redis does not tell its maxmemory-policy: allow INFO to this user"
        }
        return policy == "noeviction"
            ? nil
            : "Redis has maxmemory-policy \(policy) and may forget what it stores: set it to noeviction"
    }

    /// A sentence when the server copies another one and takes no writes.
    func objectionToReplica() -> String? {
        values["role"] == "slave"
            ? "this Redis is a replica, which takes no writes; waiting until it is the primary" : nil
    }
}
