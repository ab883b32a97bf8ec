import LeaseModel

/// The authority for the units of one host (design §1): decides which offers are confirmed, when leases end, and what
/// is told to Redis. A value without clocks or I/O: an event and its moment in, actions out.
package struct AgentMachine: Equatable {
    package enum Event: Equatable, Sendable {
        /// Redis and the inbox can be reached: a new session begins (design §2).
        case connected
        case disconnected
        /// The inbox was opened anew: messages may have been lost, and it may lead to another server than the commands.
        /// Only a new session tells its mail from that of a server left behind.
        case subscribed
        /// A coordinator has found that Redis has lost what it knew.
        case forgotten
        case mail(AgentMail)
        case heartbeatAnswered(session: Int64, HeartbeatAnswer)
        case confirmAnswered(session: Int64, LeaseID, ConfirmAnswer)
        case wordAnswered(session: Int64, WordAnswer)
        case endAnswered(session: Int64, next: [AgentMessage])
        case insistAnswered(session: Int64, LeaseID, TicketID, InsistAnswer)
        /// The journal could not be written, so the word was not said. Comes before any other event.
        case journalFailed(Word)
        /// The devices that there are now.
        case inventory([UnitProperties])
        /// A holder, proved by its token, tells what it runs.
        case processStarted(LeaseID, TokenHash, LeaseProcess)
        /// Nothing runs any more of what was told for this lease.
        case processesGone(LeaseID)
        /// Who renewed this lease for what runs under it is gone.
        case keeperGone(LeaseID)
        /// The moment of `wakeAt` has come.
        case clockReached
    }

    package enum HeartbeatAnswer: Equatable, Sendable {
        case heard([AgentMessage])
        case hostInUse(InstanceID)
        /// An agent with another journal has spoken for this host.
        case succeedsAnother(InstanceID, highest: FencingToken)
        case staleSession
        case failed
    }

    package enum ConfirmAnswer: Equatable, Sendable { case held, gone, unknownHost, staleSession, failed }
    package enum WordAnswer: Equatable, Sendable { case ok, unknownHost, staleSession, failed }
    package enum InsistAnswer: Equatable, Sendable {
        case ending, spared, unknownLease, unknownHost, staleSession, failed
    }

    /// What is said to Redis, each by one script.
    package enum Word: Equatable, Sendable {
        case confirm(LeaseID)
        case reject(LeaseID, highest: FencingToken, why: String)
        case renewed(
            LeaseID, nonce: String, token: TokenHash, ttl: Duration, coordinator: InstanceID, also: [UnitID] = [])
        case refuseRenewal(LeaseID, nonce: String, coordinator: InstanceID, EndReason)
        case end(LeaseID, EndReason)
        /// The holder was asked to give this lease back and has had its grace.
        case insist(LeaseID, TicketID, by: String)

        var lease: LeaseID {
            switch self {
            case .confirm(let lease), .reject(let lease, _, _), .renewed(let lease, _, _, _, _, _),
                .refuseRenewal(let lease, _, _, _), .end(let lease, _), .insist(let lease, _, _):
                lease
            }
        }
    }

    /// What the shell does, in this order. Scripts have to reach Redis in the order in which they were decided.
    package enum Action: Equatable, Sendable {
        case heartbeat(session: Int64, isFirst: Bool, [UnitReport])
        case say(Word, session: Int64)
        /// Write the journal, and only then say the word; where that fails say `journalFailed`.
        case journalThenSay(Word, session: Int64)
        case writeJournal
        /// Connect anew: an answer has not come for too long.
        case reconnect
        /// End this process group, killed where it takes longer than `grace`, and say `processesGone` when nothing of it is
        /// left.
        case stopProcesses(LeaseID, LeaseProcess, grace: Duration)
        /// Whoever stays connected for this lease is told that it is asked to be given back, and until when, or no more.
        case tellAsked(LeaseID, OwnLease.Asked?)
        /// The host id is live elsewhere.
        case refused(InstanceID)
        /// A successor speaks for this host: confirm nothing more, stop what runs under leases, and exit.
        case succeeded
    }

    package enum Verdict: Equatable, Sendable { case current, stale }

    enum Link: Equatable {
        case down
        /// The first heartbeat is on its way: no offer is taken before its answer (design §5).
        case opening
        case open
        /// A successor speaks for this host.
        case over
    }

    /// A message that came before the session's first heartbeat was answered.
    struct EarlyMessage: Equatable {
        var message: AgentMessage
        var heard: BootInstant
    }

    let lockDelay: Duration
    /// The longest that a lease's holder and its processes have to end, whatever the lease asked for.
    let longestGrace: Duration
    let instance: InstanceID
    var link = Link.down
    package private(set) var session: Int64 = 0
    var hasRegistered = false
    var units: Units
    /// What a unit that appears later begins with.
    var freshState = UnitEntry.State.free
    var freshHighest = FencingToken(0)
    /// Units without a device at present.
    var absent: [UnitID: AgentMemory.Unit] = [:]
    var longestTTL = Duration.zero
    /// The longest lease of the pool.
    let poolLongestTTL: Duration
    /// The instances that this journal names, and those of other journals that are known to have spoken for this host,
    /// the last first: one that Redis names and that is not among them has held what this journal does not know.
    package internal(set) var ancestors: [InstanceID] = []
    var early: [EarlyMessage] = []
    /// What leases were before the renewals of the last event, which the journal may not take.
    var unjournaled: [UnitID: OwnLease] = [:]
    var nextHeartbeat: BootInstant?
    var wantsHeartbeat = false
    var journalDue: BootInstant?
    var actions: [Action] = []

    /// How long a change that only spares time after a restart may wait for the journal.
    static let journalPause = Duration.milliseconds(200)
    /// How long after a first heartbeat without a good answer the next one follows.
    static let retryPause = Duration.seconds(1)
    /// Messages kept while a session opens; what is beyond is told again by a heartbeat's answer.
    static let earlyMessages = 1024
    /// Until a wish that Redis could not judge is put to it again.
    static let insistPause = Limits.answerWindow
    /// Instances that are remembered; an older copy of Redis may name one of long ago.
    static let ancestorsKept = 16

    /// - Parameters:
    ///   - lockDelay: Between a lease's end by time and the unit's next offer (design §5).
    ///   - longestTTL: The pool's, for a host that does not know what it held.
    ///   - longestGrace: This host's.
    package init(
        instance: InstanceID, past: AgentPast, inventory: [UnitProperties], lockDelay: Duration = Limits.lockDelay,
        longestTTL: Duration = Limits.longestTTL, longestGrace: Duration = Limits.longestGrace, at now: BootInstant
    ) {
        precondition(lockDelay >= .zero, "a lock-delay lies after the deadline")
        self.lockDelay = lockDelay
        self.longestGrace = longestGrace
        units = Units(lockDelay: lockDelay)
        self.instance = instance
        poolLongestTTL = longestTTL
        switch past {
        case .firstJoin, .unknown: break
        case .remembered(let memory), .rebooted(let memory): descend(from: [memory.instance] + memory.ancestors)
        }
        switch past {
        case .firstJoin: break
        case .remembered(let memory):
            self.longestTTL = memory.longestTTL
            freshHighest = memory.floor
            // A process that dies while it rests does not end the rest.
            if let end = memory.restingUntil, end > now { freshState = .resting(until: end) }
            for unit in memory.units { absent[unit.unit] = unit }
        case .rebooted(let memory):
            self.longestTTL = memory.longestTTL
            freshHighest = memory.floor
            let end = BootInstant(sinceBoot: memory.longestTTL + lockDelay)
            if end > now { freshState = .resting(until: end) }
            for unit in memory.units { absent[unit.unit] = AgentMemory.Unit(unit: unit.unit, highest: unit.highest) }
        case .unknown(let wallClock):
            // Whatever was held before may stand for as long as any lease, also after a reboot from now on.
            self.longestTTL = longestTTL
            freshState = .resting(until: now + longestTTL + lockDelay)
            freshHighest = FencingToken(wallClock)
        }
        take(inventory, at: now)
        for (running, reason) in endingProcesses { stop(running, reason) }
    }

    /// What the journal has to say at this moment.
    package var memory: AgentMemory {
        var restingUntil: BootInstant?
        if case .resting(let until) = freshState { restingUntil = until }
        return AgentMemory(
            instance: instance, ancestors: ancestors,
            units: (units.keys + absent.keys).sorted().compactMap { memory(of: $0) }, longestTTL: longestTTL,
            restingUntil: restingUntil, floor: freshHighest)
    }

    /// The same of one unit; nil where this host has none of that name.
    package func memory(of unit: UnitID) -> AgentMemory.Unit? { units[unit]?.memory ?? absent[unit] }

    /// Whether this session takes offers.
    package var isOpen: Bool { link == .open }
    /// Whether a session has begun on the present connection.
    package var isConnected: Bool { link == .open || link == .opening }

    /// When `clockReached` is due, or nil.
    package var wakeAt: BootInstant? {
        mutating get {
            guard link != .over else { return nil }
            var next = BootInstant.earlier(journalDue, .earlier(units.firstEnd, units.firstInsist))
            if isConnected { next = .earlier(next, nextHeartbeat) }
            if isOpen { next = .earlier(next, units.firstUnanswered) }
            return next
        }
    }

    /// Whether this is the unit's present lease, for a resource that wants to know before it lets somebody write.
    package func verify(_ unit: UnitID, _ fencing: FencingToken, at now: BootInstant) -> Verdict {
        guard link != .over else { return .stale }
        switch standing(of: unit) {
        case .confirming(let lease, _)?, .held(let lease)?, .ending(let lease, _)?:
            return now < lease.deadline && lease.lease.fencing == fencing ? .current : .stale
        case .free?, .resting?, .bound?, nil: return .stale
        }
    }

    /// All units as they stand, in the order of their names.
    package func reports(at now: BootInstant) -> [UnitReport] {
        units.values.map { $0.report(at: now) }.sorted { $0.properties.unit < $1.properties.unit }
    }

    package mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        guard link != .over else { return [] }
        if case .journalFailed = event {} else { unjournaled.removeAll(keepingCapacity: true) }
        switch event {
        case .connected: beginSession(at: now)
        case .disconnected: link = .down
        case .subscribed: if isConnected { beginSession(at: now) }
        case .forgotten: wantsHeartbeat = true
        case .mail(let mail): if mail.session == session { receive(mail.messages, at: now) }
        case .heartbeatAnswered(let session, let answer):
            if session == self.session { heartbeatAnswered(answer, at: now) }
        case .confirmAnswered(let session, let lease, let answer):
            if session == self.session { confirmAnswered(lease, answer, at: now) }
        case .wordAnswered(let session, let answer):
            if session == self.session { wordAnswered(answer, at: now) }
        case .endAnswered(let session, let next): if session == self.session { receive(next, at: now) }
        case .insistAnswered(let session, let lease, let ticket, let answer):
            if session == self.session { insistAnswered(lease, ticket, answer, at: now) }
        case .journalFailed(let word): journalFailed(word, at: now)
        case .inventory(let inventory):
            take(inventory, at: now)
            wantsHeartbeat = true
        case .processStarted(let lease, let token, let process):
            processStarted(lease, token, process, at: now)
        case .processesGone(let lease): processesGone(lease, at: now)
        case .keeperGone(let lease): keeperGone(lease)
        case .clockReached: clockReached(at: now)
        }
        if wantsHeartbeat, link == .open { heartbeat(isFirst: false, at: now) }
        let decided = actions
        actions.removeAll(keepingCapacity: true)
        return decided
    }

    private mutating func clockReached(at now: BootInstant) {
        while let id = units.takeEnded(at: now) {
            guard let entry = units[id] else { continue }
            switch entry.state {
            case .free, .bound: break
            case .resting:
                units[id]?.state = .free
                wantsHeartbeat = true
            case .held(let lease), .ending(let lease, _), .confirming(let lease, _): lapse(id, lease, at: now)
            }
        }
        while let id = units.takeInsist(at: now) { insist(id, at: now) }
        if case .resting(let until) = freshState, until <= now {
            freshState = .free
            if journalDue == nil { journalDue = now + Self.journalPause }
        }
        if link == .open, let first = units.firstUnanswered, first <= now {
            link = .down
            actions.append(.reconnect)
        }
        if let journalDue, journalDue <= now {
            self.journalDue = nil
            actions.append(.writeJournal)
        }
        guard let nextHeartbeat, nextHeartbeat <= now else { return }
        switch link {
        case .open: wantsHeartbeat = true
        case .opening: beginSession(at: now)
        case .down, .over: self.nextHeartbeat = nil
        }
    }

    /// The unit is free at the agent first, then Redis hears of it (design §4.5). Where something runs under the lease, it is
    /// told to end at the deadline, and the unit is free once it is gone.
    private mutating func lapse(_ id: UnitID, _ lease: OwnLease, at now: BootInstant) {
        if lease.process != nil {
            precondition(lease.deadline <= now, "what runs under a lease is ended by time only after its deadline")
            endProcesses(id, lease, .expired)
            wantsHeartbeat = true
            return
        }
        precondition(lease.deadline + lockDelay <= now, "a lease ends by time only after its deadline and lock-delay")
        free(lease, at: now)
        tell(.end(lease.lease, .expired))
        takeDeferred(lease, at: now)
    }

    /// Says a word, or has the next heartbeat tell it by the table where no session is open.
    mutating func tell(_ word: Word) {
        if link == .open { actions.append(.say(word, session: session)) } else { wantsHeartbeat = true }
    }

    mutating func nextSession() { session += 1 }

    mutating func descend(from ancestors: [InstanceID]) { self.ancestors = Array(ancestors.prefix(Self.ancestorsKept)) }
}
