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
    private let locator: RedisLocator

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
    /// Changes with each attempt and its end, so that an answer that comes late is known as such.
    private var turn = 0
    /// The server of the present attempt or connection.
    private(set) var address: RedisEndpoint.Address?
    private var hasWarned = false
    private var isClosed = false
    private var isStarted = false
    private lazy var pause = loop.timer { [weak self] in self?.begin() }
    private lazy var lookTimer = loop.timer { [weak self] in self?.lookAgain() }
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
        locator = RedisLocator(loop: loop, endpoint: endpoint, settings: settings)
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
        turn += 1
        pause.disarm()
        connectTimer.disarm()
        lookTimer.disarm()
        locator.cancel()
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

    /// The same, because of what the server answered.
    func abandon(_ link: RedisLink, because redirection: RedisRedirection) {
        guard link === self.link else { return }
        switch redirection {
        case .replica: fail(.lost("this Redis has become a replica"))
        case .moved(let address):
            locator.name(address)
            fail(.lost("the cluster has moved the slot to \(address)"))
        case .underWay: fail(.lost("the cluster is moving the slot to another node"))
        case .clusterDown: fail(.lost("the cluster has no master for the slot"))
        case .withoutReplicas: break  // only a look at the sentinels tells whether another master is used now
        }
    }

    // MARK: One attempt

    private func begin() {
        guard !isClosed else { return }
        attempt += 1
        turn += 1
        let turn = turn
        locator.find { [weak self] finding in
            guard let self, turn == self.turn else { return }
            switch finding {
            case .server(let address): self.lookUp(address)
            case .none(let reason): self.fail(.lost(reason))
            case .refused(let reason): self.fail(.refused(reason))
            }
        }
    }

    private func lookUp(_ address: RedisEndpoint.Address) {
        self.address = address
        connectTimer.arm(after: settings.connectDeadline)
        guard case .tcp(let host, let port) = address else { return connect(to: address) }
        let turn = turn
        NameLookup.resolve(host, on: loop) { [weak self] outcome in
            guard let self, turn == self.turn else { return }
            switch outcome {
            case .success(let addresses):
                // Each attempt takes the next address, so that one that is down does not stand in the way.
                self.connect(to: .tcp(host: addresses[(self.attempt - 1) % addresses.count], port: port))
            case .failure(let error): self.fail(.lost(error.description))
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
        let logIn = RedisEndpoint.logIn(user: endpoint.user, password: endpoint.password)
        if !logIn.isEmpty { ask(link, logIn) { _ in nil } }
        if endpoint.database != 0 {
            ask(link, ["SELECT", .integer(Int64(endpoint.database))]) { _ in nil }
        }
        // A name helps people who look at the server; one that it does not take is no reason to stay away.
        _ = link.send(["CLIENT", "SETNAME", .text(name)], deadline: settings.connectDeadline) { _ in }
        let isStore = if case .store = demands { true } else { false }
        if isStore || !locator.isFixed {
            let oldest = settings.oldestVersion
            // It needs no rights, and every version that will do knows it.
            ask(link, ["HELLO", 2]) { reply in
                let greeting = ServerGreeting(reply)
                return greeting.refusal(ofVersionsBefore: oldest).map { .refused($0) }
                    ?? greeting.objectionToReplica().map { .lost($0) }
            }
        }
        if isStore { askPolicy(link) }
        if case .cluster = endpoint.target {
            // Answered only by the slot's master, and only while that has all its keys.
            ask(link, ["EXISTS", .text(endpoint.slotKey)]) { _ in nil }
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
                self.fail(self.judge(error.message))
            case .failure: break  // `onDown` tells
            }
        }
        if !isSent { fail(.lost("the connection takes no commands")) }
    }

    /// Whether keys may be thrown away. A server that does not let this user see it is used: who took the right away
    /// has to know.
    private func askPolicy(_ link: RedisLink) {
        let isSent = link.send(["INFO", "memory"], deadline: settings.connectDeadline) {
            [weak self, weak link] outcome in
            guard let self, let link, link === self.link else { return }
            switch outcome {
            case .success(let reply):
                if let refusal = ServerReport(reply).refusalOfEviction() { self.fail(.refused(refusal)) }
            case .failure(let error) where error.message.hasPrefix("NOPERM"):
                guard !self.hasWarned else { return }
                self.hasWarned = true
                self.log.warning(
                    "redis_policy_unknown",
                    ["remedy": "allow this user INFO, or make sure that maxmemory-policy is noeviction"])
            case .failure(let error) where error.kind == .server: self.fail(self.judge(error.message))
            case .failure: break  // `onDown` tells
            }
        }
        if !isSent { fail(.lost("the connection takes no commands")) }
    }

    /// What an error in answer to the greeting means.
    private func judge(_ message: String) -> Failure {
        if let redirection = RedisRedirection(message, from: address) {
            if case .moved(let to) = redirection { locator.name(to) }
            return .lost(message)
        }
        return switch message.prefix(while: { $0 != " " }) {
        case "LOADING", "BUSY", "MASTERDOWN": .lost(message)
        case "WRONGPASS", "NOAUTH":
            .refused("Redis refuses the log-in (\(message)): put user and password into its address")
        case "NOPERM": .refused("this user may not look at Redis (\(message)): allow it PING and SELECT")
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
        guard link === ready else { return }
        if !locator.isFixed { lookTimer.arm(after: settings.lookInterval * Double.random(in: 0.5...1)) }
    }

    /// Leaves a master that has been replaced without saying so.
    private func lookAgain() {
        guard let link = ready, let address else { return }
        locator.look(at: address) { [weak self, weak link] isStillMeant in
            guard let self, let link, link === self.ready else { return }
            if isStillMeant {
                self.lookTimer.arm(after: self.settings.lookInterval * Double.random(in: 0.5...1))
            } else {
                self.fail(.lost("\(address) is not the master any more"))
            }
        }
    }

    private func fail(_ failure: Failure) {
        guard !isClosed else { return }
        turn += 1
        connectTimer.disarm()
        lookTimer.disarm()
        locator.cancel()
        if ready == nil { locator.doubt() }
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
