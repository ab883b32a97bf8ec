import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// The agent of one host: feeds `AgentMachine` and performs its actions. It does not decide.
package actor Agent {
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let settings: AgentSettings
    private let loop: EventLoop
    private let log: Log
    private let instance: InstanceID
    private let client: RedisClient
    private let subscription: RedisSubscription
    private let store: LeaseStore
    private let onEnd: @Sendable (AgentError?) -> Void
    private var journal: JournalFile?
    private var predecessor: InstanceID?
    private var machine: AgentMachine?
    private var timer: LoopTimer?
    private var armedFor: BootInstant?
    private var isClientUp = false
    private var isInboxUp = false
    private var isStopping = false

    /// - Parameter onEnd: Called once on the loop when the agent must not go on: another speaks for its host.
    package init(
        settings: AgentSettings, loop: EventLoop, log: Log, onEnd: @escaping @Sendable (AgentError?) -> Void
    ) {
        self.settings = settings
        self.loop = loop
        self.log = log
        self.onEnd = onEnd
        instance = InstanceID(SecureRandom.randomHex(bytes: 16))
        client = RedisClient(loop: loop, endpoint: settings.redis, name: "leasehold-agent", log: log)
        subscription = RedisSubscription(
            loop: loop, endpoint: settings.redis, name: "leasehold-agent-inbox", log: log)
        store = LeaseStore(client: client, pool: settings.pool)
    }

    private var now: BootInstant { BootInstant(sinceBoot: loop.now) }

    /// Takes the state directory, adopts what the journal remembers, and connects. Returns before Redis has answered.
    package func start(units: [UnitProperties]) throws(AgentError) {
        guard units.count <= Limits.unitsPerHost else {
            throw .tooManyUnits(units.count, limit: Limits.unitsPerHost)
        }
        let journal = try JournalFile(directory: settings.stateDirectory)
        let past = journal.past(isFirstJoin: settings.isFirstJoin, wallClock: loop.wallClock)
        switch past {
        case .remembered(let memory), .rebooted(let memory): predecessor = memory.instance
        case .firstJoin: break
        case .unknown:
            log.warning(
                "journal_missing",
                ["host": .text(settings.host.text), "units_rest_s": .integer(settings.longestTTL.components.seconds)])
        }
        self.journal = journal
        let machine = AgentMachine(
            instance: instance, past: past, inventory: units, lockDelay: settings.lockDelay,
            longestTTL: settings.longestTTL, at: now)
        self.machine = machine
        // From now on this instance is the one that the next start succeeds.
        do throws(LoopError) {
            try journal.write(machine.memory)
        } catch {
            throw .stateDirectory(settings.stateDirectory, why: error.description)
        }
        timer = loop.timer { [weak self] in self?.assumeIsolated { $0.clockReached() } }
        client.onStateChange = { [weak self] state in self?.assumeIsolated { $0.clientChanged(state) } }
        subscription.start(
            channels: [LeaseStore.inbox(of: instance, pool: settings.pool)],
            onMessage: { [weak self] _, bytes in self?.assumeIsolated { $0.heard(bytes) } },
            onStateChange: { [weak self] state in self?.assumeIsolated { $0.inboxChanged(state) } })
        client.start()
        arm()
        log.info(
            "agent_started",
            [
                "host": .text(settings.host.text), "instance": .text(instance.text),
                "units": .integer(Int64(units.count)),
            ])
    }

    /// Says goodbye: its units are offered to nobody, its leases stand. Safe to call twice.
    package func stop() async {
        guard !isStopping else { return }
        isStopping = true
        if let machine, isClientUp {
            _ = try? await store.depart(origin(machine.session))
        }
        timer?.disarm()
        await subscription.close()
        await client.close()
        writeJournal()
        journal = nil
        log.info("agent_stopped", ["host": .text(settings.host.text)])
    }

    /// The devices have changed.
    package func devicesChanged(_ units: [UnitProperties]) { feed(.inventory(units)) }

    /// Whether this fencing token is that of the unit's present lease, from this agent's own table; also with Redis down.
    package func verify(_ unit: UnitID, _ fencing: FencingToken) -> Bool {
        machine?.verify(unit, fencing, at: now) ?? false
    }

    /// All units as they stand.
    package var reports: [UnitReport] { machine?.reports(at: now) ?? [] }

    private func origin(_ session: Int64) -> AgentOrigin {
        AgentOrigin(host: settings.host, instance: instance, session: session)
    }

    // What comes in.

    private func clientChanged(_ state: RedisState) {
        switch state {
        case .connected:
            isClientUp = true
            if isInboxUp { feed(.connected) }
        case .disconnected:
            if isClientUp { feed(.disconnected) }
            isClientUp = false
        case .refused(let reason):
            if isClientUp { feed(.disconnected) }
            isClientUp = false
            log.error("redis_refused", ["reason": .text(reason)])
        }
    }

    private func inboxChanged(_ state: RedisState) {
        guard case .connected = state else { return }
        let isFirst = !isInboxUp
        isInboxUp = true
        if isFirst, isClientUp { feed(.connected) } else { feed(.subscribed) }
    }

    private func heard(_ bytes: [UInt8]) {
        if let mail = Inbox.agentMail(bytes) { feed(.mail(mail)) }
    }

    private func clockReached() {
        armedFor = nil
        feed(.clockReached)
    }

    private func feed(_ event: AgentMachine.Event) {
        guard machine != nil, !isStopping else { return }
        // A failed journal is an event of its own, so that this goes on until nothing is left to do.
        var pending: [AgentMachine.Event] = [event]
        while !pending.isEmpty {
            let next = pending.removeFirst()
            guard let actions = machine?.handle(next, at: now) else { return }
            for action in actions {
                if let failure = perform(action) { pending.append(failure) }
            }
        }
        arm()
    }

    private func arm() {
        guard let wakeAt = machine?.wakeAt else {
            armedFor = nil
            timer?.disarm()
            return
        }
        guard wakeAt != armedFor else { return }
        armedFor = wakeAt
        timer?.arm(after: max(.zero, wakeAt - now))
    }

    // What is done.

    private func perform(_ action: AgentMachine.Action) -> AgentMachine.Event? {
        switch action {
        case .heartbeat(let session, let isFirst, let reports): heartbeat(session, isFirst: isFirst, reports)
        case .say(let word, let session): say(word, session)
        case .journalThenSay(let word, let session):
            guard writeJournal() else { return .journalFailed(word) }
            say(word, session)
        case .writeJournal: writeJournal()
        case .reconnect:
            log.warning("redis_silent", ["host": .text(settings.host.text)])
            client.reconnect()
        case .refused(let other):
            let error = AgentError.hostInUse(settings.host.text, instance: other.text)
            log.error("host_in_use", ["host": .text(settings.host.text), "instance": .text(other.text)])
            onEnd(error)
        case .succeeded:
            log.error("succeeded", ["host": .text(settings.host.text)])
            onEnd(.hostInUse(settings.host.text, instance: "a successor"))
        }
        return nil
    }

    @discardableResult
    private func writeJournal() -> Bool {
        guard let journal, let machine else { return false }
        do throws(LoopError) {
            try journal.write(machine.memory)
            return true
        } catch {
            log.error("journal_failed", ["path": .text(journal.path), "error": .text(error.description)])
            return false
        }
    }

    private func heartbeat(_ session: Int64, isFirst: Bool, _ reports: [UnitReport]) {
        let heartbeat = AgentHeartbeat(
            origin: origin(session), predecessor: predecessor, isFirst: isFirst, address: settings.address,
            version: settings.version, labels: settings.labels, units: reports)
        loop.spawn {
            let answer: AgentMachine.HeartbeatAnswer
            do throws(StoreError) {
                switch try await self.store.heartbeat(heartbeat) {
                case .heard(let messages): answer = .heard(messages)
                case .hostInUse(let other): answer = .hostInUse(other)
                case .staleSession: answer = .staleSession
                }
            } catch {
                await self.notice(error, "heartbeat")
                answer = .failed
            }
            await self.feedBack(.heartbeatAnswered(session: session, answer))
        }
    }

    private func feedBack(_ event: AgentMachine.Event) { feed(event) }

    private func notice(_ error: StoreError, _ script: StaticString) {
        log.warning("script_failed", ["script": .text("\(script)"), "error": .text(error.message)])
    }

    private func say(_ word: AgentMachine.Word, _ session: Int64) {
        let origin = origin(session)
        loop.spawn {
            let event: AgentMachine.Event
            switch word {
            case .confirm(let lease):
                event = .confirmAnswered(session: session, lease, await self.confirm(origin, lease))
            case .end(let lease, let reason): event = await self.end(origin, lease, reason)
            case .reject(let lease, let highest, let why):
                event = .wordAnswered(
                    session: session,
                    await self.word("reject") { () async throws(StoreError) in
                        try await self.store.reject(origin, lease, highest: highest, why: why)
                    })
            case .renewed(let lease, let nonce, let token, let ttl, let coordinator):
                event = .wordAnswered(
                    session: session,
                    await self.word("renewed") { () async throws(StoreError) in
                        try await self.store.renewed(
                            origin, lease, nonce: nonce, token: token, ttl: ttl, coordinator: coordinator)
                    })
            case .refuseRenewal(let lease, let nonce, let coordinator, let reason):
                event = .wordAnswered(
                    session: session,
                    await self.word("refuseRenewal") { () async throws(StoreError) in
                        try await self.store.refuseRenewal(
                            origin, lease, nonce: nonce, coordinator: coordinator, reason: reason)
                    })
            }
            await self.feedBack(event)
        }
    }

    private func confirm(_ origin: AgentOrigin, _ lease: LeaseID) async -> AgentMachine.ConfirmAnswer {
        do throws(StoreError) {
            switch try await store.confirm(origin, lease) {
            case .held: return .held
            case .gone: return .gone
            case .unknownHost: return .unknownHost
            case .staleSession: return .staleSession
            }
        } catch {
            notice(error, "confirm")
            return .failed
        }
    }

    private func end(_ origin: AgentOrigin, _ lease: LeaseID, _ reason: EndReason) async -> AgentMachine.Event {
        do throws(StoreError) {
            switch try await store.end(origin, lease, reason: reason) {
            case .ended(let next): return .endAnswered(session: origin.session, next: next)
            case .unknownLease: return .wordAnswered(session: origin.session, .ok)
            case .unknownHost: return .wordAnswered(session: origin.session, .unknownHost)
            case .staleSession: return .wordAnswered(session: origin.session, .staleSession)
            }
        } catch {
            notice(error, "end")
            return .wordAnswered(session: origin.session, .failed)
        }
    }

    private func word(
        _ name: StaticString, _ say: () async throws(StoreError) -> WordOutcome
    ) async -> AgentMachine.WordAnswer {
        do throws(StoreError) {
            switch try await say() {
            case .ok: return .ok
            case .unknownHost: return .unknownHost
            case .staleSession: return .staleSession
            }
        } catch {
            notice(error, name)
            return .failed
        }
    }
}
