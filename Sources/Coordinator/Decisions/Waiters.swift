import LeaseModel

/// Who waits at this coordinator and who is answered (design §4.7, §4.8, §5, §6).
///
/// Each call gets exactly one answer. A ticket whose client cannot be answered is given up, at once or, where the
/// client may come back for it, after `Limits.redelivery`.
package struct Waiters {
    /// A pause before something that failed is tried again, so that no failure becomes a storm.
    static let pause = Duration.milliseconds(250)
    /// A host that Redis does not know is doubted no more once its agent must have spoken (design §6).
    static let settling = Limits.heartbeat + .seconds(1)
    /// Asks that a return of Redis sends in one go; the others follow in steps.
    static let asksAtOnce = 1000
    /// Doubtful tokens kept for one ticket; each took an answer window to arise.
    static let doubtfulTokens = 64
    /// Cancels kept for a Redis that could not be reached; beyond that the client's ttl or our own answer to a
    /// late grant settles it.
    static let cancelsKept = 1000

    struct Waiter {
        var request: LockRequest
        /// Orders what is done for many waiters at once: the order of arrival.
        let order: Int64
        /// Nil while the client is away.
        var call: CallID?
        var began: BootInstant
        var giveUpAt: BootInstant
        /// While the client is away: how long its place is kept.
        var awayUntil: BootInstant?
        var score: Int64?
        /// An ask of it was sent, whether or not it was answered.
        var wasAsked = false
        /// A later call took the first one's place. The client may have been at another coordinator in between, which
        /// may be putting another token in force: nothing that was under way for an earlier call is told to this one.
        var isTakenUp = false
        /// Tokens that may be in force by a renewal whose answer never came, the latest last.
        var doubtful: [TokenHash] = []
        var state: State

        /// Redis has it in a queue, as far as is known, and no lease stands for it.
        var isQueued: Bool {
            switch state {
            case .queued: doubtful.isEmpty
            case .unsent, .asking, .drawing, .answeringAgain, .delivering, .parked: false
            }
        }

        mutating func doubt(_ token: TokenHash, isLatest: Bool) {
            guard token != request.token, !doubtful.contains(token) else { return }
            if isLatest { doubtful.append(token) } else { doubtful.insert(token, at: 0) }
            if doubtful.count > Waiters.doubtfulTokens { doubtful.removeFirst() }
        }
    }

    enum State {
        /// Not known to Redis, as far as we know; asked at `retry`, or when Redis is back.
        case unsent(retry: BootInstant?)
        case asking(attempt: Int64)
        /// Known to Redis, in a queue or offered.
        case queued
        /// A lease stands; the shell draws the token for its answer.
        case drawing
        case answeringAgain(DrawnToken, sent: BootInstant)
        /// Answered; not yet known whether the answer went out.
        case delivering(CallID, until: BootInstant)
        /// A lease stands and its client is away.
        case parked(until: BootInstant)
    }

    let limit: Int
    var beats = Beats()
    var isRedisUp = false
    var isStopping = false
    var isBeating = false
    /// Whether a shutdown has left tickets to their clients.
    package var keepsTickets = false
    var settledAt: BootInstant?
    var lastOrder: Int64 = 0
    var lastAttempt: Int64 = 0
    var waiters: [TicketID: Waiter] = [:]
    var tickets: [CallID: TicketID] = [:]
    var deliveries: [CallID: TicketID] = [:]
    var nonces: [String: TicketID] = [:]
    /// Asks under way whose waiter has been given up: given up again when they turn out to have run.
    var orphans: Set<Int64> = []
    var owedCancels: [(ticket: TicketID, token: TokenHash, cause: CancelCause)] = []
    /// Grants that nobody waits for, to be given back once Redis can be reached.
    var owedLeases: [(lease: LeaseID, ticket: TicketID, token: TokenHash)] = []
    var deadlines = Deadlines<TicketID>()
    var naming = NamingOrder()
    var actions: [Action] = []

    /// - Parameter limit: Tickets that may wait at once. Beyond: 429.
    package init(limit: Int) {
        precondition(limit > 0, "a coordinator that lets nobody wait serves nobody")
        self.limit = limit
    }

    /// Number of the last heartbeat that was sent, 0 before the first.
    package var lastBeat: Int64 { beats.last }

    /// Tickets that wait, are being answered or are kept for their clients.
    package var count: Int { waiters.count }

    /// When `clockReached` is due, or nil.
    package var wakeAt: BootInstant? {
        mutating get { deadlines.first }
    }

    /// Whether every agent has spoken since Redis was last lost or found.
    package func isSettled(at now: BootInstant) -> Bool { settledAt.map { $0 <= now } ?? false }

    /// What is left of a waiting ticket's own time, and how long its present call has waited.
    package func times(of ticket: TicketID, at now: BootInstant) -> (left: Duration, waited: Duration)? {
        guard let waiter = waiters[ticket] else { return nil }
        let end = waiter.call == nil ? waiter.awayUntil ?? waiter.giveUpAt : waiter.giveUpAt
        return (max(.zero, end - now), now - waiter.began)
    }

    package mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        switch event {
        case .lockRequested(let request): lockRequested(request, at: now)
        case .clientGone(let call): clientGone(call, at: now)
        case .delivered(let call): delivered(call)
        case .undelivered(let call): undelivered(call, at: now)
        case .askAnswered(let reference, let answer): askAnswered(reference, answer, at: now)
        case .granted(let grant): granted(grant, at: now)
        case .held(let ticket): held(ticket, at: now)
        case .tokenDrawn(let ticket, let drawn): tokenDrawn(ticket, drawn, at: now)
        case .againAnswered(let ticket, let nonce, let answer): againAnswered(ticket, nonce, answer, at: now)
        case .renewed(let lease, let nonce, let ttl, let also): renewed(lease, nonce, ttl, also, at: now)
        case .renewalRefused(let nonce): renewalRefused(nonce, at: now)
        case .refused(let ticket, let by, let why): end(ticket, .forceReleased(by: by, why: why), at: now)
        case .moved(let ticket): end(ticket, .moved, at: now)
        case .cancelFailed(let ticket, let token, let cause): cancelFailed(ticket, token, cause)
        case .giveBackFailed(let lease, let ticket, let token): giveBackFailed(lease, ticket, token)
        case .beatDue: beat(at: now)
        case .beatAnswered(let number, let answer): beatAnswered(number, answer, at: now)
        case .beatFailed(let number): if number == beats.last { isBeating = false }
        case .redisBack: redisBack(at: now)
        case .redisLost: redisLost()
        case .clockReached: clockReached(at: now)
        case .shutdown: shutdown()
        }
        let decided = actions
        actions.removeAll(keepingCapacity: true)
        return decided
    }

    mutating func lockRequested(_ request: LockRequest, at now: BootInstant) {
        guard !isStopping else {
            actions.append(.answer(request.call, .shuttingDown))
            return
        }
        // It could take the request over from a newer call of its client's, and the token from its holder.
        if request.isResumable, request.mayBeOld {
            actions.append(.answer(request.call, .ofUnknownAge))
            return
        }
        let giveUpAt = now + (request.timeout == .zero ? Limits.offerWindow : request.timeout)
        if var waiter = waiters[request.ticket] {
            guard waiter.request.isSameWish(as: request) else {
                actions.append(.answer(request.call, .nameTaken))
                return
            }
            answer(&waiter, .replaced)
            waiter.call = request.call
            waiter.awayUntil = nil
            waiter.began = now
            waiter.giveUpAt = giveUpAt
            waiter.request.timeout = request.timeout
            waiter.isTakenUp = true
            tickets[request.call] = request.ticket
            if request.timeout == .zero, waiter.isQueued {
                // Nothing is free for it, and its client waits no longer.
                store(waiter)
                end(request.ticket, .timedOut(waited: .zero, isDegraded: !isRedisUp), at: now)
                return
            }
            switch waiter.state {
            case .delivering(let call, _):
                deliveries[call] = nil
                draw(&waiter)
            case .parked: draw(&waiter)
            case .answeringAgain:
                leaveAgain(&waiter)
                draw(&waiter)
            case .unsent, .asking, .queued, .drawing: break
            }
            store(waiter)
            return
        }
        guard waiters.count < limit else {
            actions.append(.answer(request.call, .tooManyWaiting(limit: limit)))
            return
        }
        lastOrder += 1
        var waiter = Waiter(
            request: request, order: lastOrder, call: request.call, began: now, giveUpAt: giveUpAt, awayUntil: nil,
            score: nil, state: .unsent(retry: nil))
        tickets[request.call] = request.ticket
        naming.append(request.ticket, order: waiter.order)
        if !owedCancels.isEmpty {
            // What an earlier wait of this request left in doubt is now this one's to give back.
            for cancel in owedCancels where cancel.ticket == request.ticket {
                waiter.doubt(cancel.token, isLatest: true)
            }
            owedCancels.removeAll { $0.ticket == request.ticket }
        }
        if isRedisUp { ask(&waiter) }
        store(waiter)
    }

    mutating func clientGone(_ call: CallID, at now: BootInstant) {
        guard let ticket = tickets.removeValue(forKey: call), var waiter = waiters[ticket] else { return }
        waiter.call = nil
        waiter.awayUntil = waiter.request.isResumable ? now + Limits.redelivery : now
        switch waiter.state {
        case .unsent, .asking, .queued, .drawing, .parked, .delivering:
            if waiter.request.isResumable { store(waiter) } else { giveUp(waiter, .cancelled) }
        case .answeringAgain:
            // Which token the agent has is known only when it has answered: it is given up then.
            store(waiter)
        }
    }

    mutating func delivered(_ call: CallID) {
        guard let ticket = deliveries.removeValue(forKey: call) else { return }
        forget(ticket)
    }

    mutating func undelivered(_ call: CallID, at now: BootInstant) {
        guard let ticket = deliveries.removeValue(forKey: call), let waiter = waiters[ticket] else { return }
        park(waiter, at: now)
    }

    mutating func ask(_ waiter: inout Waiter) {
        lastAttempt += 1
        waiter.state = .asking(attempt: lastAttempt)
        let isFirst = !waiter.wasAsked && !waiter.request.isResumable
        waiter.wasAsked = true
        let reference = AskReference(ticket: waiter.request.ticket, token: waiter.request.token, attempt: lastAttempt)
        let age: AskAge = waiter.score.map { .again(score: $0) } ?? (isFirst ? .first : .fresh)
        actions.append(.ask(reference, waiter.request, age))
    }

    mutating func askAnswered(_ reference: AskReference, _ answer: AskAnswer, at now: BootInstant) {
        guard var waiter = waiters[reference.ticket], case .asking(let attempt) = waiter.state,
            attempt == reference.attempt
        else {
            if orphans.remove(reference.attempt) != nil, answer.mayStand {
                takeBack(reference.ticket, reference.token, .cancelled)
            }
            return
        }
        switch answer {
        case .queued(let score):
            waiter.score = score
            waiter.state = .queued
            store(waiter)
            if waiter.request.timeout == .zero, waiter.call != nil {
                end(reference.ticket, .timedOut(waited: now - waiter.began, isDegraded: false), at: now)
            }
        case .offered(let score):
            waiter.score = score
            waiter.state = .queued
            store(waiter)
        case .held: stands(waiter, at: now)
        case .refused(let by, let why): end(reference.ticket, .forceReleased(by: by, why: why), at: now)
        case .moved: end(reference.ticket, .moved, at: now)
        case .unknownHost: placeUnknown(waiter, .unknownHost, at: now)
        case .unknownUnit: placeUnknown(waiter, .unknownUnit, at: now)
        case .nameTaken: end(reference.ticket, .nameTaken, at: now)
        case .failed:
            waiter.state = .unsent(retry: now + Self.pause)
            store(waiter)
        }
    }

    /// Right after Redis has lost its memory its agents have yet to speak, and a coordinator may start before the
    /// agent of its own scope: only a place that the client itself named, in a settled pool, is its mistake.
    mutating func placeUnknown(_ waiter: Waiter, _ outcome: LockOutcome, at now: BootInstant) {
        if waiter.request.namesItsPlace, let settledAt, settledAt <= now {
            end(waiter.request.ticket, outcome, at: now)
            return
        }
        var waiter = waiter
        waiter.state = .unsent(retry: now + Self.pause)
        store(waiter)
    }
}
