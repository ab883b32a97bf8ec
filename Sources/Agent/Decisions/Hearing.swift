import LeaseModel

/// What the agent does about each message and answer that concerns one lease (design §4, §5).
extension AgentMachine {
    /// - Parameter heard: When the message came; deadlines count from it, however late it is looked at.
    mutating func hear(_ message: AgentMessage, heard: BootInstant, at now: BootInstant) {
        precondition(heard <= now, "a message is heard before it is looked at")
        // A message before this one may have begun another session; what is left was made for the one before.
        guard link == .open else { return }
        switch message {
        case .offer(let offer): consider(offer, heard: heard, at: now)
        case .end(let lease, let token, _): end(lease, token, at: now)
        case .revoke(let lease, let reason, _, _): revoke(lease, reason, at: now)
        case .renew(let lease, let token, let newToken, let nonce, let coordinator):
            renew(Renewal(lease, token, newToken, nonce, coordinator), heard: heard, at: now)
        case .preempt(let lease, let preemption): preempt(lease, preemption, heard: heard)
        case .spare(let lease, let ticket): spare(lease, ticket)
        case .speak: wantsHeartbeat = true
        case .confirmed(let lease): confirmed(lease, at: now)
        }
    }

    /// What a unit says to an offer.
    private enum Reception {
        case takes
        /// The lease of this offer is there.
        case isKnown
        /// A confirm has yet to be answered.
        case waits
        case refuses(String)
    }

    private func reception(of offer: Offer, by id: UnitID) -> Reception {
        guard let entry = units[id] else { return .refuses("this host has no such unit") }
        guard !entry.isGone else { return .refuses("the device is gone") }
        switch standing(of: entry) {
        case .free: return .takes
        case .resting: return .refuses("the unit rests")
        case .confirming(let lease, _): return lease.lease == offer.lease ? .isKnown : .waits
        case .held(let lease):
            if lease.lease == offer.lease { return .isKnown }
            // Only an act of its holder on that very lease makes room (design §4.2).
            guard let after = offer.after, after.lease == lease.lease, lease.endsBy(after.token) else {
                return .refuses("the unit is held by another lease")
            }
            return .takes
        case .ending(let lease, _):
            return lease.lease == offer.lease ? .isKnown : .refuses("what runs under the unit's lease has not ended")
        case .bound: return .refuses("the unit is held by another lease")
        }
    }

    /// All units of the offer are taken, or none.
    private mutating func consider(_ offer: Offer, heard: BootInstant, at now: BootInstant) {
        let wanted = offer.units
        var highest = FencingToken(0)
        for id in wanted {
            highest = max(highest, units[id]?.highest ?? absent[id]?.highest ?? freshHighest)
        }
        for id in wanted {
            switch reception(of: offer, by: id) {
            case .takes: break
            case .isKnown: return
            case .waits:
                units[id]?.deferred = .offer(offer, heard: heard)
                return
            case .refuses(let why): return reject(offer, highest: highest, why)
            }
        }
        guard offer.terms.ttl > .zero, offer.terms.ttl <= Limits.longestTTL else {
            // Coordinators bound it. A longer lease would outlast the rest after a lost journal.
            for id in wanted { if case .free? = units[id]?.state { rest(id, at: now) } }
            return reject(offer, highest: highest, "its ttl is beyond the longest of a pool")
        }
        guard offer.lease.fencing > highest else {
            return reject(offer, highest: highest, "the fencing token is not above the last one")
        }
        let lease = OwnLease(
            lease: offer.lease, token: offer.token, terms: bounded(offer.terms), deadline: heard + offer.terms.ttl,
            also: offer.also)
        guard lease.deadline > now else {
            return reject(offer, highest: highest, "the offer is older than its lease would be")
        }
        // Only an offer that follows a release takes what is held.
        for id in wanted where offer.after != nil {
            if case .held(let released)? = standing(of: id), !released.also.isEmpty { free(released, at: now) }
        }
        for id in offer.also { bind(id, to: lease) }
        if var first = units[offer.lease.unit] {
            first.highest = offer.lease.fencing
            first.state = .confirming(lease, since: now)
            units[offer.lease.unit] = first
        }
        longestTTL = max(longestTTL, offer.terms.ttl)
        actions.append(.journalThenSay(.confirm(offer.lease), session: session))
    }

    private func bounded(_ terms: LeaseTerms) -> LeaseTerms {
        var terms = terms
        terms.grace = min(terms.grace, longestGrace)
        return terms
    }

    private mutating func reject(_ offer: Offer, highest: FencingToken, _ why: String) {
        tell(.reject(offer.lease, highest: highest, why: why))
        wantsHeartbeat = true
    }

    mutating func takeDeferred(_ own: OwnLease, at now: BootInstant) {
        takeDeferred(own.lease.unit, at: now)
        for id in own.also { takeDeferred(id, at: now) }
    }

    private mutating func takeDeferred(_ id: UnitID, at now: BootInstant) {
        guard case .offer(let offer, let heard)? = units[id]?.deferred else { return }
        units[id]?.deferred = nil
        if link == .open { consider(offer, heard: heard, at: now) }
    }

    mutating func confirmAnswered(_ lease: LeaseID, _ answer: ConfirmAnswer, at now: BootInstant) {
        guard answer != .staleSession else { return succeeded() }
        let id = lease.unit
        guard case .confirming(let own, _)? = units[id]?.state, own.lease == lease else { return }
        switch answer {
        case .held:
            units[id]?.state = .held(own)
            takeDeferred(own, at: now)
        case .gone:
            let hasNext = own.units.contains { units[$0]?.deferred != nil }
            free(own, at: now)
            takeDeferred(own, at: now)
            // An offer that lapsed leaves the host in doubt until it has spoken.
            if !hasNext { wantsHeartbeat = true }
        case .unknownHost: if link == .open { beginSession(at: now) }
        case .staleSession, .failed: break  // failed: it may have run, and the next session's first heartbeat tells
        }
    }

    private mutating func confirmed(_ lease: LeaseID, at now: BootInstant) {
        guard case .confirming(let own, _)? = units[lease.unit]?.state, own.lease == lease else { return }
        units[lease.unit]?.state = .held(own)
        takeDeferred(own, at: now)
    }

    /// A word about that very lease, which counts only with its present token (design §5).
    private mutating func end(_ lease: LeaseID, _ token: TokenHash, at now: BootInstant) {
        guard let entry = units[lease.unit], let own = entry.lease, own.lease == lease, own.endsBy(token) else {
            return
        }
        // What an admin revoked ends when its processes have.
        if case .ending = entry.state { return }
        free(own, at: now)
        takeDeferred(own, at: now)
    }

    mutating func revoke(_ lease: LeaseID, _ reason: EndReason, at now: BootInstant) {
        guard let entry = units[lease.unit], let own = entry.lease, own.lease == lease else {
            wantsHeartbeat = true
            return
        }
        if case .ending = entry.state { return }
        if own.process != nil {
            endProcesses(lease.unit, own, reason)
        } else {
            free(own, at: now)
            tell(.end(lease, reason))
            takeDeferred(own, at: now)
        }
    }

    private struct Renewal {
        var lease: LeaseID
        var token: TokenHash
        var newToken: TokenHash?
        var nonce: String
        var coordinator: InstanceID

        init(_ lease: LeaseID, _ token: TokenHash, _ newToken: TokenHash?, _ nonce: String, _ coordinator: InstanceID) {
            self.lease = lease
            self.token = token
            self.newToken = newToken
            self.nonce = nonce
            self.coordinator = coordinator
        }
    }

    /// The deadline moves first; only then is the holder told (design §4.3).
    private mutating func renew(_ renewal: Renewal, heard: BootInstant, at now: BootInstant) {
        let id = renewal.lease.unit
        guard let entry = units[id], var own = entry.lease, own.lease == renewal.lease else {
            return refuse(renewal, .lost)
        }
        if case .ending(_, let reason) = entry.state { return refuse(renewal, reason) }
        guard own.token == renewal.token else { return refuse(renewal, .duplicate) }
        guard now < own.deadline else { return refuse(renewal, .expired) }
        if unjournaled[id] == nil { unjournaled[id] = own }
        own.deadline = max(own.deadline, heard + own.terms.ttl)
        if let newToken = renewal.newToken {
            own.token = newToken
            own.terms.coordinator = renewal.coordinator
        }
        units[id]?.replace(own)
        let word = Word.renewed(
            renewal.lease, nonce: renewal.nonce, token: own.token, ttl: own.terms.ttl,
            coordinator: renewal.coordinator, also: own.also)
        actions.append(.journalThenSay(word, session: session))
    }

    private mutating func refuse(_ renewal: Renewal, _ reason: EndReason) {
        tell(.refuseRenewal(renewal.lease, nonce: renewal.nonce, coordinator: renewal.coordinator, reason))
    }

    /// Nothing is confirmed or prolonged that a restart would not know.
    mutating func journalFailed(_ word: Word, at now: BootInstant) {
        switch word {
        case .confirm(let lease):
            guard let entry = units[lease.unit], let own = entry.lease, own.lease == lease else { return }
            free(own, at: now)
            for id in own.units { rest(id, at: now) }
            tell(.reject(lease, highest: entry.highest, why: "the agent's journal cannot be written"))
            wantsHeartbeat = true
        case .renewed(let lease, _, _, _, _, _):
            // The coordinator gets no answer and tells its holder to try again in the time that is left: a refusal
            // would say that the lease is gone.
            guard let before = unjournaled[lease.unit], before.lease == lease,
                units[lease.unit]?.lease?.lease == lease
            else { return }
            units[lease.unit]?.replace(before)
        case .reject, .refuseRenewal, .end, .insist: break
        }
    }
}
