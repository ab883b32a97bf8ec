import LeaseModel

/// One HTTP call that waits for an answer; never used twice in a process.
struct CallID: Hashable, Sendable {
    var number: UInt64
    init(_ number: UInt64) { self.number = number }
}

/// The secret half of a lease token. Its description is empty of it, so that no log can carry it.
struct LeaseSecret: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    let text: String
    init(_ text: String) { self.text = text }
    var description: String { "(secret)" }
    var customMirror: Mirror { Mirror(self, children: [:] as KeyValuePairs<String, Any>) }

    /// What the client presents: the lease's id, a dot and the secret.
    func token(of lease: LeaseID) -> String { "\(lease.text).\(text)" }
}

/// A new secret, the hash that Redis and the agent know it by, and the name of the call that it is put in force with.
struct DrawnToken: Hashable, Sendable {
    var secret: LeaseSecret
    var hash: TokenHash
    var nonce: String
}

/// A lock call as its endpoint understood it.
struct LockRequest: Hashable, Sendable {
    var call: CallID
    var ticket: TicketID
    /// The client gave a `request_id`: it may come back for this ticket (design §4.7).
    var isResumable: Bool
    var holder: HolderID
    /// The authenticated caller; empty where no token is configured.
    var caller: String
    var selector: Selector
    /// The client itself named the host or unit, so an unknown one is its mistake.
    var namesItsPlace: Bool
    var priority: Priority
    var ttl: Duration
    /// How long the client waits; zero takes what is free now.
    var timeout: Duration
    var metadata: String
    var secret: LeaseSecret
    var token: TokenHash
}

/// How a lock call ended: each call gets exactly one.
enum LockOutcome: Hashable, Sendable {
    case acquired(AcquiredLease)
    /// Its own time is over; `isDegraded` tells that Redis could not be reached meanwhile.
    case timedOut(waited: Duration, isDegraded: Bool)
    case forceReleased(by: String, why: String)
    case shuttingDown
    /// Another coordinator has taken the ticket up for its client.
    case moved
    /// A later call with the same `request_id` has taken this one's place.
    case replaced
    case unknownHost
    case unknownUnit
    case tooManyWaiting(limit: Int)
}

/// A lease as it is told to its holder.
struct AcquiredLease: Hashable, Sendable {
    var lease: LeaseID
    var secret: LeaseSecret
    var ttl: Duration
    /// Until the moment that the holder may count on, from now (design §5).
    var expiresIn: Duration
    /// Since this call arrived.
    var waited: Duration
}
