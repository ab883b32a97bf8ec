import LeaseModel
import LeaseStore

// Between what `Decisions` say and what the store's scripts take and answer: the one place for the coordinator's shell
// and the simulator's.

extension Ask {
    package init(
        _ request: LockRequest, _ age: AskAge, coordinator: InstanceID, beat: Int64,
        gathering: Duration = Limits.gathering
    ) {
        self.init(
            ticket: request.ticket, selector: request.selector, holder: request.holder, caller: request.caller,
            priority: request.priority, ttl: request.ttl, coordinator: coordinator, token: request.token,
            metadata: request.metadata, age: age, affinity: request.affinity, grace: request.grace,
            gathering: gathering, beat: beat)
    }
}

extension AskAnswer {
    package init(_ outcome: AskOutcome) {
        switch outcome {
        case .queued(let score): self = .queued(score: score)
        case .offered(let score): self = .offered(score: score)
        case .held(let lease): self = .held(lease)
        case .refused(let by, let why): self = .refused(by: by, why: why)
        case .moved: self = .moved
        case .unknownHost: self = .unknownHost
        case .unknownUnit: self = .unknownUnit
        case .nameTaken: self = .nameTaken
        }
    }
}

extension AgainAnswer {
    package init(_ outcome: AnswerAgainOutcome) {
        switch outcome {
        case .asked(let lease, _): self = .asked(lease)
        case .givenUp(let score): self = .givenUp(score: score)
        case .notYours: self = .notYours
        case .unknown: self = .unknown
        }
    }
}

extension BeatAnswer {
    package init(_ outcome: BeatOutcome, isNewEpoch: Bool) {
        self.init(
            unknown: outcome.unknown, moved: outcome.moved, held: outcome.held.map(\.ticket), more: outcome.more,
            isNewEpoch: isNewEpoch, goesOn: outcome.settling == .matching)
    }
}

extension RenewAnswer {
    package init(_ outcome: RenewOutcome) {
        switch outcome {
        case .asked: self = .asked
        case .gone(let reason, let by): self = .gone(reason, by: by)
        case .wrongToken: self = .wrongToken
        case .unheard: self = .unheard
        }
    }
}

extension CancelReason {
    package init(_ cause: CancelCause) {
        switch cause {
        case .cancelled: self = .cancelled
        case .timeout: self = .timeout
        case .undelivered: self = .undelivered
        case .shutdown: self = .shutdown
        case .forgotten: self = .forgotten
        }
    }
}
