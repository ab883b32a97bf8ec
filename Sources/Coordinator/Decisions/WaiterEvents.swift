import LeaseModel

/// One ask that was sent, so that its answer is not taken for that of a later one.
struct AskReference: Hashable, Sendable {
    var ticket: TicketID
    var token: TokenHash
    var attempt: Int64
}

/// How an ask is meant (design §6): the client's own call, or one more for a ticket that keeps its age.
enum AskAge: Hashable, Sendable {
    case fresh
    case again(score: Int64)
}

/// What Redis said to an ask.
enum AskAnswer: Hashable, Sendable {
    case queued(score: Int64)
    case offered(score: Int64)
    case held(LeaseID)
    case refused(by: String, why: String)
    case moved
    case unknownHost
    case unknownUnit
    /// No answer, or none that helps: it may have run.
    case failed
}

/// What Redis said to the wish to answer a lease again (design §4.8).
enum AgainAnswer: Hashable, Sendable {
    case asked(LeaseID)
    case notYours
    case unknown
    case failed
}

/// What a heartbeat brought back of the tickets that it named.
struct BeatAnswer: Hashable, Sendable {
    var unknown: [TicketID] = []
    var moved: [TicketID] = []
    var held: [TicketID] = []
    /// Redis answered out of another memory than last time: it was flushed or replaced.
    var isNewEpoch = false
}

/// Why a ticket is given up.
enum CancelCause: Hashable, Sendable {
    case cancelled, timeout, undelivered, shutdown
}

extension Waiters {
    /// What happens to the waiters.
    enum Event: Hashable, Sendable {
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
        case renewed(LeaseID, nonce: String, ttl: Duration)
        case renewalRefused(nonce: String)
        case refused(TicketID, by: String, why: String)
        case moved(TicketID)
        case cancelFailed(TicketID, TokenHash, CancelCause)
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
    enum Action: Hashable, Sendable {
        case ask(AskReference, LockRequest, AskAge)
        /// The shell draws a token and says `tokenDrawn` before anything else.
        case drawToken(TicketID)
        case answerAgain(TicketID, newToken: TokenHash, nonce: String)
        case cancel(TicketID, TokenHash, CancelCause)
        case answer(CallID, LockOutcome)
        case beat(number: Int64, naming: [TicketID])
    }
}
