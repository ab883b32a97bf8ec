/// A unit's fixed properties, as its agent registers them.
package struct UnitProperties: Hashable, Sendable {
    package var unit: UnitID
    package var kind: UnitKind
    /// Memory in MB (10^6 bytes); 0 for units that have none.
    package var memoryMB: Int
    /// `discrete`, `integrated`, `virtual`, `cpu`, `other`; empty for units that are no device.
    package var deviceType: String
    /// Everything else that is worth showing, as one compact JSON object.
    package var details: String

    package init(unit: UnitID, kind: UnitKind, memoryMB: Int, deviceType: String, details: String) {
        self.unit = unit
        self.kind = kind
        self.memoryMB = memoryMB
        self.deviceType = deviceType
        self.details = details
    }
}

/// What an agent says of one unit in its heartbeat (design §6).
package struct UnitReport: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        case free
        /// Offered to nobody: after a reboot or a lost journal.
        case resting
        /// A further unit of the lease that another unit is reported with.
        case bound(LeaseID)
        /// A confirm whose answer has not come.
        case confirming(HeldLease)
        case held(HeldLease)
        /// Revoked; its processes have not ended yet.
        case ending(HeldLease)
    }

    package var properties: UnitProperties
    package var state: State
    /// The highest fencing token that the agent has confirmed for this unit, 0 for none.
    package var highestFencing: FencingToken

    package init(properties: UnitProperties, state: State, highestFencing: FencingToken) {
        self.properties = properties
        self.state = state
        self.highestFencing = highestFencing
    }
}

/// A lease as its agent knows it.
package struct HeldLease: Hashable, Sendable {
    package var lease: LeaseID
    package var token: TokenHash
    package var terms: LeaseTerms
    /// Time until its deadline at the agent, for show; never negative.
    package var remaining: Duration

    package init(lease: LeaseID, token: TokenHash, terms: LeaseTerms, remaining: Duration) {
        self.lease = lease
        self.token = token
        self.terms = terms
        self.remaining = remaining
    }
}
