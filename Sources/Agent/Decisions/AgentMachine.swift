import LeaseModel

/// The authority for the units of one host (design §1): decides which offers are confirmed, when leases end, and what
/// is told to Redis. A value without clocks or I/O: an event and its moment in, actions out.
package struct AgentMachine: Equatable {
    package enum Event: Equatable, Sendable {
        /// Redis and the inbox can be reached: a new session begins (design §2).
        case connected
        case disconnected
        /// The inbox was opened anew: messages may have been lost.
        case subscribed
        case mail(AgentMail)
        case heartbeatAnswered(session: Int64, HeartbeatAnswer)
        case confirmAnswered(session: Int64, LeaseID, ConfirmAnswer)
        case wordAnswered(session: Int64, WordAnswer)
        case endAnswered(session: Int64, next: [AgentMessage])
        /// The journal could not be written, so the word was not said.
        case journalFailed(Word)
        /// The devices that there are now.
        case inventory([UnitProperties])
        /// The moment of `wakeAt` has come.
        case clockReached
    }

    package enum HeartbeatAnswer: Equatable, Sendable {
        case heard([AgentMessage])
        case hostInUse(InstanceID)
        case staleSession
        case failed
    }

    package enum ConfirmAnswer: Equatable, Sendable { case held, gone, unknownHost, staleSession, failed }
    package enum WordAnswer: Equatable, Sendable { case ok, unknownHost, staleSession, failed }

    /// What is said to Redis, each by one script.
    package enum Word: Equatable, Sendable {
        case confirm(LeaseID)
        case reject(LeaseID, highest: FencingToken, why: String)
        case renewed(LeaseID, nonce: String, token: TokenHash, ttl: Duration, coordinator: InstanceID)
        case refuseRenewal(LeaseID, nonce: String, coordinator: InstanceID, EndReason)
        case end(LeaseID, EndReason)
    }

    package enum Action: Equatable, Sendable {
        case heartbeat(session: Int64, isFirst: Bool, [UnitReport])
        case say(Word, session: Int64)
        /// Write the journal, and only then say the word; where that fails say `journalFailed`.
        case journalThenSay(Word, session: Int64)
        case writeJournal
        /// Connect anew: an answer has not come for too long.
        case reconnect
        /// The host id is live elsewhere.
        case refused(InstanceID)
        /// A successor speaks for this host: confirm nothing more and exit.
        case succeeded
    }

    enum Link: Equatable {
        case down
        /// The first heartbeat is on its way: no offer is taken before its answer (design §5).
        case opening
        case open
        /// A successor speaks for this host.
        case over
    }

    let lockDelay: Duration
    var memoryInstance: InstanceID
    var link = Link.down
    package private(set) var session: Int64 = 0
    var hasRegistered = false
    var units: [UnitID: UnitEntry] = [:]
    /// What a unit that appears later begins with.
    var freshState = UnitEntry.State.free
    var freshHighest = FencingToken(0)
    var remembered: [UnitID: AgentMemory.Unit] = [:]
    package private(set) var longestTTL = Duration.zero
    var nextHeartbeat: BootInstant?
    var wantsHeartbeat = false
    var journalDue: BootInstant?
    var actions: [Action] = []

    /// How long a change that only spares time after a restart may wait for the journal.
    static let journalPause = Duration.milliseconds(200)

    /// - Parameters:
    ///   - lockDelay: Between a lease's end by time and the unit's next offer (design §5).
    ///   - longestTTL: The pool's, for a host that does not know what it held.
    package init(
        instance: InstanceID, past: AgentPast, inventory: [UnitProperties], lockDelay: Duration = Limits.lockDelay,
        longestTTL: Duration = Limits.longestTTL, at now: BootInstant
    ) {
        self.lockDelay = lockDelay
        self.memoryInstance = instance
        switch past {
        case .firstJoin: break
        case .remembered(let memory):
            self.longestTTL = memory.longestTTL
            for unit in memory.units { remembered[unit.unit] = unit }
        case .rebooted(let memory):
            self.longestTTL = memory.longestTTL
            let end = BootInstant(sinceBoot: memory.longestTTL + lockDelay)
            if end > now { freshState = .resting(until: end) }
            for unit in memory.units {
                remembered[unit.unit] = AgentMemory.Unit(
                    unit: unit.unit, highest: unit.highest, lease: nil, isConfirming: false)
            }
        case .unknown(let wallClock):
            freshState = .resting(until: now + longestTTL + lockDelay)
            freshHighest = FencingToken(wallClock)
        }
        take(inventory, at: now)
    }

    /// What the journal has to say at this moment.
    package var memory: AgentMemory {
        var known = remembered
        for (id, entry) in units {
            var isConfirming = false
            if case .confirming = entry.state { isConfirming = true }
            known[id] = AgentMemory.Unit(
                unit: id, highest: entry.highest, lease: entry.lease, isConfirming: isConfirming)
        }
        return AgentMemory(
            instance: memoryInstance, units: known.values.sorted { $0.unit < $1.unit }, longestTTL: longestTTL)
    }

    /// When `clockReached` is due, or nil.
    package var wakeAt: BootInstant? {
        var moments: [BootInstant] = []
        if link == .open || link == .opening, let nextHeartbeat { moments.append(nextHeartbeat) }
        if let journalDue { moments.append(journalDue) }
        for entry in units.values {
            switch entry.state {
            case .free: break
            case .resting(let until): moments.append(until)
            case .held(let lease): moments.append(lease.deadline + lockDelay)
            case .confirming(let lease, let since):
                moments.append(lease.deadline + lockDelay)
                if link == .open { moments.append(since + Limits.answerWindow) }
            }
        }
        return moments.min()
    }

    /// Whether this is the unit's present lease, for a resource that wants to know before it lets somebody write.
    package func verify(_ unit: UnitID, _ fencing: FencingToken, at now: BootInstant) -> Bool {
        guard link != .over, let lease = units[unit]?.lease, now < lease.deadline else { return false }
        return lease.lease.fencing == fencing
    }

    /// All units as they stand, in the order of their names.
    package func reports(at now: BootInstant) -> [UnitReport] {
        units.values.map { $0.report(at: now) }.sorted { $0.properties.unit < $1.properties.unit }
    }

    package mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        guard link != .over else { return [] }
        switch event {
        case .connected: beginSession(at: now)
        case .disconnected: link = .down
        case .subscribed: if link == .open { wantsHeartbeat = true }
        case .mail(let mail):
            if link == .open, mail.session == session { for message in mail.messages { hear(message, at: now) } }
        case .heartbeatAnswered(let session, let answer):
            if session == self.session { heartbeatAnswered(answer, at: now) }
        case .confirmAnswered(let session, let lease, let answer):
            if session == self.session { confirmAnswered(lease, answer, at: now) }
        case .wordAnswered(let session, let answer):
            if session == self.session { wordAnswered(answer, at: now) }
        case .endAnswered(let session, let next):
            if session == self.session, link == .open { for message in next { hear(message, at: now) } }
        case .journalFailed(let word): journalFailed(word, at: now)
        case .inventory(let inventory):
            take(inventory, at: now)
            wantsHeartbeat = true
        case .clockReached: clockReached(at: now)
        }
        if wantsHeartbeat, link == .open { heartbeat(isFirst: false, at: now) }
        let decided = actions
        actions.removeAll(keepingCapacity: true)
        return decided
    }

    mutating func beginSession(at now: BootInstant) {
        session += 1
        link = .opening
        heartbeat(isFirst: true, at: now)
    }

    private mutating func heartbeat(isFirst: Bool, at now: BootInstant) {
        wantsHeartbeat = false
        nextHeartbeat = now + Limits.heartbeat
        actions.append(.heartbeat(session: session, isFirst: isFirst, reports(at: now)))
    }

    private mutating func heartbeatAnswered(_ answer: HeartbeatAnswer, at now: BootInstant) {
        switch answer {
        case .heard(let messages):
            hasRegistered = true
            link = .open
            for message in messages { hear(message, at: now) }
        case .hostInUse(let other):
            // Redis may have come back from an old copy that names another: then only its presence has to lapse.
            if hasRegistered {
                link = .opening
                nextHeartbeat = now + .seconds(1)
            } else {
                actions.append(.refused(other))
            }
        case .staleSession: succeeded()
        case .failed: if link == .opening { nextHeartbeat = now + .seconds(1) }
        }
    }

    private mutating func wordAnswered(_ answer: WordAnswer, at now: BootInstant) {
        switch answer {
        case .ok, .failed: break
        case .unknownHost: if link == .open { beginSession(at: now) }
        case .staleSession: succeeded()
        }
    }

    private mutating func succeeded() {
        link = .over
        actions.append(.succeeded)
    }

    private mutating func clockReached(at now: BootInstant) {
        for id in units.keys.sorted() {
            guard let entry = units[id] else { continue }
            switch entry.state {
            case .free: break
            case .resting(let until):
                if until <= now {
                    units[id]?.state = .free
                    wantsHeartbeat = true
                }
            case .held(let lease):
                if lease.deadline + lockDelay <= now { lapse(id, lease, at: now) }
            case .confirming(let lease, let since):
                if lease.deadline + lockDelay <= now {
                    lapse(id, lease, at: now)
                } else if link == .open, since + Limits.answerWindow <= now {
                    link = .down
                    actions.append(.reconnect)
                }
            }
        }
        if let journalDue, journalDue <= now {
            self.journalDue = nil
            actions.append(.writeJournal)
        }
        if let nextHeartbeat, nextHeartbeat <= now {
            switch link {
            case .open: wantsHeartbeat = true
            case .opening: beginSession(at: now)
            case .down, .over: self.nextHeartbeat = nil
            }
        }
    }

    /// The unit is free at the agent first, then Redis hears of it (design §4.5).
    private mutating func lapse(_ id: UnitID, _ lease: OwnLease, at now: BootInstant) {
        free(id, at: now)
        if link == .open { actions.append(.say(.end(lease.lease, .expired), session: session)) }
        takeDeferred(id, at: now)
    }

    mutating func free(_ id: UnitID, at now: BootInstant) {
        if units[id]?.isGone == true {
            units[id] = nil
            wantsHeartbeat = true
        } else {
            units[id]?.state = .free
        }
        if journalDue == nil { journalDue = now + Self.journalPause }
    }

    private mutating func take(_ inventory: [UnitProperties], at now: BootInstant) {
        for properties in inventory {
            if units[properties.unit] != nil {
                units[properties.unit]?.properties = properties
                units[properties.unit]?.isGone = false
                continue
            }
            var entry = UnitEntry(properties: properties, state: freshState, highest: freshHighest)
            if let known = remembered.removeValue(forKey: properties.unit) {
                entry.highest = max(known.highest, freshHighest)
                if let lease = known.lease {
                    entry.state = known.isConfirming ? .confirming(lease, since: now) : .held(lease)
                }
            }
            if case .resting(let until) = entry.state, until <= now { entry.state = .free }
            units[properties.unit] = entry
        }
        let present = Set(inventory.map(\.unit))
        for id in units.keys.sorted() where !present.contains(id) {
            if units[id]?.lease == nil {
                if let entry = units.removeValue(forKey: id) {
                    remembered[id] = AgentMemory.Unit(
                        unit: id, highest: entry.highest, lease: nil, isConfirming: false)
                }
            } else {
                units[id]?.isGone = true
            }
        }
    }

    mutating func noteTTL(_ ttl: Duration) { longestTTL = max(longestTTL, ttl) }
}
