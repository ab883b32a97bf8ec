import LeaseModel

/// The units of a host, with what has to be found fast among many of them: whose time is up next, whose confirm has gone
/// unanswered for longest, under whose lease something runs. Kept in step by the one way in which an entry changes.
struct Units: Equatable {
    private var entries: [UnitID: UnitEntry] = [:]
    private var ends = Deadlines<UnitID>()
    private var unanswered = Deadlines<UnitID>()
    private var insists = Deadlines<UnitID>()
    private var running: Set<UnitID> = []
    private let lockDelay: Duration

    init(lockDelay: Duration) { self.lockDelay = lockDelay }

    subscript(id: UnitID) -> UnitEntry? {
        get { entries[id] }
        set {
            entries[id] = newValue
            index(id, newValue)
        }
    }

    var keys: Dictionary<UnitID, UnitEntry>.Keys { entries.keys }
    var values: Dictionary<UnitID, UnitEntry>.Values { entries.values }

    /// The earliest moment at which the time of a lease is over, with its lock-delay where nothing runs under it, or a unit
    /// has rested enough.
    var firstEnd: BootInstant? { mutating get { ends.first } }

    /// When the answer to a confirm has been out for as long as is waited for it.
    var firstUnanswered: BootInstant? { mutating get { unanswered.first } }

    /// When Redis is asked next whether the waiter for a lease that was not given back still waits.
    var firstInsist: BootInstant? { mutating get { insists.first } }

    mutating func takeInsist(at now: BootInstant) -> UnitID? { insists.takeDue(at: now) }

    /// One unit whose time is up.
    mutating func takeEnded(at now: BootInstant) -> UnitID? { ends.takeDue(at: now) }

    /// What runs under leases here, in the order of their units.
    var processes: [RunningProcess] { running.sorted().compactMap { entries[$0]?.lease?.running } }

    /// What runs under a lease is told to end at its deadline; without, nobody else may have the unit before the lock-delay
    /// is over as well.
    private func end(of lease: OwnLease) -> BootInstant {
        lease.process == nil ? lease.deadline + lockDelay : lease.deadline
    }

    private mutating func index(_ id: UnitID, _ entry: UnitEntry?) {
        var end: BootInstant?
        var answer: BootInstant?
        var insist: BootInstant?
        switch entry?.state {
        case nil, .free?, .bound?: break
        case .resting(let until)?: end = until
        case .held(let lease)?:
            end = self.end(of: lease)
            insist = lease.asked?.deadline
        case .ending(let lease, _)?: if lease.process == nil { end = self.end(of: lease) }
        case .confirming(let lease, let since)?:
            end = self.end(of: lease)
            answer = since + Limits.answerWindow
        }
        ends.set(id, end)
        unanswered.set(id, answer)
        insists.set(id, insist)
        if entry?.lease?.process != nil {
            running.insert(id)
        } else if !running.isEmpty {
            running.remove(id)
        }
    }
}
