import LeaseModel

/// Units come, go, and become free.
extension AgentMachine {
    mutating func free(_ id: UnitID, at now: BootInstant) {
        if journalDue == nil { journalDue = now + Self.journalPause }
        guard var entry = units[id] else { return }
        if entry.isGone {
            units[id] = nil
            absent[id] = AgentMemory.Unit(unit: id, highest: entry.highest)
            wantsHeartbeat = true
        } else {
            // The whole host may rest meanwhile.
            entry.state = freshState
            units[id] = entry
        }
    }

    /// All units of a lease that is over.
    mutating func free(_ own: OwnLease, at now: BootInstant) {
        free(own.lease.unit, at: now)
        guard !own.also.isEmpty else { return }
        for id in own.also where units[id]?.state == .bound(own.lease) { free(id, at: now) }
        // A later line of the journal about one of them would not take back what the first one's says of it.
        actions.append(.writeJournal)
    }

    /// Offers to this unit would come back as fast as they are rejected.
    mutating func rest(_ id: UnitID, at now: BootInstant) {
        guard units[id] != nil else { return }
        var until = now + Limits.heartbeat
        if case .resting(let end) = freshState { until = max(until, end) }
        units[id]?.state = .resting(until: until)
    }

    mutating func take(_ inventory: [UnitProperties], at now: BootInstant) {
        for properties in inventory {
            let id = properties.unit
            if units[id] != nil {
                units[id]?.properties = properties
                units[id]?.isGone = false
            } else {
                units[id] = fresh(properties, at: now)
                bind(id, at: now)
            }
        }
        let present = Set(inventory.map(\.unit))
        for id in units.keys.sorted() where !present.contains(id) {
            guard let entry = units[id] else { continue }
            if !entry.isTaken {
                units[id] = nil
                absent[id] = AgentMemory.Unit(unit: id, highest: entry.highest)
            } else {
                units[id]?.isGone = true
            }
        }
    }

    private mutating func fresh(_ properties: UnitProperties, at now: BootInstant) -> UnitEntry {
        var entry = UnitEntry(properties: properties, state: freshState, highest: freshHighest)
        if let known = absent.removeValue(forKey: properties.unit) {
            entry.highest = max(known.highest, freshHighest)
            if let known = known.known {
                entry.highest = max(entry.highest, known.lease.lease.fencing)
                entry.state =
                    switch known.standing {
                    case .confirming: .confirming(known.lease, since: now)
                    case .held: .held(known.lease)
                    case .ending(let reason): .ending(known.lease, reason)
                    }
            }
        }
        if case .resting(let until) = entry.state, until <= now { entry.state = .free }
        return entry
    }

    /// Ties the units of a lease that spans several together, as far as their devices are there. While the device of its
    /// first one is missing nothing can prolong the lease, so the others rest until it is over.
    private mutating func bind(_ id: UnitID, at now: BootInstant) {
        if let own = units[id]?.lease {
            for other in own.also where units[other]?.isTaken == false { bind(other, to: own) }
            return
        }
        if let own = units.values.lazy.compactMap(\.lease).first(where: { $0.also.contains(id) }) {
            bind(id, to: own)
        } else if let own = absent.values.lazy.compactMap({ $0.known?.lease }).first(where: { $0.also.contains(id) }) {
            var until = own.deadline + lockDelay
            if case .resting(let end)? = units[id]?.state { until = max(until, end) }
            if until > now { units[id]?.state = .resting(until: until) }
        }
    }

    mutating func bind(_ id: UnitID, to own: OwnLease) {
        guard var entry = units[id] else { return }
        entry.state = .bound(own.lease)
        entry.highest = max(entry.highest, own.lease.fencing)
        units[id] = entry
    }

    /// What a lease says of a unit that it has, alone or with others.
    func standing(of id: UnitID) -> UnitEntry.State? { units[id].map { standing(of: $0) } }

    func standing(of entry: UnitEntry) -> UnitEntry.State {
        guard case .bound(let lease) = entry.state, let first = units[lease.unit], first.lease?.lease == lease else {
            return entry.state
        }
        return first.state
    }

    /// What runs under leases here, in the order of their units.
    package var processes: [RunningProcess] { units.processes }

    var endingProcesses: [(RunningProcess, EndReason)] {
        processes.compactMap { running in
            guard case .ending(_, let reason)? = units[running.lease.unit]?.state else { return nil }
            return (running, reason)
        }
    }

    /// Why a lease is over whose processes have yet to end; nil where it is not.
    package func endingReason(of lease: LeaseID) -> EndReason? {
        guard case .ending(let own, let reason)? = units[lease.unit]?.state, own.lease == lease else { return nil }
        return reason
    }

    /// Who was asked has had its grace already.
    mutating func stop(_ running: RunningProcess, _ reason: EndReason) {
        let grace = reason == .preempted ? min(running.grace, Limits.preemptedGrace) : running.grace
        actions.append(.stopProcesses(running.lease, running.process, grace: min(grace, longestGrace)))
    }

    /// The lease is over for its holder; its unit is free when what runs under it is gone.
    mutating func endProcesses(_ id: UnitID, _ own: OwnLease, _ reason: EndReason) {
        units[id]?.state = .ending(own, reason)
        for unit in own.units { units[unit]?.deferred = nil }
        actions.append(.writeJournal)
        if let running = own.running { stop(running, reason) }
    }

    mutating func processStarted(_ lease: LeaseID, _ token: TokenHash, _ process: LeaseProcess, at now: BootInstant) {
        guard var own = units[lease.unit]?.lease, own.lease == lease, own.token == token, now < own.deadline else {
            return
        }
        if case .ending? = units[lease.unit]?.state { return }
        own.process = process
        units[lease.unit]?.replace(own)
        actions.append(.writeJournal)
    }

    /// Nobody renews the lease any more, so what runs under it need not wait for its time.
    mutating func keeperGone(_ lease: LeaseID) {
        guard let entry = units[lease.unit], let own = entry.lease, own.lease == lease, own.process != nil else {
            return
        }
        switch entry.state {
        case .free, .resting, .bound, .ending: break
        case .confirming, .held:
            endProcesses(lease.unit, own, .released)
            wantsHeartbeat = true
        }
    }

    mutating func processesGone(_ lease: LeaseID, at now: BootInstant) {
        guard let entry = units[lease.unit], var own = entry.lease, own.lease == lease, own.process != nil else {
            return
        }
        switch entry.state {
        case .free, .resting, .bound: break
        case .confirming:
            own.process = nil
            units[lease.unit]?.replace(own)
        case .held:
            // A holder that has died gives its place back at once (design §1).
            free(own, at: now)
            tell(.end(lease, .released))
        case .ending(_, let reason):
            free(own, at: now)
            tell(.end(lease, reason))
        }
    }
}
