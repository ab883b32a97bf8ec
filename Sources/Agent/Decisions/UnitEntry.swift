import LeaseModel

/// One unit of this host.
struct UnitEntry: Equatable {
    // Leases and offers stand behind references: entries are looked at, and so copied, far more often than those change.
    enum State: Equatable {
        case free
        /// Offered to nobody until then: what was held here before is not known (design §6), or the journal fails.
        case resting(until: BootInstant)
        /// A further unit of the lease that its first unit has.
        case bound(LeaseID)
        /// Confirmed by a script whose answer has not come. Holds the unit as a lease does.
        indirect case confirming(OwnLease, since: BootInstant)
        indirect case held(OwnLease)
        /// Revoked; its processes have not ended yet.
        indirect case ending(OwnLease, EndReason)
    }

    /// An offer that came while a confirm was unanswered, with the moment it was heard.
    indirect enum Deferred: Equatable { case offer(Offer, heard: BootInstant) }

    var properties: UnitProperties
    var state: State
    /// The highest fencing token that was ever confirmed here.
    var highest: FencingToken
    var deferred: Deferred?
    /// The device is gone; the unit goes when its lease has ended.
    var isGone = false

    init(properties: UnitProperties, state: State, highest: FencingToken) {
        self.properties = properties
        self.state = state
        self.highest = highest
    }

    /// The lease that is named by this unit.
    var lease: OwnLease? {
        switch state {
        case .confirming(let lease, _), .held(let lease), .ending(let lease, _): lease
        case .free, .resting, .bound: nil
        }
    }

    /// A lease has it, alone or with others.
    var isTaken: Bool {
        switch state {
        case .confirming, .held, .ending, .bound: true
        case .free, .resting: false
        }
    }

    /// What the journal has to know of this unit.
    var memory: AgentMemory.Unit {
        let known: AgentMemory.Lease? =
            switch state {
            case .free, .resting, .bound: nil
            case .confirming(let lease, _): AgentMemory.Lease(lease: lease, standing: .confirming)
            case .held(let lease): AgentMemory.Lease(lease: lease, standing: .held)
            case .ending(let lease, let reason): AgentMemory.Lease(lease: lease, standing: .ending(reason))
            }
        return AgentMemory.Unit(unit: properties.unit, highest: highest, known: known)
    }

    mutating func replace(_ lease: OwnLease) {
        switch state {
        case .confirming(_, let since): state = .confirming(lease, since: since)
        case .held: state = .held(lease)
        case .ending(_, let reason): state = .ending(lease, reason)
        case .free, .resting, .bound: break
        }
    }

    func report(at now: BootInstant) -> UnitReport {
        let reported: UnitReport.State =
            switch state {
            case .free: .free
            case .resting: .resting
            case .bound(let lease): .bound(lease)
            case .confirming(let lease, _): .confirming(lease.reported(at: now))
            case .held(let lease): .held(lease.reported(at: now))
            case .ending(let lease, _): .ending(lease.reported(at: now))
            }
        return UnitReport(properties: properties, state: reported, highestFencing: highest)
    }
}
