import LeaseModel

/// The units of a host, with what has to be found fast among many of them: whose time is up next, whose confirm has gone
/// unanswered for longest, under whose lease something runs. Kept in step by the one way in which an entry changes.
struct Units: Equatable {
    private var entries: [UnitID: UnitEntry] = [:]
    private var ends = Deadlines<UnitID>()
    private var unanswered = Deadlines<UnitID>()
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

    /// The earliest moment at which a lease's time and its lock-delay are over, or a unit has rested enough.
    var firstEnd: BootInstant? { mutating get { ends.first } }

    /// When the answer to a confirm has been out for as long as is waited for it.
    var firstUnanswered: BootInstant? { mutating get { unanswered.first } }

    /// One unit whose time is up.
    mutating func takeEnded(at now: BootInstant) -> UnitID? { ends.takeDue(at: now) }

    /// What runs under leases here, in the order of their units.
    var processes: [(lease: LeaseID, process: LeaseProcess)] {
        running.sorted().compactMap { id in
            entries[id]?.lease.flatMap { own in own.process.map { (lease: own.lease, process: $0) } }
        }
    }

    private mutating func index(_ id: UnitID, _ entry: UnitEntry?) {
        var end: BootInstant?
        var answer: BootInstant?
        switch entry?.state {
        case nil, .free?: break
        case .resting(let until)?: end = until
        case .held(let lease)?, .ending(let lease, _)?: end = lease.deadline + lockDelay
        case .confirming(let lease, let since)?:
            end = lease.deadline + lockDelay
            answer = since + Limits.answerWindow
        }
        ends.set(id, end)
        unanswered.set(id, answer)
        if entry?.lease?.process != nil {
            running.insert(id)
        } else if !running.isEmpty {
            running.remove(id)
        }
    }
}
