import LeaseModel

/// Heartbeats, the loss and return of Redis, deadlines, and the ends of tickets.
extension Waiters {
    mutating func beat(at now: BootInstant) {
        guard isRedisUp, !isBeating, !isStopping else { return }
        isBeating = true
        let named = naming.next { ticket, order in
            guard let waiter = waiters[ticket], waiter.order == order else { return .gone }
            if case .queued = waiter.state { return .named }
            return .kept
        }
        actions.append(.beat(number: beats.next(at: now), count: waiters.count, naming: named))
    }

    mutating func beatAnswered(_ number: Int64, _ answer: BeatAnswer, at now: BootInstant) {
        if number == beats.last { isBeating = false }
        if answer.isNewEpoch {
            settledAt = now + Self.settling
            naming.nameAll()
        }
        for ticket in answer.unknown {
            guard var waiter = waiters[ticket], case .queued = waiter.state else { continue }
            ask(&waiter)
            store(waiter)
        }
        for ticket in answer.moved {
            guard let waiter = waiters[ticket], case .queued = waiter.state else { continue }
            end(ticket, .moved, at: now)
        }
        for ticket in answer.held {
            guard let waiter = waiters[ticket], case .queued = waiter.state else { continue }
            stands(waiter, at: now)
        }
        // An ask of somebody who has gone since may have run late. A ticket with a token of its own lease is not taken.
        for ticket in answer.more where waiters[ticket] == nil {
            actions.append(.cancel(ticket, TokenHash(""), .forgotten))
        }
        let owed = owedCancels
        owedCancels.removeAll()
        for cancel in owed { takeBack(cancel.ticket, cancel.token, cancel.cause) }
        for owed in owedLeases { actions.append(.giveBack(owed.lease, owed.ticket, owed.token)) }
        owedLeases.removeAll()
        // The others are queued again at once: who came first goes first.
        if answer.isNewEpoch || answer.goesOn { beat(at: now) }
    }

    /// A cancel that was not heard is said again once Redis answers; it acts only while the record is ours and of
    /// that token, so that saying it twice is harmless.
    mutating func cancelFailed(_ ticket: TicketID, _ token: TokenHash, _ cause: CancelCause) {
        // What is forgotten here is found again.
        guard !isStopping, cause != .forgotten else { return }
        if waiters[ticket] != nil {
            takeBack(ticket, token, cause)
        } else if owedCancels.count < Self.cancelsKept,
            !owedCancels.contains(where: { $0.token == token && $0.ticket == ticket })
        {
            owedCancels.append((ticket, token, cause))
        }
    }

    /// Said again as it stands: it names its lease and token, so it takes nothing from a later wait of the same request.
    mutating func giveBackFailed(_ lease: LeaseID, _ ticket: TicketID, _ token: TokenHash) {
        guard !isStopping, owedLeases.count < Self.cancelsKept else { return }
        owedLeases.append((lease, ticket, token))
    }

    /// Gives a token of an earlier wait back: now, or with the present wait of the same request, should that end
    /// without a lease.
    mutating func takeBack(_ ticket: TicketID, _ token: TokenHash, _ cause: CancelCause) {
        guard var waiter = waiters[ticket] else {
            actions.append(.cancel(ticket, token, cause))
            return
        }
        waiter.doubt(token, isLatest: false)
        store(waiter)
    }

    mutating func redisBack(at now: BootInstant) {
        isRedisUp = true
        isBeating = false
        settledAt = now + Self.settling
        naming.nameAll()
        // First of all on a new connection: what is still under way on the one before is late from then on, and a Redis that
        // has lost its memory offers nothing.
        beat(at: now)
        var unsent: [(score: Int64, order: Int64, ticket: TicketID)] = []
        for (ticket, waiter) in waiters {
            guard case .unsent = waiter.state else { continue }
            unsent.append((waiter.score ?? .max, waiter.order, ticket))
        }
        unsent.sort { ($0.score, $0.order) < ($1.score, $1.order) }
        for (index, entry) in unsent.enumerated() {
            guard var waiter = waiters[entry.ticket] else { continue }
            if index < Self.asksAtOnce {
                ask(&waiter)
            } else {
                waiter.state = .unsent(retry: now + .milliseconds(20 * (index / Self.asksAtOnce)))
            }
            store(waiter)
        }
    }

    mutating func redisLost() {
        isRedisUp = false
        isBeating = false
    }

    mutating func clockReached(at now: BootInstant) {
        while let ticket = deadlines.takeDue(at: now) {
            guard let waiter = waiters[ticket] else { continue }
            lapsed(waiter, at: now)
        }
    }

    private mutating func lapsed(_ waiter: Waiter, at now: BootInstant) {
        var waiter = waiter
        let ticket = waiter.request.ticket
        let isOver = waiter.call != nil && waiter.giveUpAt <= now
        let isLeft = waiter.call == nil && waiter.awayUntil.map { $0 <= now } ?? false
        switch waiter.state {
        case .unsent, .asking, .queued, .drawing:
            if isOver {
                end(ticket, .timedOut(waited: now - waiter.began, isDegraded: !isRedisUp), at: now)
                return
            }
            if isLeft {
                giveUp(waiter, .cancelled)
                return
            }
            if case .unsent(let retry?) = waiter.state, retry <= now {
                if isRedisUp { ask(&waiter) } else { waiter.state = .unsent(retry: nil) }
            }
        case .answeringAgain(_, let sent):
            if isOver {
                // The call is answered; the lease is given back when its agent has told which token it has.
                answer(&waiter, .timedOut(waited: now - waiter.began, isDegraded: !isRedisUp))
                waiter.awayUntil = now
            }
            if sent + Limits.answerWindow <= now {
                if waiter.call == nil, waiter.awayUntil.map({ $0 <= now }) ?? true {
                    giveUp(waiter, .undelivered)
                    return
                }
                leaveAgain(&waiter)
                waiter.state = .unsent(retry: nil)
                if isRedisUp { ask(&waiter) }
            }
        case .delivering(let call, let until):
            if until <= now {
                deliveries[call] = nil
                forget(ticket)
                return
            }
        case .parked(let until):
            if until <= now {
                giveUp(waiter, .undelivered)
                return
            }
        }
        store(waiter)
    }

    mutating func shutdown() {
        guard !isStopping else { return }
        isStopping = true
        for waiter in waiters.values.sorted(by: { $0.order < $1.order }) {
            if case .delivering = waiter.state { continue }
            var waiter = waiter
            answer(&waiter, .shuttingDown)
            if waiter.request.isResumable, waiter.isQueued {
                // Its client takes its place up again at another coordinator, or at this one's next run; left alone, it
                // goes with this coordinator's presence (design §4.7).
                keepsTickets = true
                forget(waiter.request.ticket)
            } else {
                giveUp(waiter, .shutdown)
            }
        }
    }

    /// The ticket is over for everybody: answers its call, if one waits, and gives up what Redis may have of it.
    mutating func end(_ ticket: TicketID, _ outcome: LockOutcome, at now: BootInstant) {
        guard var waiter = waiters[ticket] else { return }
        switch waiter.state {
        case .delivering: return
        case .unsent, .asking, .queued, .drawing, .answeringAgain, .parked: break
        }
        answer(&waiter, outcome)
        switch outcome {
        case .timedOut: giveUp(waiter, .timeout)
        case .moved, .forceReleased, .unknownHost, .unknownUnit, .nameTaken: forget(ticket)
        case .acquired, .shuttingDown, .ofUnknownAge, .replaced, .tooManyWaiting:
            preconditionFailure("this outcome does not end a ticket")
        }
    }

    /// Takes a ticket back that Redis may know, in whatever state it is there.
    mutating func giveUp(_ waiter: Waiter, _ cause: CancelCause) {
        let ticket = waiter.request.ticket
        if case .asking(let attempt) = waiter.state { orphans.insert(attempt) }
        // Only the token that is in force at the agent counts; the others are no word about the lease.
        for token in waiter.doubtful.reversed() { actions.append(.cancel(ticket, token, cause)) }
        if waiter.wasAsked { actions.append(.cancel(ticket, waiter.request.token, cause)) }
        forget(ticket)
    }

    mutating func leaveAgain(_ waiter: inout Waiter) {
        if case .answeringAgain(let drawn, _) = waiter.state { nonces[drawn.nonce] = nil }
    }

    /// The one place where calls are answered: a call that has its answer is no waiter's any more.
    mutating func answer(_ waiter: inout Waiter, _ outcome: LockOutcome) {
        guard let call = waiter.call else { return }
        waiter.call = nil
        tickets[call] = nil
        actions.append(.answer(call, outcome))
    }

    mutating func store(_ waiter: Waiter) {
        let ticket = waiter.request.ticket
        let own = waiter.call == nil ? waiter.awayUntil : waiter.giveUpAt
        let next: BootInstant? =
            switch waiter.state {
            case .unsent(let retry): .earlier(own, retry)
            case .asking, .queued, .drawing: own
            case .answeringAgain(_, let sent):
                min(sent + Limits.answerWindow, waiter.call == nil ? .never : waiter.giveUpAt)
            case .delivering(_, let until), .parked(let until): until
            }
        deadlines.set(ticket, next)
        waiters[ticket] = waiter
    }

    mutating func forget(_ ticket: TicketID) {
        guard var waiter = waiters.removeValue(forKey: ticket) else { return }
        precondition(
            waiter.call.map { tickets[$0] == nil } ?? true, "a ticket is forgotten only when its call has its answer")
        leaveAgain(&waiter)
        if case .delivering(let call, _) = waiter.state { deliveries[call] = nil }
        deadlines.remove(ticket)
    }
}

extension AskAnswer {
    /// Redis may have the ticket, or a lease for it.
    var mayStand: Bool {
        switch self {
        case .queued, .offered, .held, .failed: true
        case .refused, .moved, .unknownHost, .unknownUnit, .nameTaken: false
        }
    }
}

extension BootInstant {
    fileprivate static let never = BootInstant(sinceBoot: .seconds(Int64.max / 4))
}
