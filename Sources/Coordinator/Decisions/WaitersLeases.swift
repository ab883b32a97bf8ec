import LeaseModel

/// Leases that stand for a waiting ticket: told at once, answered again through their agent, or kept for a client
/// that is away (design §4.7, §4.8, §5).
extension Waiters {
    mutating func granted(_ grant: Grant, at now: BootInstant) {
        guard var waiter = waiters[grant.ticket] else {
            // Its waiter has left meanwhile, or has been told another lease of its.
            actions.append(.giveBack(grant.lease, grant.ticket, grant.token))
            return
        }
        switch waiter.state {
        case .unsent, .asking, .queued: break
        case .drawing, .answeringAgain, .delivering, .parked: return
        }
        let end = Beats.toldEnd(from: beats.moment(of: grant.beat), ttl: grant.ttl, at: now)
        // A renewal under doubt may have put another token in force: then this one proves nothing any more.
        guard waiter.call != nil, !waiter.isTakenUp, grant.token == waiter.request.token, waiter.doubtful.isEmpty,
            let end
        else {
            stands(waiter, at: now)
            return
        }
        tell(&waiter, grant.lease, grant.also, waiter.request.secret, ttl: grant.ttl, until: end, at: now)
        store(waiter)
    }

    mutating func held(_ ticket: TicketID, at now: BootInstant) {
        // A lease whose ticket is not waiting has been told to its holder, or given up by a word of its own.
        guard let waiter = waiters[ticket] else { return }
        switch waiter.state {
        case .unsent, .asking, .queued: stands(waiter, at: now)
        case .drawing, .answeringAgain, .delivering, .parked: break
        }
    }

    /// A lease stands for this ticket: it is answered through its agent, or kept for a client that is away.
    mutating func stands(_ waiter: Waiter, at now: BootInstant) {
        guard waiter.call != nil else {
            park(waiter, at: now)
            return
        }
        var waiter = waiter
        draw(&waiter)
        store(waiter)
    }

    mutating func draw(_ waiter: inout Waiter) {
        waiter.state = .drawing
        actions.append(.drawToken(waiter.request.ticket))
    }

    mutating func tokenDrawn(_ ticket: TicketID, _ drawn: DrawnToken, at now: BootInstant) {
        guard var waiter = waiters[ticket], case .drawing = waiter.state else { return }
        waiter.state = .answeringAgain(drawn, sent: now)
        nonces[drawn.nonce] = ticket
        waiter.doubt(drawn.hash, isLatest: true)
        actions.append(.answerAgain(ticket, newToken: drawn.hash, nonce: drawn.nonce))
        store(waiter)
    }

    mutating func againAnswered(
        _ ticket: TicketID, _ nonce: String, _ answer: AgainAnswer, at now: BootInstant
    ) {
        guard nonces[nonce] == ticket, var waiter = waiters[ticket] else { return }
        switch answer {
        case .asked: break
        case .givenUp(let score):
            // It can be matched elsewhere: no token of the lease that was given back is in doubt any more.
            waiter.score = score
            waiter.doubtful = []
            againFailed(waiter, after: .zero, at: now)
        case .notYours: end(ticket, .moved, at: now)
        case .unknown, .failed: againFailed(waiter, after: Self.pause, at: now)
        }
    }

    mutating func renewed(
        _ lease: LeaseID, _ nonce: String, _ ttl: Duration, _ also: [UnitID], at now: BootInstant
    ) {
        guard let ticket = nonces.removeValue(forKey: nonce), var waiter = waiters[ticket],
            case .answeringAgain(let drawn, let sent) = waiter.state
        else { return }
        waiter.request.token = drawn.hash
        waiter.doubtful = []
        waiter.request.secret = drawn.secret
        waiter.state = .queued
        guard waiter.call != nil else {
            if let until = waiter.awayUntil, until > now { park(waiter, at: now) } else { giveUp(waiter, .undelivered) }
            return
        }
        guard let end = Beats.toldEnd(from: sent, ttl: ttl, at: now) else {
            draw(&waiter)
            store(waiter)
            return
        }
        tell(&waiter, lease, also, drawn.secret, ttl: ttl, until: end, at: now)
        store(waiter)
    }

    mutating func renewalRefused(_ nonce: String, at now: BootInstant) {
        guard let ticket = nonces[nonce], let waiter = waiters[ticket] else { return }
        againFailed(waiter, after: Self.pause, at: now)
    }

    /// The lease could not be answered again: the ticket is asked for once more, and Redis tells what became of it.
    private mutating func againFailed(_ waiter: Waiter, after pause: Duration, at now: BootInstant) {
        guard case .answeringAgain = waiter.state else { return }
        guard waiter.call != nil || waiter.awayUntil.map({ $0 > now }) == true else {
            giveUp(waiter, .undelivered)
            return
        }
        var waiter = waiter
        leaveAgain(&waiter)
        waiter.state = .unsent(retry: now + pause)
        store(waiter)
    }

    private mutating func tell(
        _ waiter: inout Waiter, _ lease: LeaseID, _ also: [UnitID], _ secret: LeaseSecret, ttl: Duration,
        until end: BootInstant,
        at now: BootInstant
    ) {
        guard let call = waiter.call else { preconditionFailure("a lease is told to a client that is there") }
        let acquired = AcquiredLease(
            lease: lease, also: also, secret: secret, ttl: ttl, expiresIn: end - now, waited: now - waiter.began)
        answer(&waiter, .acquired(acquired))
        waiter.state = .delivering(call, until: now + Limits.redelivery)
        deliveries[call] = waiter.request.ticket
    }

    /// The lease waits for its client, where that may come back; else it is given back at once (design §4.7).
    mutating func park(_ waiter: Waiter, at now: BootInstant) {
        guard waiter.request.isResumable, !isStopping else {
            giveUp(waiter, .undelivered)
            return
        }
        var waiter = waiter
        waiter.state = .parked(until: now + Limits.redelivery)
        store(waiter)
    }
}
