import LeaseModel

/// The units of a host, with what has to be found fast among many of them: whose time is up next, whose confirm has gone
/// unanswered for longest, under whose lease something runs. Kept in step by the one way in which an entry changes.
struct Units: Equatable {
    private var rows: [UnitID: Row] = [:]
    private var ends = Deadlines<UnitID>()
    private var unanswered = Deadlines<UnitID>()
    private var insists = Deadlines<UnitID>()
    private var running: Set<UnitID> = []
    private let lockDelay: Duration

    init(lockDelay: Duration) { self.lockDelay = lockDelay }

    /// An entry, and the moments that are set for it.
    private struct Row: Equatable {
        var entry: UnitEntry
        var moments: Moments
    }

    private struct Moments: Equatable {
        var end: BootInstant?
        var answer: BootInstant?
        var insist: BootInstant?
    }

    subscript(id: UnitID) -> UnitEntry? {
        get { rows[id]?.entry }
        set {
            let (moments, isRunning) = look(at: newValue?.state)
            let before =
                if let newValue {
                    rows.updateValue(Row(entry: newValue, moments: moments), forKey: id)?.moments ?? Moments()
                } else {
                    rows.removeValue(forKey: id)?.moments ?? Moments()
                }
            if moments.end != before.end { ends.set(id, moments.end) }
            if moments.answer != before.answer { unanswered.set(id, moments.answer) }
            if moments.insist != before.insist { insists.set(id, moments.insist) }
            if isRunning {
                running.insert(id)
            } else if !running.isEmpty {
                running.remove(id)
            }
        }
    }

    var keys: [UnitID] { Array(rows.keys) }
    var values: some Collection<UnitEntry> { rows.values.lazy.map(\.entry) }

    /// The earliest moment at which the time of a lease is over, with its lock-delay where nothing runs under it, or a unit
    /// has rested enough.
    var firstEnd: BootInstant? { mutating get { ends.first } }

    /// When the answer to a confirm has been out for as long as is waited for it.
    var firstUnanswered: BootInstant? { mutating get { unanswered.first } }

    /// When Redis is asked next whether the waiter for a lease that was not given back still waits.
    var firstInsist: BootInstant? { mutating get { insists.first } }

    mutating func takeInsist(at now: BootInstant) -> UnitID? {
        let id = insists.takeDue(at: now)
        if let id { rows[id]?.moments.insist = nil }
        return id
    }

    /// One unit whose time is up.
    mutating func takeEnded(at now: BootInstant) -> UnitID? {
        let id = ends.takeDue(at: now)
        if let id { rows[id]?.moments.end = nil }
        return id
    }

    /// What runs under leases here, in the order of their units.
    var processes: [RunningProcess] { running.sorted().compactMap { rows[$0]?.entry.lease?.running } }

    /// What runs under a lease is told to end at its deadline; without, nobody else may have the unit before the lock-delay
    /// is over as well.
    private func end(of lease: OwnLease) -> BootInstant {
        lease.process == nil ? lease.deadline + lockDelay : lease.deadline
    }

    /// What is to be remembered of a unit, and whether something runs under its lease.
    private func look(at state: UnitEntry.State?) -> (Moments, isRunning: Bool) {
        switch state {
        case nil, .free?, .bound?: return (Moments(), false)
        case .resting(let until)?: return (Moments(end: until), false)
        case .held(let lease)?:
            return (Moments(end: end(of: lease), insist: lease.asked?.deadline), lease.process != nil)
        case .ending(let lease, _)?:
            // Where something runs its end is what is waited for.
            return lease.process == nil ? (Moments(end: end(of: lease)), false) : (Moments(), true)
        case .confirming(let lease, let since)?:
            return (Moments(end: end(of: lease), answer: since + Limits.answerWindow), lease.process != nil)
        }
    }
}
