import LeaseModel

/// What an agent remembers across a restart of its process: the content of its journal.
package struct AgentMemory: Equatable, Sendable {
    package enum Standing: Equatable, Sendable {
        /// Its confirm had not been answered.
        case confirming
        case held
        /// Revoked; its processes had not ended.
        case ending(EndReason)
    }

    package struct Lease: Equatable, Sendable {
        package var lease: OwnLease
        package var standing: Standing

        package init(lease: OwnLease, standing: Standing) {
            self.lease = lease
            self.standing = standing
        }
    }

    package struct Unit: Equatable, Sendable {
        package var unit: UnitID
        /// The highest fencing token ever confirmed here.
        package var highest: FencingToken
        package var known: Lease?

        package init(unit: UnitID, highest: FencingToken, known: Lease? = nil) {
            self.unit = unit
            self.highest = highest
            self.known = known
        }
    }

    package var instance: InstanceID
    /// Those that spoke for this host before it, as far as is known here, the last first.
    package var ancestors: [InstanceID]
    /// In the order of the units' names.
    package var units: [Unit]
    /// The longest lease ever confirmed on this host.
    package var longestTTL: Duration
    /// Until when nothing is offered, since what was held before is not known; counts in this boot only.
    package var restingUntil: BootInstant?

    /// The highest fencing token that units of which nothing is known may have had.
    package var floor: FencingToken

    package init(
        instance: InstanceID, ancestors: [InstanceID] = [], units: [Unit], longestTTL: Duration,
        restingUntil: BootInstant? = nil,
        floor: FencingToken = FencingToken(0)
    ) {
        self.instance = instance
        self.ancestors = ancestors
        self.units = units
        self.longestTTL = longestTTL
        self.restingUntil = restingUntil
        self.floor = floor
    }
}

extension AgentMemory {
    /// What this journal is worth in another boot. It is not fsynced, so the power may have taken its last writes: fencing
    /// tokens begin above the host's wall clock then, as without a journal.
    ///
    /// - Parameter wallClock: This host's, since 1970.
    package func afterReboot(wallClock: Duration) -> AgentMemory {
        let least = FencingToken(wallClock.microseconds)
        var memory = self
        memory.floor = max(floor, least)
        for index in memory.units.indices { memory.units[index].highest = max(memory.units[index].highest, least) }
        return memory
    }
}

/// What is known of the time before this process (design §6).
package enum AgentPast: Equatable, Sendable {
    /// A state directory that was just made: nothing was ever held here.
    case firstJoin
    /// The journal of this boot: its deadlines hold as they stand.
    case remembered(AgentMemory)
    /// The journal of an earlier boot: nothing is adopted, only the fencing tokens and the longest ttl count, those raised
    /// by `AgentMemory.afterReboot`.
    case rebooted(AgentMemory)
    /// No journal. Fencing tokens start above this host's wall clock in µs.
    case unknown(wallClockMicroseconds: Int64)
}
