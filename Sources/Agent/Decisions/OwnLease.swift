import LeaseModel

/// A lease in the agent's own table, which is the one that counts.
package struct OwnLease: Equatable, Sendable {
    package var lease: LeaseID
    package var token: TokenHash
    package var terms: LeaseTerms
    /// The moment the offer or the last renewal was heard + ttl (design §5). Never computed from what somebody tells.
    package var deadline: BootInstant
    /// What runs under this lease on this host, where its holder has told.
    package var process: LeaseProcess?
    /// Who wants the unit before this lease's time is over, where somebody does.
    package var asked: Asked?
    /// The units that it spans beside the one that it is named by, which alone is asked what becomes of it.
    package var also: [UnitID]

    /// All units of the lease.
    package var units: [UnitID] { [lease.unit] + also }

    package init(
        lease: LeaseID, token: TokenHash, terms: LeaseTerms, deadline: BootInstant, process: LeaseProcess? = nil,
        asked: Asked? = nil, also: [UnitID] = []
    ) {
        self.lease = lease
        self.token = token
        self.terms = terms
        self.deadline = deadline
        self.process = process
        self.asked = asked
        self.also = also
    }

    /// The holder is asked to give the lease back.
    package struct Asked: Hashable, Sendable {
        package var preemption: Preemption
        /// When the first of these wishes was heard + grace: from then on Redis is asked whether the waiter still waits.
        package var deadline: BootInstant

        package init(_ preemption: Preemption, deadline: BootInstant) {
            self.preemption = preemption
            self.deadline = deadline
        }
    }

    func reported(at now: BootInstant) -> HeldLease {
        HeldLease(lease: lease, token: token, terms: terms, remaining: max(.zero, deadline - now))
    }

    /// What runs under it, where something does.
    var running: RunningProcess? {
        process.map { RunningProcess(lease: lease, process: $0, grace: terms.grace) }
    }

    /// Whether a word that names `word` ends this lease: an early end counts only with the present token (design §5).
    func endsBy(_ word: TokenHash) -> Bool { word == token || word == .any }
}

/// The process group that runs under a lease, or one process alone.
package struct LeaseProcess: Hashable, Sendable {
    package var group: Int32
    /// When the group's leader started, in ticks since the boot: numbers of processes are used again.
    package var startTicks: UInt64
    /// Who renews the lease for it: the group is ended when that process is gone.
    package var keeper: Keeper?
    /// `group` names a process that does not lead its group and was adopted: it alone is meant.
    package var isAlone: Bool

    package init(group: Int32, startTicks: UInt64, keeper: Keeper? = nil, isAlone: Bool = false) {
        self.group = group
        self.startTicks = startTicks
        self.keeper = keeper
        self.isAlone = isAlone
    }

    /// One process for ever, as the group's leader is.
    package struct Keeper: Hashable, Sendable {
        package var process: Int32
        package var startTicks: UInt64

        package init(process: Int32, startTicks: UInt64) {
            self.process = process
            self.startTicks = startTicks
        }
    }
}

/// What runs under a lease, and how long it has to end when it is told to.
package struct RunningProcess: Hashable, Sendable {
    package var lease: LeaseID
    package var process: LeaseProcess
    package var grace: Duration
}
