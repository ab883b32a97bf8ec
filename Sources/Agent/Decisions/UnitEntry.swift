import LeaseModel

/// A lease in the agent's own table, which is the one that counts.
package struct OwnLease: Equatable, Sendable {
    package var lease: LeaseID
    package var token: TokenHash
    package var terms: LeaseTerms
    /// The moment the offer or the last renewal was heard + ttl (design §5). Never computed from what somebody tells.
    package var deadline: BootInstant

    package init(lease: LeaseID, token: TokenHash, terms: LeaseTerms, deadline: BootInstant) {
        self.lease = lease
        self.token = token
        self.terms = terms
        self.deadline = deadline
    }

    func reported(at now: BootInstant) -> HeldLease {
        HeldLease(lease: lease, token: token, terms: terms, remaining: max(.zero, deadline - now))
    }

    /// Whether a word that names `word` ends this lease: an early end counts only with the present token (design §5).
    func endsBy(_ word: TokenHash) -> Bool { word == token || word == .any }
}

/// One unit of this host.
struct UnitEntry: Equatable {
    enum State: Equatable {
        case free
        /// Offered to nobody until then: what was held here before is not known (design §6).
        case resting(until: BootInstant)
        /// Confirmed by a script whose answer has not come. Holds the unit as a lease does.
        case confirming(OwnLease, since: BootInstant)
        case held(OwnLease)
    }

    var properties: UnitProperties
    var state: State
    /// The highest fencing token that was ever confirmed here.
    var highest: FencingToken
    /// An offer that came while a confirm was unanswered, with the moment it was heard.
    var deferred: (offer: Offer, heard: BootInstant)?
    /// The device is gone; the unit goes when its lease has ended.
    var isGone = false

    var lease: OwnLease? {
        switch state {
        case .confirming(let lease, _), .held(let lease): lease
        case .free, .resting: nil
        }
    }

    mutating func replace(_ lease: OwnLease) {
        switch state {
        case .confirming(_, let since): state = .confirming(lease, since: since)
        case .held: state = .held(lease)
        case .free, .resting: break
        }
    }

    func report(at now: BootInstant) -> UnitReport {
        let reported: UnitReport.State =
            switch state {
            case .free: .free
            case .resting: .resting
            case .confirming(let lease, _): .confirming(lease.reported(at: now))
            case .held(let lease): .held(lease.reported(at: now))
            }
        return UnitReport(properties: properties, state: reported, highestFencing: highest)
    }

    static func == (left: UnitEntry, right: UnitEntry) -> Bool {
        left.properties == right.properties && left.state == right.state && left.highest == right.highest
            && left.isGone == right.isGone && left.deferred?.offer == right.deferred?.offer
    }
}
