import LeaseModel

/// What the agent does about each message and answer that concerns one lease (design §4, §5).
extension AgentMachine {
    mutating func hear(_ message: AgentMessage, at now: BootInstant) {
        switch message {
        case .offer(let offer): consider(offer, heard: now, at: now)
        case .end(let lease, let token, _): end(lease, token, at: now)
        case .revoke(let lease, let reason, _, _): revoke(lease, reason, at: now)
        case .renew(let lease, let token, let newToken, let nonce, let coordinator):
            renew(lease, token, newToken, nonce: nonce, coordinator, at: now)
        case .speak: wantsHeartbeat = true
        case .confirmed(let lease): confirmed(lease)
        }
    }

    private mutating func consider(_ offer: Offer, heard: BootInstant, at now: BootInstant) {
        let id = offer.lease.unit
        guard let entry = units[id], !entry.isGone else {
            return reject(offer, highest: FencingToken(0), "this host has no such unit")
        }
        switch entry.state {
        case .free: break
        case .resting: return reject(offer, highest: entry.highest, "the unit rests: what it held before is not known")
        case .confirming(let lease, _):
            if lease.lease != offer.lease { units[id]?.deferred = (offer, heard) }
            return
        case .held(let lease):
            if lease.lease == offer.lease { return }
            // Only an act of its holder on that very lease makes room (design §4.2).
            guard let after = offer.after, after.lease == lease.lease, lease.endsBy(after.token) else {
                return reject(offer, highest: entry.highest, "the unit is held by another lease")
            }
        }
        guard offer.lease.fencing > entry.highest else {
            return reject(offer, highest: entry.highest, "the fencing token is not above the last one")
        }
        let lease = OwnLease(
            lease: offer.lease, token: offer.token, terms: offer.terms, deadline: heard + offer.terms.ttl)
        guard lease.deadline > now else {
            return reject(offer, highest: entry.highest, "the offer is older than its lease would be")
        }
        units[id]?.highest = offer.lease.fencing
        units[id]?.state = .confirming(lease, since: now)
        noteTTL(offer.terms.ttl)
        actions.append(.journalThenSay(.confirm(offer.lease), session: session))
    }

    private mutating func reject(_ offer: Offer, highest: FencingToken, _ why: String) {
        actions.append(.say(.reject(offer.lease, highest: highest, why: why), session: session))
        wantsHeartbeat = true
    }

    mutating func takeDeferred(_ id: UnitID, at now: BootInstant) {
        guard let deferred = units[id]?.deferred else { return }
        units[id]?.deferred = nil
        // In a later session the heartbeat's answer has told what stands.
        if link == .open { consider(deferred.offer, heard: deferred.heard, at: now) }
    }

    mutating func confirmAnswered(_ lease: LeaseID, _ answer: ConfirmAnswer, at now: BootInstant) {
        let id = lease.unit
        guard case .confirming(let own, _)? = units[id]?.state, own.lease == lease else {
            if answer == .staleSession { wordIsStale() }
            return
        }
        switch answer {
        case .held:
            units[id]?.state = .held(own)
            takeDeferred(id, at: now)
        case .gone:
            free(id, at: now)
            takeDeferred(id, at: now)
        case .unknownHost: if link == .open { beginSession(at: now) }
        case .staleSession: wordIsStale()
        case .failed: break  // it may have run: the next session's first heartbeat tells
        }
    }

    private mutating func wordIsStale() {
        link = .over
        actions.append(.succeeded)
    }

    private mutating func confirmed(_ lease: LeaseID) {
        guard case .confirming(let own, _)? = units[lease.unit]?.state, own.lease == lease else { return }
        units[lease.unit]?.state = .held(own)
    }

    /// A word about that very lease, which counts only with its present token (design §5).
    private mutating func end(_ lease: LeaseID, _ token: TokenHash, at now: BootInstant) {
        guard let own = units[lease.unit]?.lease, own.lease == lease, own.endsBy(token) else { return }
        free(lease.unit, at: now)
        takeDeferred(lease.unit, at: now)
    }

    private mutating func revoke(_ lease: LeaseID, _ reason: EndReason, at now: BootInstant) {
        guard let own = units[lease.unit]?.lease, own.lease == lease else {
            wantsHeartbeat = true
            return
        }
        free(lease.unit, at: now)
        actions.append(.say(.end(lease, reason), session: session))
        takeDeferred(lease.unit, at: now)
    }

    /// The deadline moves first; only then is the holder told (design §4.3).
    private mutating func renew(
        _ lease: LeaseID, _ token: TokenHash, _ newToken: TokenHash?, nonce: String, _ coordinator: InstanceID,
        at now: BootInstant
    ) {
        func refuse(_ reason: EndReason) {
            actions.append(
                .say(.refuseRenewal(lease, nonce: nonce, coordinator: coordinator, reason), session: session))
        }
        guard var own = units[lease.unit]?.lease, own.lease == lease else { return refuse(.lost) }
        guard now < own.deadline else { return refuse(.expired) }
        guard own.token == token else { return refuse(.duplicate) }
        own.deadline = now + own.terms.ttl
        own.token = newToken ?? own.token
        own.terms.coordinator = newToken == nil ? own.terms.coordinator : coordinator
        units[lease.unit]?.replace(own)
        actions.append(
            .journalThenSay(
                .renewed(lease, nonce: nonce, token: own.token, ttl: own.terms.ttl, coordinator: coordinator),
                session: session))
    }

    /// Nothing is confirmed or prolonged that a restart would not know.
    mutating func journalFailed(_ word: Word, at now: BootInstant) {
        switch word {
        case .confirm(let lease):
            guard let entry = units[lease.unit], entry.lease?.lease == lease else { return }
            free(lease.unit, at: now)
            actions.append(
                .say(
                    .reject(lease, highest: entry.highest, why: "the agent's journal cannot be written"),
                    session: session))
            wantsHeartbeat = true
        case .renewed, .reject, .refuseRenewal, .end:
            // The deadline has moved; the holder is not told and counts on the time it had.
            break
        }
    }
}
