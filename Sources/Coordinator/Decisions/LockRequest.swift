import LeaseModel

/// One HTTP call that waits for an answer; never used twice in a process.
package struct CallID: Hashable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
}

/// The secret half of a lease token. Its description is empty of it, so that no log can carry it.
package struct LeaseSecret: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    package let text: String
    package init(_ text: String) { self.text = text }
    package var description: String { "(secret)" }
    package var customMirror: Mirror { Mirror(self, children: [:] as KeyValuePairs<String, Any>) }

    /// What the client presents: the lease's id, a dot and the secret.
    package func token(of lease: LeaseID) -> String { "\(lease.text).\(text)" }
}

/// A new secret, the hash that Redis and the agent know it by, and the name of the call that it is put in force with.
package struct DrawnToken: Hashable, Sendable {
    package var secret: LeaseSecret
    package var hash: TokenHash
    package var nonce: String

    package init(secret: LeaseSecret, hash: TokenHash, nonce: String) {
        self.secret = secret
        self.hash = hash
        self.nonce = nonce
    }
}

/// A lock call as its endpoint understood it.
package struct LockRequest: Hashable, Sendable {
    package var call: CallID
    package var ticket: TicketID
    /// The client gave a `request_id`: it may come back for this ticket (design §4.7).
    package var isResumable: Bool
    package var holder: HolderID
    /// The authenticated caller; empty where no token is configured.
    package var caller: String
    package var selector: Selector
    /// The client itself named the host or unit, so an unknown one is its mistake.
    package var namesItsPlace: Bool
    package var priority: Priority
    package var ttl: Duration
    /// How long the client waits; zero takes what is free now.
    package var timeout: Duration
    package var metadata: String
    /// Between SIGTERM and SIGKILL, for what runs under the lease.
    package var grace: Duration
    /// A holder of worse priority may be asked to give its unit back.
    package var preempts: Bool
    /// Who asks, as the events tell it.
    package var by: String
    package var secret: LeaseSecret
    package var token: TokenHash
    /// What the unit should still be warm for; empty where that is all the same.
    package var affinity: String

    /// It may have lain unread for long (`Standstill`).
    package var mayBeOld = false

    package init(
        call: CallID, ticket: TicketID, isResumable: Bool, holder: HolderID, caller: String, selector: Selector,
        namesItsPlace: Bool, priority: Priority, ttl: Duration, timeout: Duration, metadata: String,
        secret: LeaseSecret, token: TokenHash, affinity: String = "", grace: Duration = Limits.standardGrace,
        preempts: Bool = false, by: String = ""
    ) {
        self.call = call
        self.ticket = ticket
        self.isResumable = isResumable
        self.holder = holder
        self.caller = caller
        self.selector = selector
        self.namesItsPlace = namesItsPlace
        self.priority = priority
        self.ttl = ttl
        self.timeout = timeout
        self.metadata = metadata
        self.grace = grace
        self.preempts = preempts
        self.by = by
        self.secret = secret
        self.token = token
        self.affinity = affinity
    }
}

extension LockRequest {
    /// Whether both ask for the same units under the same id.
    func isSameWish(as other: LockRequest) -> Bool { holder == other.holder && selector == other.selector }
}

/// How a lock call ended: each call gets exactly one.
package enum LockOutcome: Hashable, Sendable {
    case acquired(AcquiredLease)
    /// Its own time is over; `isDegraded` tells that Redis could not be reached meanwhile.
    case timedOut(waited: Duration, isDegraded: Bool)
    case forceReleased(by: String, why: String)
    case shuttingDown
    /// This coordinator stood still: the call may have been given up long ago, and its client be served elsewhere.
    case ofUnknownAge
    /// Another coordinator has taken the ticket up for its client.
    case moved
    /// A later call with the same `request_id` has taken this one's place.
    case replaced
    case unknownHost
    case unknownUnit
    case tooManyWaiting(limit: Int)
    /// The request's name belongs to another wish: another id, or other units.
    case nameTaken
}

/// A lease as it is told to its holder.
package struct AcquiredLease: Hashable, Sendable {
    package var lease: LeaseID
    /// The units that it spans beside the one that it is named by.
    package var also: [UnitID] = []
    package var secret: LeaseSecret
    package var ttl: Duration
    /// Until the moment that the holder may count on, from now (design §5).
    package var expiresIn: Duration
    /// Since this call arrived.
    package var waited: Duration
}
