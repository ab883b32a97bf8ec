import EventLoop
import HTTP
import JSON
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// Looks for the devices of this host; nil where the look failed, which changes nothing.
package typealias DeviceSource = @Sendable () async -> [UnitProperties]?

/// The agent of one host: feeds `AgentMachine` and performs its actions. It does not decide.
package actor Agent {
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private enum Stage { case idle, running, over, stopped }

    private let settings: AgentSettings
    private let loop: EventLoop
    private let log: Log
    private let source: DeviceSource
    private let client: RedisClient
    private let subscription: RedisSubscription
    private let outbox: Outbox
    private let leaseCalls: LeaseCalls
    private let voice: Voice
    private let meter: AgentMeter
    private let onEnd: @Sendable (AgentError) -> Void
    private var stage = Stage.idle
    private var journal: JournalFile?
    private var machine: AgentMachine?
    private var queue: [AgentMachine.Event] = []
    private var isFeeding = false
    private var watch = ProcessWatch()
    private var wakeTimer: LoopTimer?
    private var armedFor: BootInstant?
    private var watchTimer: LoopTimer?
    private var probeTimer: LoopTimer?
    private var isClientUp = false
    private var isInboxUp = false
    private var doors: [HTTPServer] = []
    private var calls: [Int: HTTPExchange] = [:]
    /// Those who stay connected for a lease, by the number of their call.
    private var followers: [Int: (lease: LeaseID, exchange: HTTPExchange)] = [:]
    private var followTimer: LoopTimer?
    private var callCount = 0
    /// Where `verifyListen` is bound.
    package private(set) var verifyPort: Int?

    /// - Parameters:
    ///   - devices: Asked at the start and every `probeInterval`.
    ///   - onEnd: Called at most once, on the loop, when the agent must not go on: another speaks for its host. The
    ///     agent is then to be stopped.
    package init(
        settings: AgentSettings, loop: EventLoop, log: Log, devices: @escaping DeviceSource,
        onEnd: @escaping @Sendable (AgentError) -> Void
    ) {
        self.settings = settings
        self.loop = loop
        self.log = log.with(["host": .text(settings.host.text)])
        self.source = devices
        self.onEnd = onEnd
        let redis = settings.redis.serving(slotOf: LeaseStore.slotKey(of: settings.pool))
        client = RedisClient(
            loop: loop, endpoint: redis, name: "leasehold-agent", log: log, settings: settings.redisSettings)
        subscription = RedisSubscription(
            loop: loop, endpoint: redis, name: "leasehold-agent-inbox", log: log, settings: settings.redisSettings)
        let client = client
        let meter = AgentMeter(loop: loop, version: settings.version)
        self.meter = meter
        let outbox = Outbox(loop: loop) { script, keys, arguments, reply in
            let sent = loop.now
            client.evaluate(script, keys: keys, arguments: arguments) { outcome in
                if case .success = outcome {
                    meter.answered(after: loop.now - sent, isAnswer: true)
                } else {
                    meter.answered(after: .zero, isAnswer: false)
                }
                reply(outcome)
            }
        }
        self.outbox = outbox
        leaseCalls = LeaseCalls(pool: settings.pool, send: outbox.send)
        voice = Voice(
            store: LeaseStore(pool: settings.pool) { (script, keys, arguments) async throws(RedisError) in
                try await outbox.evaluate(script, keys, arguments)
            }, log: self.log, host: settings.host, instance: InstanceID(SecureRandom.randomHex(bytes: 16)))
    }

    private var now: BootInstant { BootInstant(sinceBoot: loop.now) }

    /// This run of the agent.
    package nonisolated var instance: InstanceID { voice.instance }

    /// Takes the state directory, looks for devices, adopts what the journal remembers, and connects. Returns before
    /// Redis has answered. An agent is started once; one that was started must be stopped.
    package func start() async throws(AgentError) {
        precondition(stage == .idle, "an agent is started once")
        guard settings.labels.count <= Limits.labels else {
            throw .tooManyLabels(settings.labels.count, limit: Limits.labels)
        }
        let journal = try JournalFile(directory: settings.stateDirectory)
        let found = await search()
        if found == nil {
            log.error("probe_failed", ["again_in_s": .integer(settings.probeInterval.components.seconds)])
        }
        let units = withModelLoad(found ?? [])
        guard units.count <= Limits.unitsPerHost else {
            throw .tooManyUnits(units.count, limit: Limits.unitsPerHost)
        }
        let machine = adopt(journal, units)
        // From now on this instance is the one that the next start succeeds.
        do throws(LoopError) {
            try journal.write(machine.memory)
        } catch {
            throw .stateDirectory(settings.stateDirectory, why: error.description)
        }
        try openDoors()
        self.journal = journal
        self.machine = machine
        stage = .running
        connect()
        log.info(
            "agent_started", ["instance": .text(instance.text), "units": .integer(Int64(units.count))])
        feed(.clockReached)
    }

    private func adopt(_ journal: JournalFile, _ units: [UnitProperties]) -> AgentMachine {
        let past = journal.past(isFirstJoin: settings.isFirstJoin, wallClock: loop.wallClock)
        switch past {
        case .firstJoin, .remembered: break
        case .rebooted(let memory):
            log.info("host_rebooted", ["longest_lease_s": .integer(memory.longestTTL.components.seconds)])
        case .unknown:
            log.warning(
                "journal_missing",
                [
                    "path": .text(journal.path),
                    "units_rest_s": .integer((settings.longestTTL + settings.lockDelay).components.seconds),
                ])
        }
        return AgentMachine(
            instance: instance, past: past, inventory: units, lockDelay: settings.lockDelay,
            longestTTL: settings.longestTTL, longestGrace: settings.longestGrace, at: now)
    }

    private func openDoors() throws(AgentError) {
        if let listen = settings.verifyListen {
            let server = door(.tcp)
            do throws(HTTPError) {
                verifyPort = try server.listen(host: listen.host, port: listen.port)
            } catch {
                throw .cannotListen("\(listen.host):\(listen.port)", why: error.message)
            }
            doors.append(server)
        }
        let path = Self.socketPath(in: settings.stateDirectory)
        let server = door(.unix)
        do throws(HTTPError) {
            try server.listen(unixPath: path)
            doors.append(server)
        } catch {
            // Leases do without: only what runs under them is not known then.
            log.warning("local_socket_failed", ["path": .text(path), "error": .text(error.message)])
        }
    }

    private func door(_ door: Door) -> HTTPServer {
        // The server keeps this agent until `stop`.
        HTTPServer(loop: loop, log: log) { request, exchange in
            self.callCount += 1
            let number = self.callCount
            self.calls[number] = exchange
            self.loop.spawn { await self.answer(number, request, through: door) }
        }
    }

    private func answer(_ number: Int, _ request: HTTPRequest, through door: Door) async {
        let reply = await reply(to: request, through: door)
        guard let exchange = calls.removeValue(forKey: number) else { return }
        guard let lease = reply.follows, stage == .running else {
            return exchange.respond(
                HTTPResponse(status: reply.status, headers: ["Content-Type": reply.type], body: reply.body))
        }
        followers[number] = (lease, exchange)
        exchange.startStream(
            status: 200, headers: ["Content-Type": "text/event-stream", "Cache-Control": "no-store"])
        if let asked = machine?.asked(of: lease) { tellFollowers(of: lease, asked) }
        // Called at once where it is gone already.
        exchange.onClientGone = { self.followerGone(number) }
        if followTimer?.isArmed == false { followTimer?.arm(after: Self.followPause) }
    }

    /// Often enough for a follower to notice an agent that is no more.
    private static let followPause = Duration.seconds(10)

    private func comment() {
        for (number, follower) in followers where !follower.exchange.send(Array(": \n\n".utf8)) {
            followers[number] = nil
        }
        if !followers.isEmpty { followTimer?.arm(after: Self.followPause) }
    }

    /// What a holder that stays connected hears: `preempting`, with who wants the unit and how long it has, or `spared`; and
    /// `ending`, with the reason.
    private func tellFollowers(of lease: LeaseID, _ asked: OwnLease.Asked?) {
        if let asked {
            log.info(
                "lease_asked_back",
                [
                    "lease": .text(lease.text), "for": .text(asked.preemption.holder.text),
                    "by": .text(asked.preemption.by),
                ])
        }
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("lease", lease.text)
            guard let asked else { return }
            writer.member("for", asked.preemption.holder.text)
            writer.member("priority", asked.preemption.priority)
            writer.member("by", asked.preemption.by)
            writer.member("within_ms", max(.zero, asked.deadline - now).milliseconds)
        }
        tellFollowers(of: lease, asked == nil ? "spared" : "preempting", writer.bytes)
    }

    /// The lease is over: sooner than its next renewal would say so.
    private func tellFollowersOfEnd(of lease: LeaseID) {
        guard let reason = machine?.endingReason(of: lease) else { return }
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("lease", lease.text)
            writer.member("reason", reason.rawValue)
        }
        tellFollowers(of: lease, "ending", writer.bytes)
    }

    private func tellFollowers(of lease: LeaseID, _ kind: String, _ data: [UInt8]) {
        let event = Array("event: \(kind)\ndata: ".utf8) + data + Array("\n\n".utf8)
        for (number, follower) in followers where follower.lease == lease && !follower.exchange.send(event) {
            followers[number] = nil
        }
    }

    private func followerGone(_ number: Int) {
        guard let follower = followers.removeValue(forKey: number), stage == .running else { return }
        watch.doubtKeeper(of: follower.lease)
        watchTimer?.arm(after: .zero)
    }

    /// Whose lease is over is told so by the end of its stream.
    private func endFollowers(except standing: [RunningProcess]) {
        guard !followers.isEmpty else { return }
        let leases = Set(standing.map(\.lease))
        for (number, follower) in followers where !leases.contains(follower.lease) {
            followers[number] = nil
            follower.exchange.endStream()
        }
    }

    private func connect() {
        wakeTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.clockReached() } }
        followTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.comment() } }
        watchTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.lookAtProcesses() } }
        probeTimer = loop.timer { [weak self] in self?.assumeIsolated { $0.probe() } }
        probeTimer?.arm(after: settings.probeInterval)
        client.onStateChange = { [weak self] state in self?.assumeIsolated { $0.clientChanged(state) } }
        let everybody = LeaseStore.allAgents(of: settings.pool)
        subscription.start(
            channels: [LeaseStore.inbox(of: instance, pool: settings.pool), everybody],
            onMessage: { [weak self] channel, bytes in
                self?.assumeIsolated { if channel == everybody { $0.feed(.forgotten) } else { $0.heard(bytes) } }
            },
            onStateChange: { [weak self] state in self?.assumeIsolated { $0.inboxChanged(state) } })
        client.start()
    }

    /// Says goodbye: its units are offered to nobody, its leases and what runs under them stand. Safe to call twice.
    package func stop() async {
        guard stage == .running || stage == .over else { return }
        let speaks = stage == .running && isClientUp
        stage = .stopped
        endFollowers(except: [])
        followTimer?.disarm()
        wakeTimer?.disarm()
        watchTimer?.disarm()
        probeTimer?.disarm()
        if speaks, let machine {
            do throws(StoreError) {
                _ = try await voice.store.depart(voice.origin(machine.session))
            } catch {
                log.warning("depart_failed", ["error": .text(error.message)])
            }
        }
        for door in doors { await door.shutDown(grace: .seconds(1)) }
        doors = []
        await subscription.close()
        await client.close()
        writeJournal()
        journal = nil
        log.info("agent_stopped")
    }

    /// What `/metrics` shows.
    var metricsText: String { meter.text(of: reports, isUp: isClientUp) }

    /// All units as they stand.
    package var reports: [UnitReport] { machine?.reports(at: now) ?? [] }

    /// What this agent registers, for a banner.
    package var devices: [UnitProperties] { reports.map(\.properties) }

    /// Whether Redis has heard this agent and it takes offers.
    package var isRegistered: Bool { machine?.isOpen ?? false }

    /// Whether this is the unit's present lease, from this agent's own table; also with Redis down.
    package func verify(_ unit: UnitID, _ fencing: FencingToken) -> AgentMachine.Verdict {
        machine?.verify(unit, fencing, at: now) ?? .stale
    }

    /// Remembers what runs under a lease, so that it is ended with it. False where the token is not the lease's
    /// present one, or the process was not started for this lease on this host: its environment has to have the
    /// lease's id as the value of a variable. Where a `keeper` is named, the end of that process ends it as well.
    package func processStarted(_ process: Int32, under lease: LeaseID, token: TokenHash, keeper: Int32? = nil) async
        -> Bool
    {
        for _ in 0..<Self.looksAtStart {
            switch ProcessWatch.group(of: process, startedFor: lease) {
            case .foreign: return false
            case .starting: await loop.sleep(for: .milliseconds(5))
            case .found(let group): return watch(group, under: lease, token: token, keeper: keeper)
            }
        }
        return false
    }

    /// Puts a process that runs already under a lease. False where the token is not the lease's present one, or the process
    /// is gone, another user's, or under another lease.
    package func processAdopted(_ process: Int32, under lease: LeaseID, token: TokenHash, keeper: Int32?) -> Bool {
        guard let adopted = ProcessWatch.adoptable(process), let group = ProcessGroup.of(process) else { return false }
        let isTaken = (machine?.processes ?? []).contains { running in
            let other = running.process
            return running.lease != lease && (other.group == adopted.group || !other.isAlone && other.group == group)
        }
        return !isTaken && watch(adopted, under: lease, token: token, keeper: keeper)
    }

    private func watch(_ process: LeaseProcess, under lease: LeaseID, token: TokenHash, keeper: Int32?) -> Bool {
        var process = process
        process.keeper = keeper.flatMap { ForeignProcess($0) }.map {
            LeaseProcess.Keeper(process: $0.number, startTicks: $0.startTicks)
        }
        feed(.processStarted(lease, token, process))
        guard machine?.processes.contains(where: { $0.lease == lease && $0.process == process }) == true else {
            return false
        }
        log.info("process_watched", ["lease": .text(lease.text), "group": .integer(Int64(process.group))])
        return true
    }

    /// How often a process that is just being started is looked at.
    private static let looksAtStart = 50

    /// Looks for devices now.
    package func probe() {
        probeTimer?.disarm()
        loop.spawn { await self.probeAgain() }
    }

    private func search() async -> [UnitProperties]? {
        let found = await source()
        meter.note { registry in
            registry.count(Catalogue.probeRuns)
            if found == nil { registry.count(Catalogue.probeFailures) }
        }
        return found
    }

    private func probeAgain() async {
        let found = await search()
        guard stage == .running else { return }
        probeTimer?.arm(after: settings.probeInterval)
        guard let found else {
            log.error("probe_failed", ["again_in_s": .integer(settings.probeInterval.components.seconds)])
            return
        }
        let units = withModelLoad(found)
        if units.count > Limits.unitsPerHost {
            log.error("too_many_units", ["units": .integer(Int64(units.count))])
        } else if units.sorted(by: { $0.unit < $1.unit }) != devices {
            feed(.inventory(units))
        }
    }

    /// Beside its devices each host has one unit that serializes the loading of models on it (design §2).
    private func withModelLoad(_ units: [UnitProperties]) -> [UnitProperties] {
        guard !units.contains(where: { $0.kind == .modelLoad }),
            let unit = try? UnitID(settings.host.text + "/model-load")
        else { return units }
        let modelLoad = UnitProperties(unit: unit, kind: .modelLoad, memoryMB: 0, deviceType: "", details: "{}")
        return units + [modelLoad]
    }

    // MARK: What comes in

    private func clientChanged(_ state: RedisState) {
        let wasUp = isClientUp
        if case .connected = state { isClientUp = true } else { isClientUp = false }
        if case .refused(let reason) = state { log.error("redis_refused", ["reason": .text(reason)]) }
        if wasUp { feed(.disconnected) }
        if isClientUp, isInboxUp { feed(.connected) }
    }

    private func inboxChanged(_ state: RedisState) {
        guard case .connected = state else {
            isInboxUp = false
            return
        }
        isInboxUp = true
        guard isClientUp else { return }
        feed(machine?.isConnected == true ? .subscribed : .connected)
    }

    private func heard(_ bytes: [UInt8]) {
        if let mail = Inbox.agentMail(bytes) { feed(.mail(mail)) }
    }

    private func clockReached() {
        armedFor = nil
        feed(.clockReached)
    }

    private func lookAtProcesses() {
        let sight = watch.look(at: loop.now)
        for lease in sight.gone { feed(.processesGone(lease)) }
        for lease in sight.abandoned {
            log.info("keeper_gone", ["lease": .text(lease.text)])
            feed(.keeperGone(lease))
        }
        if stage == .over, !watch.isStopping { return end(.succeeded(settings.host.text)) }
        if !watch.isEmpty { watchTimer?.arm(after: watch.pause) }
    }

    /// One event after the other, also when performing one brings the next.
    private func feed(_ event: AgentMachine.Event) {
        guard stage == .running else { return }
        meter.count(event)
        queue.append(event)
        guard !isFeeding else { return }
        isFeeding = true
        defer { isFeeding = false }
        while !queue.isEmpty, stage == .running {
            guard let actions = machine?.handle(queue.removeFirst(), at: now) else { return }
            // A journal that failed is told before anything else.
            queue.insert(contentsOf: perform(actions), at: 0)
        }
        arm()
    }

    private func arm() {
        let processes = machine?.processes ?? []
        watch.follow(processes)
        endFollowers(except: processes)
        if !watch.isEmpty, watchTimer?.isArmed == false { watchTimer?.arm(after: ProcessWatch.interval) }
        let wakeAt = machine?.wakeAt
        guard wakeAt != armedFor else { return }
        armedFor = wakeAt
        if let wakeAt { wakeTimer?.arm(after: max(.zero, wakeAt - now)) } else { wakeTimer?.disarm() }
    }

    // MARK: What is done

    /// Returns what failed.
    private func perform(_ actions: [AgentMachine.Action]) -> [AgentMachine.Event] {
        var failures: [AgentMachine.Event] = []
        // The machine has decided all of these, so one writing serves them all.
        var isWritten: Bool?
        for action in actions {
            switch action {
            case .heartbeat(let session, let isFirst, let reports): heartbeat(session, isFirst: isFirst, reports)
            case .say(let word, let session): say(word, session)
            case .journalThenSay(let word, let session):
                let written = isWritten ?? writeJournal(of: actions)
                isWritten = written
                if written { say(word, session) } else { failures.append(.journalFailed(word)) }
            case .writeJournal: writeJournal()
            case .reconnect:
                log.warning("redis_silent")
                client.reconnect()
            case .stopProcesses(let lease, let process, let grace):
                log.info("processes_stopped", ["lease": .text(lease.text), "group": .integer(Int64(process.group))])
                watch.stop(lease, process, grace: grace, at: loop.now)
                tellFollowersOfEnd(of: lease)
                watchTimer?.arm(after: ProcessWatch.endingInterval)
            case .tellAsked(let lease, let asked): tellFollowers(of: lease, asked)
            case .refused(let other): end(.hostInUse(settings.host.text, instance: other.text))
            case .succeeded: succeeded()
            }
        }
        return failures
    }

    private func succeeded() {
        log.error("succeeded")
        stage = .over
        for running in machine?.processes ?? [] {
            watch.stop(
                running.lease, running.process, grace: min(running.grace, settings.longestGrace), at: loop.now)
        }
        watchTimer?.arm(after: .zero)
    }

    private func end(_ error: AgentError) {
        stage = .over
        log.error("agent_cannot_go_on", ["why": .text(error.description)])
        wakeTimer?.disarm()
        watchTimer?.disarm()
        probeTimer?.disarm()
        onEnd(error)
    }

    /// Remembers what these actions are about to say.
    private func writeJournal(of actions: [AgentMachine.Action]) -> Bool {
        guard let journal, let machine else { return false }
        var units: [AgentMemory.Unit] = []
        units.reserveCapacity(actions.count)
        for case .journalThenSay(let word, _) in actions {
            guard let unit = machine.memory(of: word.lease.unit) else { return writeJournal() }
            units.append(unit)
        }
        return journal.add(units, longestTTL: machine.longestTTL) || writeJournal()
    }

    @discardableResult
    private func writeJournal() -> Bool {
        guard let journal, let machine else { return false }
        do throws(LoopError) {
            try journal.write(machine.memory)
            meter.note { $0.count(Catalogue.journalWrites) }
            return true
        } catch {
            meter.note { $0.count(Catalogue.journalFailures) }
            log.error("journal_failed", ["path": .text(journal.path), "error": .text(error.description)])
            return false
        }
    }

    private func heartbeat(_ session: Int64, isFirst: Bool, _ reports: [UnitReport]) {
        if isFirst { meter.note { $0.count(Catalogue.agentSessions) } }
        let heartbeat = AgentHeartbeat(
            origin: voice.origin(session), ancestors: machine?.ancestors ?? [], isFirst: isFirst,
            address: settings.address,
            version: settings.version, labels: settings.labels, units: reports)
        outbox.start { [voice] in
            let answer = await voice.heartbeat(heartbeat)
            await self.feed(answer)
        }
    }

    private func say(_ word: AgentMachine.Word, _ session: Int64) {
        meter.count(word)
        if case .confirm(let lease) = word {
            return voice.confirm(lease, session: session, through: leaseCalls) { self.feed($0) }
        }
        outbox.start { [voice] in
            let answer = await voice.say(word, session: session)
            await self.feed(answer)
        }
    }
}
