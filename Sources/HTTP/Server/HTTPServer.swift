import CSystem
import EventLoop
import Telemetry

/// An HTTP/1.1 server on a loop: over TCP, TLS and unix sockets, as many listeners as wanted.
///
/// What a request has to look like, and what becomes of one that does not, is decided here; the handler gets complete
/// requests, one at a time a connection, in the order in which they came. `@unchecked Sendable` holds because all but
/// `init` and `shutDown` checks that it runs on the loop's thread, and `shutDown` goes there.
package final class HTTPServer: @unchecked Sendable {
    let loop: EventLoop
    let limits: HTTPLimits
    let log: Log
    let handler: (HTTPRequest, HTTPExchange) -> Void
    /// Where answers are written before they are sent; one for all, since each is sent at once.
    var text = MessageText()
    private(set) var isShuttingDown = false

    /// What has happened so far, for metrics.
    package private(set) var counts = HTTPCounts()

    private var listeners: [Listener] = []
    private var certificates: [TLSSettings: ServerCertificate] = [:]
    private var connections: [Connection] = []
    private var crowding: Crowding
    /// Bytes that clients have asked for and not taken.
    private var unsentBytes = 0
    private var unsentTimer: LoopTimer?
    private var dateLine = DateLine()
    /// Requests whose answer is not sent.
    private var underWay = 0
    private var shutDownTimer: LoopTimer?
    private var whenShutDown: [UnsafeContinuation<Void, Never>] = []

    /// - Parameter handler: Called on the loop's thread with each request; it answers at once or later.
    package init(
        loop: EventLoop, limits: HTTPLimits = .init(), log: Log,
        handler: @escaping (HTTPRequest, HTTPExchange) -> Void
    ) {
        self.loop = loop
        self.limits = limits
        crowding = Crowding(limits)
        self.log = log
        self.handler = handler
    }

    // MARK: Listening

    /// Listens on every address of `host`, with TLS where it has settings; `*` is every address of this machine.
    /// On the loop's thread, or before it runs. A name is looked up while everything waits.
    ///
    /// - Parameter port: 0 to 65535; 0 takes a free one.
    /// - Returns: the port.
    package func listen(host: String, port: Int, tls: TLSSettings? = nil) throws(HTTPError) -> Int {
        loop.checkIsolated()
        guard !isShuttingDown else { throw HTTPError(.cannotListen, "the server is shutting down") }
        let bound = try Listener.bind(self, host: host, port: port, tls: try tls.map(certificate))
        listeners += bound.listeners
        return bound.port
    }

    /// Who may open a unix socket, as far as its own permissions go.
    package enum SocketClients: Sendable {
        case owner, everybody
        var mode: mode_t { self == .owner ? 0o600 : 0o666 }
    }

    /// Listens on a unix socket. A socket left behind is replaced, one in use is not.
    package func listen(unixPath: String, openTo clients: SocketClients = .owner) throws(HTTPError) {
        loop.checkIsolated()
        guard !isShuttingDown else { throw HTTPError(.cannotListen, "the server is shutting down") }
        listeners.append(try Listener.bind(self, unixPath: unixPath, openTo: clients))
    }

    private func certificate(_ settings: TLSSettings) throws(HTTPError) -> ServerCertificate {
        if let known = certificates[settings] { return known }
        let made = try ServerCertificate(settings)
        certificates[settings] = made
        return made
    }

    /// Looks whether certificates, keys or authorities have changed, and takes changed ones over for the connections to
    /// come. On the loop's thread.
    ///
    /// - Returns: What has changed; a broken change is told once, and what was in use stays.
    package func lookAtCertificates() -> [CertificateLook] {
        loop.checkIsolated()
        return certificates.values.compactMap { $0.look() }
    }

    // MARK: Shutting down

    /// Stops listening and lets every request that is under way be answered, its connection closed behind it; whoever
    /// comes meanwhile on an open connection gets 503. What is not answered when `grace` has passed gets 503 too.
    /// Returns when the last connection is closed.
    package func shutDown(grace: Duration) async {
        await withUnsafeContinuation { continuation in
            loop.perform { self.beginShutDown(grace, continuation) }
        }
    }

    private func beginShutDown(_ grace: Duration, _ continuation: UnsafeContinuation<Void, Never>) {
        whenShutDown.append(continuation)
        guard !isShuttingDown else { return lookWhetherOver() }
        isShuttingDown = true
        let closing = listeners
        listeners = []
        for listener in closing { listener.close() }
        let timer = loop.timer { [weak self] in self?.closeConnections() }
        shutDownTimer = timer
        timer.arm(after: underWay == 0 ? .zero : grace)
        lookWhetherOver()
    }

    private func closeConnections() {
        for connection in connections { connection.serverCloses() }
        let timer = loop.timer { [weak self] in
            guard let self else { return }
            for connection in self.connections { connection.close() }
        }
        shutDownTimer = timer
        timer.arm(after: limits.lingerDeadline + limits.lingerDeadline)
        lookWhetherOver()
    }

    private func lookWhetherOver() {
        guard isShuttingDown, connections.isEmpty else { return }
        shutDownTimer?.disarm()
        shutDownTimer = nil
        let waiting = whenShutDown
        whenShutDown = []
        for continuation in waiting { continuation.resume() }
    }

    // MARK: From listeners and connections

    var date: [UInt8] {
        dateLine.look(loop.now, wallClock: loop.wallClock)
        return dateLine.bytes
    }

    func accepted(_ descriptor: Int32, peer: String, network: PeerNetwork?, tls: TLSContext?) {
        counts.connections += 1
        if !isShuttingDown, let lack = crowding.lack(for: network, at: loop.now) { makeRoom(lack) }
        let verdict = crowding.came(from: network, isShuttingDown: isShuttingDown)
        guard verdict != .dropped else {
            counts.refusals[503, default: 0] += 1
            close(descriptor)
            return
        }
        let isAdmitted = verdict == .admitted
        guard
            let connection = Connection(
                self, descriptor: descriptor, peer: peer, network: network, isAdmitted: isAdmitted, tls: tls)
        else { return crowding.left(network, wasAdmitted: isAdmitted) }
        connection.position = connections.count
        connections.append(connection)
        counts.openConnections = connections.count
        if case .refused(let refusal) = verdict { connection.refuse(refusal) }
    }

    /// Closes the most dispensable connections; whether there were any.
    @discardableResult
    private func makeRoom(_ lack: Crowding.Lack) -> Bool {
        let candidates = connections.compactMap { connection in
            connection.isAdmitted && (lack.network == nil || connection.network == lack.network)
                ? connection.dispensability.map { (connection: connection, $0) } : nil
        }
        let victims = candidates.sorted { $0.1 < $1.1 }.prefix(lack.count)
        for (connection, _) in victims { connection.close() }
        guard victims.isEmpty else {
            counts.closedForRoom += UInt64(victims.count)
            log.debug("connections closed for others", ["count": .integer(Int64(victims.count))])
            return true
        }
        crowding.lookedInVain(for: lack, at: loop.now)
        return false
    }

    /// Descriptors have run out; whether some are free now.
    func descriptorsRanOut() -> Bool { makeRoom(Crowding.Lack(of: nil, count: limits.refusedConnections)) }

    /// A connection has so many bytes more, or fewer, that its client has not taken.
    func unsent(_ bytes: Int) {
        unsentBytes += bytes
        guard unsentBytes > limits.unsentBytes, unsentTimer == nil else { return }
        // Not now: the connection that has grown is in the midst of its answer.
        let timer = loop.timer { [weak self] in self?.giveUpSlowReaders() }
        unsentTimer = timer
        timer.arm(after: .zero)
    }

    private func giveUpSlowReaders() {
        unsentTimer = nil
        let slow = connections.filter { $0.unsentBytes > 0 }.sorted { $0.unsentSince < $1.unsentSince }
        let before = counts.slowReaders
        for connection in slow {
            guard unsentBytes > limits.unsentBytes / 8 * 7 else { break }
            counts.slowReaders += 1
            connection.giveUp()
        }
        log.warning("slow readers given up", ["count": .integer(Int64(counts.slowReaders - before))])
    }

    func requestBegan() {
        counts.requests += 1
        underWay += 1
    }

    func requestEnded() {
        underWay -= 1
        if isShuttingDown, underWay == 0 { shutDownTimer?.arm(after: .zero) }
    }

    func refused(_ refusal: Refusal) {
        counts.refusals[refusal.status, default: 0] += 1
        log.debug("request refused", ["status": .integer(Int64(refusal.status)), "error": .text(refusal.word)])
    }

    func closed(_ connection: Connection) {
        let last = connections.removeLast()
        if last !== connection {
            precondition(connections[connection.position] === connection, "a connection knows its own place")
            connections[connection.position] = last
            last.position = connection.position
        }
        counts.openConnections = connections.count
        crowding.left(connection.network, wasAdmitted: connection.isAdmitted)
        lookWhetherOver()
    }
}
