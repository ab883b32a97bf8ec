import Coordinator
import LeaseModel

/// Which units a request takes, in the checker's own words.
enum Wish {
    case any
    case host(String)
    case unit(String)
    case memory(Int)
    /// So many of one host, all or none.
    case several(Int)
}

extension Wish {
    /// How many units it takes.
    var count: Int { if case .several(let count) = self { count } else { 1 } }
    var isForSeveral: Bool { count > 1 }
}

/// One wish for a unit of one client: from its first lock call until it has nothing more to do with it.
final class Session {
    /// Tickets carry the number of their session.
    static func id(of ticket: String) -> Int? { Int(ticket.dropFirst(2)) }

    enum Ending {
        case release
        case releaseByHolder
        /// The client is gone without a word.
        case vanish
        /// The client stands still beyond its deadline, then tries to go on.
        case oversleep
    }

    let id: Int
    let ticket: TicketID
    let holder: HolderID
    let isResumable: Bool
    let selector: Selector
    let wish: Wish
    let priority: Priority
    let ttl: Duration
    let timeout: Duration
    let hold: Duration
    let isRenewing: Bool
    let ending: Ending
    /// After this the client gives its call up.
    let patience: Duration?
    /// The same call is sent a second time.
    let isDoubled: Bool
    /// How often something on the way ends the connection of its call.
    var severs: Int
    var began = Duration.zero
    var attempts = 0
    /// Who calls again with a `request_id` hears only the newest call.
    var newestCall = 0
    /// What calls before the newest were told.
    var unheard: [(lease: LeaseID, token: TokenHash)] = []
    /// What it was told, the newest last.
    var leases: [(lease: LeaseID, token: TokenHash)] = []
    var until = Duration.zero
    var isOver = false
    var openCalls: [LockCall] = []

    init(
        id: Int, ticket: TicketID, holder: HolderID, isResumable: Bool, selector: Selector, wish: Wish,
        priority: Priority, ttl: Duration, timeout: Duration, hold: Duration, isRenewing: Bool, ending: Ending,
        patience: Duration?, isDoubled: Bool, severs: Int
    ) {
        self.id = id
        self.ticket = ticket
        self.holder = holder
        self.isResumable = isResumable
        self.selector = selector
        self.wish = wish
        self.priority = priority
        self.ttl = ttl
        self.timeout = timeout
        self.hold = hold
        self.isRenewing = isRenewing
        self.ending = ending
        self.patience = patience
        self.isDoubled = isDoubled
        self.severs = severs
    }
}

/// One lock call on its connection to one coordinator.
final class LockCall {
    let id: Int
    let client: Client
    let session: Session
    let coordinator: CoordinatorProcess
    let sent: Duration
    var number: CallID?
    var arrived = Duration.zero
    /// The client listens.
    var isOpen = true
    var isAnswered = false

    init(id: Int, client: Client, session: Session, coordinator: CoordinatorProcess, sent: Duration) {
        self.id = id
        self.client = client
        self.session = session
        self.coordinator = coordinator
        self.sent = sent
    }
}

/// One renewal.
final class RenewCall {
    enum Result {
        case renewed(expiresIn: Duration)
        case gone(EndReason?)
        case wrongToken
        case tryAgain
    }

    let id: Int
    let client: Client
    let session: Session
    let lease: LeaseID
    let token: TokenHash
    let sent: Duration
    var arrived = Duration.zero
    var isOver = false

    init(id: Int, client: Client, session: Session, lease: LeaseID, token: TokenHash, sent: Duration) {
        self.id = id
        self.client = client
        self.session = session
        self.lease = lease
        self.token = token
        self.sent = sent
    }
}
