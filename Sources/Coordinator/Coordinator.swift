import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// The clients' side of a pool: takes their calls, feeds `Waiters` and `Renewals`, and performs their actions. It does
/// not decide.
package actor Coordinator {
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    enum Stage { case idle, running, stopping, stopped }

    let settings: CoordinatorSettings
    let loop: EventLoop
    let log: Log
    let store: LeaseStore
    /// The same record, for what most requests are about.
    let calls: LeaseCalls
    let instance: InstanceID
    let assets = Assets()
    let meter: Meter
    private let client: RedisClient
    private let subscription: RedisSubscription
    private let onRefused: @Sendable (CoordinatorError) -> Void
    /// Listens, and hands calls on to the others where several pools are served.
    private let isFront: Bool
    /// Those of the other pools, on the same loop; of the one in front alone.
    let others: [Coordinator]

    var stage = Stage.idle
    var waiters: Waiters
    var renewals = Renewals()
    var preemptions: Preemptions
    var standstill = Standstill()
    var mirror: PoolMirror
    var pool = PoolReading()
    var feed = EventFeed()
    var lockCalls: [CallID: LockCall] = [:]
    var renewCalls: [CallID: BridgeCall] = [:]
    var bridgeCalls: [UInt64: BridgeCall] = [:]
    var adminCalls: [UInt64: AdminCall] = [:]
    var lastNumber: UInt64 = 0
    var access: Access
    /// The audit file; nil where none is kept.
    var trail: AuditTrail?
    var userNames = UserNames()
    var limits: RateLimits
    private var tokenBytes: [UInt8]?
    private var fileTimer: LoopTimer?
    private var server: HTTPServer?
    private var reader: RedisStreamReader?
    private var queue: [Waiters.Event] = []
    private var mail = Fifo<CoordinatorMessage>()
    private var mailTimer: LoopTimer?
    private var asksUnderWay = 0
    private var laterAsks = Fifo<(AskReference, LockRequest, AskAge)>()
    private var isAsking = false
    private var isFeeding = false
    private var isClientUp = false
    private var isInboxUp = false
    private var wasUp = false
    /// What is known of the pool's record, for Redis to compare.
    private var memory = PoolMemory()
    private var wakeTimer: LoopTimer?
    private var armedFor: BootInstant?
    private var beatTimer: LoopTimer?
    private var commentTimer: LoopTimer?
    /// What the listeners are bound to, as URLs.
    package private(set) var urls: [String] = []

    /// - Parameters:
    ///   - isFront: Serves all pools of the settings, by further coordinators that have one each, and listens.
    ///   - onRefused: Called on the loop whenever the Redis turns out to be one that must not be used.
    package init(
        settings: CoordinatorSettings, loop: EventLoop, log: Log, isFront: Bool = true,
        onRefused: @escaping @Sendable (CoordinatorError) -> Void = { _ in }
    ) {
        let instance = InstanceID(SecureRandom.randomHex(bytes: 16))
        let meter = Meter(loop: loop, version: settings.version)
        let redis = settings.redis.serving(slotOf: LeaseStore.slotKey(of: settings.pool))
        let client = RedisClient(
            loop: loop, endpoint: redis, name: "leasehold-coordinator", log: log,
            settings: settings.redisSettings)
        self.settings = settings
        self.loop = loop
        let short = LogField.text(String(instance.text.prefix(8)))
        self.log = log.with(
            settings.otherPools.isEmpty
                ? ["coordinator": short] : ["coordinator": short, "pool": .text(settings.pool.text)])
        self.instance = instance
        self.meter = meter
        self.client = client
        self.onRefused = onRefused
        self.isFront = isFront
        others = isFront ? Self.others(settings, loop, log, onRefused) : []
        access = Access(tokens: nil)
        limits = RateLimits(settings.callerLimits)
        waiters = Waiters(limit: settings.waitingLimit)
        preemptions = Preemptions(policy: settings.preemption)
        mirror = PoolMirror(aging: settings.aging)
        subscription = RedisSubscription(
            loop: loop, endpoint: redis, name: "leasehold-coordinator-inbox", log: log,
            settings: settings.redisSettings)
        let send: LeaseCalls.Sender = { script, keys, arguments, reply in
            let sent = loop.now
            client.evaluate(script, keys: keys, arguments: arguments) { outcome in
                if case .failure = outcome { meter.redisFailed() } else { meter.roundTrip(loop.now - sent) }
                reply(outcome)
            }
        }
        calls = LeaseCalls(pool: settings.pool, aging: settings.aging, send: send)
        store = LeaseStore(pool: settings.pool, aging: settings.aging) {
            (script, keys, arguments) async throws(RedisError) in
            try await loop.outcome { send(script, keys, arguments, $0) }.get()
        }
    }

    private static func others(
        _ settings: CoordinatorSettings, _ loop: EventLoop, _ log: Log,
        _ onRefused: @escaping @Sendable (CoordinatorError) -> Void
    ) -> [Coordinator] {
        settings.otherPools.map { pool in
            var own = settings
            own.pool = pool
            own.otherPools = settings.pools.filter { $0 != pool }
            // Each pool's events have an order of their own, so each has a chain of its own.
            own.auditPath = settings.auditPath.map { "\($0).\(pool.text)" }
            return Coordinator(settings: own, loop: loop, log: log, isFront: false, onRefused: onRefused)
        }
    }

    var now: BootInstant { BootInstant(sinceBoot: loop.now) }

    // MARK: Life

    /// Listens and connects. Returns before Redis has answered. A coordinator is started once; one that was started
    /// must be stopped.
    package func start() async throws(CoordinatorError) {
        precondition(stage == .idle, "a coordinator is started once")
        access = try readAccess()
        if let path = settings.auditPath {
            do throws(AuditError) { trail = try AuditTrail(path: path) } catch { throw .audit(error.description) }
        }
        if isFront { try listen() }
        stage = .running
        fileTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.lookAtFiles() } }
        armFileTimer()
        wakeTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.clockReached() } }
        mailTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.takeMail() } }
        beatTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.beat() } }
        commentTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.comment() } }
        client.onStateChange = { [weak self] state in self?.assumeIsolated { $0.clientChanged(state) } }
        subscription.start(
            channels: [LeaseStore.inbox(of: instance, pool: settings.pool)],
            onMessage: { [weak self] _, bytes in self?.assumeIsolated { $0.heard(bytes) } },
            onStateChange: { [weak self] state in self?.assumeIsolated { $0.inboxChanged(state) } })
        client.start()
        beatTimer?.arm(after: Limits.beat)
        commentTimer?.arm(after: EventFeed.commentInterval)
        log.info(
            "coordinator_started", ["urls": .text(urls.joined(separator: " ")), "scope": .text(settings.scope.text)])
        for other in others { try await other.start() }
    }

    private func listen() throws(CoordinatorError) {
        // The server keeps this coordinator until `stop`.
        let server = HTTPServer(loop: loop, limits: settings.httpLimits, log: log) { request, exchange in
            self.receive(request, exchange)
        }
        self.server = server
        for address in settings.listen {
            do throws(HTTPError) {
                switch address {
                case .tcp(let host, let port):
                    let bound = try server.listen(host: host, port: port, tls: settings.tls)
                    let name = host == "*" ? "localhost" : host.contains(":") ? "[\(host)]" : host
                    urls.append("\(settings.tls == nil ? "http" : "https")://\(name):\(bound)")
                case .unix(let path):
                    try server.listen(unixPath: path, openTo: settings.socketRoles == nil ? .owner : .everybody)
                    urls.append("unix://\(path)")
                }
            } catch {
                throw .cannotListen("\(address)", why: error.message)
            }
        }
    }

    /// Answers every waiter 503 before a connection is closed (design §4.10), gives its tickets up, and ends. Safe to
    /// call twice.
    package func stop() async {
        guard stage == .running else { return }
        answerAll()
        await server?.shutDown(grace: settings.shutDownGrace)
        server = nil
        await leave()
        for other in others { await other.leave() }
    }

    private func answerAll() {
        guard stage == .running else { return }
        stage = .stopping
        feed(.shutdown)
        perform(renewals.handle(.shutdown, at: now))
        feed.endAll()
        for other in others { other.assumeIsolated { $0.answerAll() } }
    }

    private func leave() async {
        guard stage == .stopping else { return }
        if isClientUp, !waiters.keepsTickets {
            // On the loop, wherever this was called from.
            await loop.spawn { [store, instance, log] in
                do throws(StoreError) {
                    try await store.leave(instance)
                } catch {
                    log.warning("leave_failed", ["error": .text(error.message)])
                }
            }.value
        }
        stage = .stopped
        for timer in [wakeTimer, mailTimer, beatTimer, commentTimer, fileTimer] { timer?.disarm() }
        await reader?.close()
        trail = nil
        await subscription.close()
        await client.close()
        log.info("coordinator_stopped")
    }

    /// Whether Redis is connected, the copy of each pool current, and its own host in it where it has one.
    package var isReady: Bool { stage == .running && unreadyReasons(ofAllPools: true).isEmpty }

    /// Whether the copy of the pool has a host, and shows it as present.
    func shows(_ host: HostID) -> Bool { mirror.hosts[host]?.isPresent == true }

    /// What has become of connections so far; nil where another coordinator listens.
    var connectionCounts: HTTPCounts? { server?.counts }

    var isUp: Bool { isClientUp && isInboxUp }

    // MARK: Files that may change

    /// How often tokens and certificates are looked at for changes.
    private static let fileInterval = Duration.seconds(2)

    private func readAccess() throws(CoordinatorError) -> Access {
        var tokens: TokenList?
        do {
            let bytes = try settings.tokensPath.map { try Files.read($0, limit: AccessLimits.fileBytes) }
            tokenBytes = bytes
            tokens = try TokenList.configured(
                file: try bytes.map { try TokenFile(bytes: $0) }, bridgeToken: settings.bridgeToken)
        } catch {
            throw .tokens(settings.tokensPath ?? "BRIDGE_TOKEN", why: "\(error)")
        }
        let addresses = settings.listen.map(\.description)
        if let why = Access.refusalToListen(
            on: addresses, tokens: tokens, socketRoles: settings.socketRoles)
        {
            throw .open(why)
        }
        return Access(
            tokens: tokens, origins: settings.origins, hosts: settings.hosts, addresses: addresses, pool: settings.pool,
            socketRoles: settings.socketRoles)
    }

    /// Takes changed tokens and certificates over; what cannot be used changes nothing.
    package func lookAtFiles() {
        guard stage == .running else { return }
        for other in others { other.assumeIsolated { $0.lookAtFiles() } }
        armFileTimer()
        lookAtTokens()
        audit { (trail) throws(LoopError) in try trail.reopen(time: wallTime) }
        for look in server?.lookAtCertificates() ?? [] {
            switch look {
            case .taken(let path): log.info("certificate_read", ["path": .text(path)])
            case .refused(let path, let why):
                log.error("certificate_refused", ["path": .text(path), "why": .text(why)])
            }
        }
    }

    /// The one in front looks for all.
    private func armFileTimer() {
        guard isFront, settings.tokensPath != nil || settings.tls != nil || settings.auditPath != nil else { return }
        fileTimer?.arm(after: Self.fileInterval)
    }

    private func lookAtTokens() {
        guard let path = settings.tokensPath else { return }
        guard let bytes = try? Files.read(path, limit: AccessLimits.fileBytes), bytes != tokenBytes else { return }
        do throws(CoordinatorError) {
            access = try readAccess()
            log.info("tokens_read", ["path": .text(path)])
        } catch {
            log.error("tokens_refused", ["path": .text(path), "why": .text(error.description)])
        }
    }

    // MARK: Redis

    private func clientChanged(_ state: RedisState) {
        switch state {
        case .connected:
            isClientUp = true
            // Another server may lack what was heard since the last heartbeat.
            if let seen = pool.lastSeen, seen > RedisStreamID(memory.event) { memory.event = seen.text }
            readPool()
        case .disconnected: isClientUp = false
        case .refused(let reason):
            isClientUp = false
            log.error("redis_refused", ["reason": .text(reason)])
            onRefused(.redisRefused(reason))
        }
        linkChanged()
    }

    private func inboxChanged(_ state: RedisState) {
        if case .connected = state { isInboxUp = true } else { isInboxUp = false }
        linkChanged()
    }

    /// Only with both a grant can be asked for and heard; after each gap everybody is compared again.
    private func linkChanged() {
        guard stage == .running else { return }
        if isUp {
            if !wasUp { log.info("redis_connected") }
            feed(.redisBack)
            feed(.beatDue)
        } else if wasUp {
            log.warning("redis_lost")
            pool.lost(at: now)
            feed(.redisLost)
        }
        wasUp = isUp
    }

    private func heard(_ bytes: [UInt8]) {
        for message in Inbox.coordinatorMessages(bytes) { mail.append(message) }
        if mailTimer?.isArmed != true { takeMail() }
    }

    /// Takes some of the messages that came; who else has asked something meanwhile is answered before the others.
    private func takeMail() {
        for _ in 0..<Limits.messagesATurn {
            guard let message = mail.popFirst() else { break }
            take(message)
        }
        if mail.count > 0 { mailTimer?.arm(after: .zero) }
        arm()
    }

    private func take(_ message: CoordinatorMessage) {
        switch message {
        case .granted(let grant): feed(.granted(grant))
        case .held(let ticket, _): feed(.held(ticket))
        case .renewed(let lease, let nonce, let ttl, let also):
            feed(.renewed(lease, nonce: nonce, ttl: ttl, also: also))
            perform(renewals.handle(.renewed(lease, nonce: nonce, ttl: ttl), at: now))
        case .renewalRefused(let lease, let nonce, let reason):
            feed(.renewalRefused(nonce: nonce))
            perform(renewals.handle(.refused(lease, nonce: nonce, reason), at: now))
        case .refused(let ticket, let by, let why): feed(.refused(ticket, by: by, why: why))
        case .moved(let ticket): feed(.moved(ticket))
        }
    }

    /// Follows the stream of events from where the copy was read.
    func follow(after id: String) {
        guard reader == nil, stage == .running else { return }
        let reader = RedisStreamReader(
            loop: loop, endpoint: settings.redis.serving(slotOf: LeaseStore.slotKey(of: settings.pool)),
            name: "leasehold-coordinator-events", stream: store.eventStream, log: log,
            settings: settings.redisSettings)
        self.reader = reader
        // The reader belongs to this coordinator and is closed by it.
        reader.start(
            after: id,
            onEntries: { [weak self] entries in self?.assumeIsolated { $0.happened(entries) } },
            onStateChange: { [weak self] state in self?.assumeIsolated { $0.readerChanged(state) } })
    }

    private func readerChanged(_ state: RedisState) {
        guard case .connected = state else {
            if pool.isFollowed { pool.lost(at: now) }
            pool.isFollowed = false
            return
        }
        pool.isFollowed = true
        audit { (trail) throws(LoopError) in trail.fallBehind() }
        // What was trimmed while nobody read is not told: read all again.
        if pool.wasFollowed { readPool() }
        pool.wasFollowed = true
    }

    // MARK: Deciding

    private func clockReached() {
        armedFor = nil
        feed(.clockReached)
        perform(renewals.handle(.clockReached, at: now))
        arm()
    }

    private func beat() {
        guard stage == .running else { return }
        beatTimer?.arm(after: Limits.beat)
        standstill.tick(at: now)
        feed(.beatDue)
        lookForHolders()
    }

    private func comment() {
        commentTimer?.arm(after: EventFeed.commentInterval)
        feed.comment()
    }

    /// One event after the other, also when performing one brings the next.
    func feed(_ event: Waiters.Event) {
        queue.append(event)
        guard !isFeeding else { return }
        isFeeding = true
        var next = 0
        while next < queue.count {
            let actions = waiters.handle(queue[next], at: now)
            next += 1
            // A token that was asked for is told before anything else.
            let drawn = perform(actions)
            if !drawn.isEmpty { queue.insert(contentsOf: drawn, at: next) }
        }
        queue.removeAll(keepingCapacity: true)
        isFeeding = false
        arm()
    }

    func arm() {
        guard stage == .running else { return }
        let wakeAt = BootInstant.earlier(waiters.wakeAt, renewals.wakeAt)
        guard wakeAt != armedFor else { return }
        armedFor = wakeAt
        if let wakeAt { wakeTimer?.arm(after: max(.zero, wakeAt - now)) } else { wakeTimer?.disarm() }
    }

    private func perform(_ actions: [Waiters.Action]) -> [Waiters.Event] {
        var drawn: [Waiters.Event] = []
        for action in actions {
            switch action {
            case .ask(let reference, let request, let age): ask(reference, request, age)
            case .drawToken(let ticket): drawn.append(.tokenDrawn(ticket, Self.draw()))
            case .answerAgain(let ticket, let hash, let nonce): answerAgain(ticket, hash, nonce)
            case .cancel(let ticket, let token, let cause):
                cancel(ticket, token, cause)
                preemptionOver(ticket)
            case .giveBack(let lease, let ticket, let token): giveBack(lease, ticket, token)
            case .answer(let call, let outcome): answer(call, outcome)
            case .beat(let number, let count, let naming): beat(number, count, naming)
            }
        }
        return drawn
    }

    /// A new secret of 128 random bits.
    static func draw() -> DrawnToken {
        let drawn = SecureRandom.randomHex(bytes: 16 + 8)  // asked for once: each time is a system call
        let secret = String(drawn.prefix(32))
        return DrawnToken(
            secret: LeaseSecret(secret), hash: TokenHash(Digest.sha256Hex(secret)), nonce: String(drawn.dropFirst(32)))
    }

    private func ask(_ reference: AskReference, _ request: LockRequest, _ age: AskAge) {
        laterAsks.append((reference, request, age))
        sendAsks()
    }

    /// As many as may be under way. An answer that comes at once, since Redis is away, calls this again.
    private func sendAsks() {
        guard !isAsking else { return }
        isAsking = true
        while asksUnderWay < Limits.asksAtOnce, let (reference, request, age) = laterAsks.popFirst() {
            asksUnderWay += 1
            let ask = Ask(request, age, coordinator: instance, beat: waiters.lastBeat, gathering: settings.gathering)
            calls.ask(ask) { outcome in self.asked(request, reference, outcome) }
        }
        isAsking = false
    }

    private func asked(_ request: LockRequest, _ reference: AskReference, _ outcome: Result<AskOutcome, StoreError>) {
        asksUnderWay -= 1
        sendAsks()
        let answer: AskAnswer
        switch outcome {
        case .success(let outcome): answer = AskAnswer(outcome)
        case .failure(let error):
            log.warning("ask_failed", ["ticket": .text(request.ticket.text), "error": .text(error.message)])
            answer = .failed
        }
        if case .queued(let score) = answer { lockCalls[request.call]?.score = score }
        if request.preempts {
            switch answer {
            case .queued: preemptionWanted(request, isQueued: true)
            case .offered: preemptionWanted(request, isQueued: false)
            case .held, .refused, .moved, .unknownHost, .unknownUnit, .nameTaken, .failed: break
            }
        }
        feed(.askAnswered(reference, answer))
    }

    private func answerAgain(_ ticket: TicketID, _ hash: TokenHash, _ nonce: String) {
        let again = AnswerAgain(
            ticket, coordinator: instance, newToken: hash, nonce: nonce, beat: waiters.lastBeat)
        calls.answerAgain(again) { outcome in
            let answer: AgainAnswer
            switch outcome {
            case .success(let outcome): answer = AgainAnswer(outcome)
            case .failure(let error):
                self.log.warning(
                    "answer_again_failed", ["ticket": .text(ticket.text), "error": .text(error.message)])
                answer = .failed
            }
            self.feed(.againAnswered(ticket, nonce: nonce, answer))
        }
    }

    private func cancel(_ ticket: TicketID, _ token: TokenHash, _ cause: CancelCause) {
        let cancel = Cancel(
            ticket, coordinator: instance, token: token, why: CancelReason(cause), beat: waiters.lastBeat)
        self.cancel(cancel, ifFailed: .cancelFailed(ticket, token, cause))
    }

    private func giveBack(_ lease: LeaseID, _ ticket: TicketID, _ token: TokenHash) {
        let cancel = Cancel(
            ticket, lease: lease, coordinator: instance, token: token, why: .undelivered, beat: waiters.lastBeat)
        self.cancel(cancel, ifFailed: .giveBackFailed(lease, ticket, token))
    }

    private func cancel(_ cancel: Cancel, ifFailed event: Waiters.Event) {
        calls.cancel(cancel) { outcome in
            guard case .failure(let error) = outcome else { return }
            self.log.warning(
                "cancel_failed", ["ticket": .text(cancel.ticket.text), "error": .text(error.message)])
            self.feed(event)
        }
    }

    private func beat(_ number: Int64, _ count: Int, _ naming: [TicketID]) {
        calls.beat(Beat(coordinator: instance, number: number, count: count, tickets: naming, memory: memory)) {
            self.beatAnswered(number, try? $0.get())
        }
    }

    private func beatAnswered(_ number: Int64, _ outcome: BeatOutcome?) {
        guard let outcome else { return feed(.beatFailed(number: number)) }
        let isNew = !memory.epoch.isEmpty && memory.epoch != outcome.epoch
        memory = outcome.memory
        if isNew {
            log.warning("redis_forgot", ["epoch": .text(outcome.epoch)])
            audit { (trail) throws(LoopError) in trail.fallBehind() }
            readPool()
        }
        streamBegins(at: RedisStreamID(outcome.firstEvent))
        compareAudit(epoch: outcome.epoch)
        feed(.beatAnswered(number: number, BeatAnswer(outcome, isNewEpoch: isNew)))
    }

    // MARK: Renewals

    func perform(_ actions: [Renewals.Action]) {
        for action in actions {
            switch action {
            case .renew(let lease, let token, let nonce): renew(lease, token, nonce)
            case .answer(let call, let outcome): answer(call, outcome)
            }
        }
    }

    private func renew(_ lease: LeaseID, _ token: TokenHash, _ nonce: String) {
        loop.spawn { [store, instance, log] in
            let answer: RenewAnswer
            do throws(StoreError) {
                answer = RenewAnswer(
                    try await store.renew(lease, token: token, nonce: nonce, coordinator: instance))
            } catch {
                log.warning("renew_failed", ["lease": .text(lease.text), "error": .text(error.message)])
                answer = .failed
            }
            await self.renewAnswered(nonce, answer)
        }
    }

    private func renewAnswered(_ nonce: String, _ answer: RenewAnswer) {
        perform(renewals.handle(.answered(nonce: nonce, answer), at: now))
        arm()
    }
}
