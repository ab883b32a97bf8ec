import LeaseModel

/// Who speaks for this host, and when (design §2, §6).
extension AgentMachine {
    mutating func beginSession(at now: BootInstant) {
        nextSession()
        link = .opening
        early = []
        // What an earlier session left behind is told by the first heartbeat's answer, if it still stands.
        for id in units.keys { units[id]?.deferred = nil }
        heartbeat(isFirst: true, at: now)
    }

    mutating func heartbeat(isFirst: Bool, at now: BootInstant) {
        wantsHeartbeat = false
        nextHeartbeat = now + Limits.heartbeat
        actions.append(.heartbeat(session: session, isFirst: isFirst, reports(at: now)))
    }

    mutating func heartbeatAnswered(_ answer: HeartbeatAnswer, at now: BootInstant) {
        guard link == .opening || link == .open else { return }
        switch answer {
        case .heard(let messages):
            hasRegistered = true
            let waiting = early
            early = []
            if link == .opening { opened(with: messages, at: now) } else { receive(messages, at: now) }
            for early in waiting { hear(early.message, heard: early.heard, at: now) }
        case .hostInUse(let other):
            // Redis may have come back from an old copy that names another: then only its presence has to lapse.
            if hasRegistered {
                link = .opening
                nextHeartbeat = now + Self.retryPause
            } else {
                actions.append(.refused(other))
            }
        case .succeedsAnother(let other, let highest): succeeds(other, highest, at: now)
        case .staleSession: succeeded()
        case .failed: if link == .opening { nextHeartbeat = now + Self.retryPause }
        }
    }

    private mutating func opened(with messages: [AgentMessage], at now: BootInstant) {
        link = .open
        receive(messages, at: now)
        for id in units.keys {
            // The answer says of each unanswered confirm whether it was taken. Where it does not, that proves nothing:
            // the unit stays held, and another session asks again.
            if case .confirming(let lease, let since)? = units[id]?.state, since < now {
                units[id]?.state = .confirming(lease, since: now)
            }
        }
    }

    /// What the other agent confirmed may stand for as long as any lease, so this journal counts as a lost one (design
    /// §6), but for the leases that it has: they hold their units anyway.
    private mutating func succeeds(_ other: InstanceID, _ highest: FencingToken, at now: BootInstant) {
        descend(from: [other] + ancestors)
        longestTTL = max(longestTTL, poolLongestTTL)
        let until = now + longestTTL + lockDelay
        freshState = .resting(until: until)
        freshHighest = max(freshHighest, highest)
        for id in units.keys.sorted() {
            guard var entry = units[id] else { continue }
            entry.highest = max(entry.highest, highest)
            if !entry.isTaken { entry.state = .resting(until: until) }
            units[id] = entry
        }
        for (id, var unit) in absent {
            unit.highest = max(unit.highest, highest)
            absent[id] = unit
        }
        actions.append(.writeJournal)
        beginSession(at: now)
    }

    /// Messages of this session. Before its first heartbeat is answered they wait, with the moment they were heard.
    mutating func receive(_ messages: [AgentMessage], at now: BootInstant) {
        switch link {
        case .open: for message in messages { hear(message, heard: now, at: now) }
        case .opening:
            let room = Self.earlyMessages - early.count
            early += messages.prefix(room).map { EarlyMessage(message: $0, heard: now) }
        case .down, .over: break
        }
    }

    mutating func wordAnswered(_ answer: WordAnswer, at now: BootInstant) {
        switch answer {
        case .ok, .failed: break
        case .unknownHost: if link == .open { beginSession(at: now) }
        case .staleSession: succeeded()
        }
    }

    mutating func succeeded() {
        link = .over
        actions.append(.succeeded)
    }
}
