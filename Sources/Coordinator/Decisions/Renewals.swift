import LeaseModel

/// A holder's call for more time.
package struct RenewRequest: Hashable, Sendable {
    package var call: CallID
    package var lease: LeaseID
    package var token: TokenHash
    /// Names this very call, so that a late answer is never counted from a later sending (design §4.3).
    package var nonce: String

    package init(call: CallID, lease: LeaseID, token: TokenHash, nonce: String) {
        self.call = call
        self.lease = lease
        self.token = token
        self.nonce = nonce
    }
}

/// How a renewal ended: each call gets exactly one.
package enum RenewalOutcome: Hashable, Sendable {
    /// `expiresIn` is counted from the moment the call was sent to Redis (design §5).
    case renewed(LeaseID, ttl: Duration, expiresIn: Duration)
    case gone(LeaseID, EndReason?, by: String)
    case wrongToken(LeaseID)
    /// Nobody answered in time: the lease may have been prolonged or not, its present time goes on.
    case noAnswer(LeaseID)
    case shuttingDown
}

/// What Redis said to a renewal.
package enum RenewAnswer: Hashable, Sendable {
    case asked
    case gone(EndReason?, by: String)
    case wrongToken
    /// Its host is not present.
    case unheard
    case failed
}

/// The renewals under way: the agent's word decides, Redis only passes it on (design §4.3).
package struct Renewals {
    package enum Event: Hashable, Sendable {
        case requested(RenewRequest)
        case clientGone(CallID)
        case answered(nonce: String, RenewAnswer)
        case renewed(LeaseID, nonce: String, ttl: Duration)
        case refused(LeaseID, nonce: String, EndReason)
        case clockReached
        case shutdown
    }

    package enum Action: Hashable, Sendable {
        case renew(LeaseID, TokenHash, nonce: String)
        case answer(CallID, RenewalOutcome)
    }

    private struct Pending {
        var call: CallID
        var lease: LeaseID
        var sent: BootInstant
    }

    private var pending: [String: Pending] = [:]
    private var nonces: [CallID: String] = [:]
    private var deadlines = Deadlines<String>()
    private var isStopping = false

    package init() {}

    package var count: Int { pending.count }

    /// When `clockReached` is due, or nil.
    package var wakeAt: BootInstant? {
        mutating get { deadlines.first }
    }

    package mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        switch event {
        case .requested(let request):
            guard !isStopping else { return [.answer(request.call, .shuttingDown)] }
            pending[request.nonce] = Pending(call: request.call, lease: request.lease, sent: now)
            nonces[request.call] = request.nonce
            deadlines.set(request.nonce, now + Limits.answerWindow)
            return [.renew(request.lease, request.token, nonce: request.nonce)]
        case .clientGone(let call):
            if let nonce = nonces[call] { _ = take(nonce) }
            return []
        case .answered(let nonce, let answer):
            switch answer {
            case .asked: return []
            case .gone(let reason, let by): return finish(nonce) { .gone($0.lease, reason, by: by) }
            case .wrongToken: return finish(nonce) { .wrongToken($0.lease) }
            case .unheard, .failed: return finish(nonce) { .noAnswer($0.lease) }
            }
        case .renewed(let lease, let nonce, let ttl):
            guard pending[nonce]?.lease == lease else { return [] }
            return finish(nonce) {
                .renewed(lease, ttl: ttl, expiresIn: max(.zero, $0.sent + ttl - Limits.slack(of: ttl) - now))
            }
        case .refused(let lease, let nonce, let reason):
            guard pending[nonce]?.lease == lease else { return [] }
            return finish(nonce) { .gone($0.lease, reason, by: "") }
        case .clockReached:
            var actions: [Action] = []
            while let nonce = deadlines.takeDue(at: now) { actions += finish(nonce) { .noAnswer($0.lease) } }
            return actions
        case .shutdown:
            isStopping = true
            let order = pending.sorted { $0.value.call.number < $1.value.call.number }
            return order.flatMap { finish($0.key) { _ in .shuttingDown } }
        }
    }

    private mutating func finish(_ nonce: String, _ outcome: (Pending) -> RenewalOutcome) -> [Action] {
        guard let done = take(nonce) else { return [] }
        return [.answer(done.call, outcome(done))]
    }

    private mutating func take(_ nonce: String) -> Pending? {
        guard let done = pending.removeValue(forKey: nonce) else { return nil }
        nonces[done.call] = nil
        deadlines.remove(nonce)
        return done
    }
}
