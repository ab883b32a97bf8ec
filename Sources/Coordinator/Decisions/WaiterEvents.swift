import LeaseModel

/// One ask that was sent, so that its answer is not taken for that of a later one.
package struct AskReference: Hashable, Sendable {
    package var ticket: TicketID
    package var token: TokenHash
    package var attempt: Int64
}

/// What Redis said to an ask.
package enum AskAnswer: Hashable, Sendable {
    case queued(score: Int64)
    case offered(score: Int64)
    case held(LeaseID)
    case refused(by: String, why: String)
    case moved
    case unknownHost
    case unknownUnit
    /// The request's name belongs to another wish.
    case nameTaken
    /// No answer, or none that helps: it may have run.
    case failed
}

/// What Redis said to the wish to answer a lease again (design §4.8).
package enum AgainAnswer: Hashable, Sendable {
    case asked(LeaseID)
    /// Its host is silent: the lease was given back, and the ticket keeps its age.
    case givenUp(score: Int64)
    case notYours
    case unknown
    case failed
}

/// What a heartbeat brought back of the tickets that it named.
package struct BeatAnswer: Hashable, Sendable {
    package var unknown: [TicketID] = []
    package var moved: [TicketID] = []
    package var held: [TicketID] = []
    /// Some of the tickets that Redis has for this coordinator, where they are more than it has.
    package var more: [TicketID] = []
    /// Redis answered out of another memory than last time: it was flushed or replaced.
    package var isNewEpoch = false
    /// The pool has units to match that were kept apart, with the next heartbeat.
    package var goesOn = false

    package init(
        unknown: [TicketID] = [], moved: [TicketID] = [], held: [TicketID] = [], more: [TicketID] = [],
        isNewEpoch: Bool = false, goesOn: Bool = false
    ) {
        self.unknown = unknown
        self.moved = moved
        self.held = held
        self.more = more
        self.isNewEpoch = isNewEpoch
        self.goesOn = goesOn
    }
}

/// Why a ticket is given up.
package enum CancelCause: Hashable, Sendable {
    case cancelled, timeout, undelivered, shutdown
    /// Redis has it, and this coordinator does not.
    case forgotten
}

extension Waiters {
    /// What happens to the waiters.
    package enum Event: Hashable, Sendable {
        case lockRequested(LockRequest)
        case clientGone(CallID)
        /// The answer of a granted call was handed to the kernel, or could not be.
        case delivered(CallID)
        case undelivered(CallID)
        case askAnswered(AskReference, AskAnswer)
        case granted(Grant)
        case held(TicketID)
        case tokenDrawn(TicketID, DrawnToken)
        case againAnswered(TicketID, nonce: String, AgainAnswer)
        case renewed(LeaseID, nonce: String, ttl: Duration, also: [UnitID] = [])
        case renewalRefused(nonce: String)
        case refused(TicketID, by: String, why: String)
        case moved(TicketID)
        case cancelFailed(TicketID, TokenHash, CancelCause)
        case giveBackFailed(LeaseID, TicketID, TokenHash)
        case beatDue
        case beatAnswered(number: Int64, BeatAnswer)
        case beatFailed(number: Int64)
        case redisBack
        case redisLost
        /// The moment of `wakeAt` has come.
        case clockReached
        case shutdown
    }

    /// What the shell does about it.
    package enum Action: Hashable, Sendable {
        case ask(AskReference, LockRequest, AskAge)
        /// The shell draws a token and says `tokenDrawn` before anything else.
        case drawToken(TicketID)
        case answerAgain(TicketID, newToken: TokenHash, nonce: String)
        case cancel(TicketID, TokenHash, CancelCause)
        /// A grant that nobody waits for: this very lease, whatever else its ticket has.
        case giveBack(LeaseID, TicketID, TokenHash)
        case answer(CallID, LockOutcome)
        /// `count`: how many tickets there are here, in whatever state.
        case beat(number: Int64, count: Int, naming: [TicketID])
    }
}
