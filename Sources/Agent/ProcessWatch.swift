import EventLoop
import LeaseModel

/// The process groups that run under leases on this host: notices their end, and ends them when told.
struct ProcessWatch {
    private enum Stage {
        case running
        /// Asked to end; killed when the moment has come.
        case asked(killAt: Duration)
        case killed
    }

    private struct Entry {
        var process: LeaseProcess
        var stage: Stage
        /// When a group without its leader is looked for among all processes again.
        var searchAt = Duration.zero
        /// When its keeper is looked at again; nil at each look.
        var keeperAt: Duration? = .zero
    }

    private var entries: [LeaseID: Entry] = [:]

    /// How often to `look` while there is something to see.
    static let interval = Duration.milliseconds(100)
    /// The same while something is being ended, whose unit somebody may wait for.
    static let endingInterval = Duration.milliseconds(10)
    /// The connection of a keeper tells of its end, unless the agent was away meanwhile.
    private static let keeperPause = Duration.seconds(1)
    /// A search walks all processes of the host.
    private static let searchPause = Duration.seconds(1)

    var isEmpty: Bool { entries.isEmpty }
    /// How long until the next look.
    var pause: Duration { isStopping ? Self.endingInterval : Self.interval }

    /// Whether anything is being ended.
    var isStopping: Bool {
        entries.values.contains { entry in
            if case .running = entry.stage { return false }
            return true
        }
    }

    /// Watches exactly these and those that are being ended.
    mutating func follow(_ processes: [RunningProcess]) {
        guard !(entries.isEmpty && processes.isEmpty) else { return }
        let known = Dictionary(uniqueKeysWithValues: processes.map { ($0.lease, $0.process) })
        entries = entries.filter { lease, entry in
            if case .running = entry.stage { return known[lease] == entry.process }
            return true
        }
        for running in processes where entries[running.lease] == nil {
            entries[running.lease] = Entry(process: running.process, stage: .running)
        }
    }

    /// Asks the group to end now, and kills it after `grace`.
    mutating func stop(_ lease: LeaseID, _ process: LeaseProcess, grace: Duration, at now: Duration) {
        if case .asked? = entries[lease]?.stage { return }
        if case .killed? = entries[lease]?.stage { return }
        Self.signal(process, .terminate)
        entries[lease] = Entry(process: process, stage: .asked(killAt: now + grace))
    }

    /// What a look has found.
    struct Sight: Equatable {
        /// Nothing runs under them any more; these are watched no longer.
        var gone: [LeaseID] = []
        /// What runs under them goes on, but who renewed them is gone.
        var abandoned: [LeaseID] = []
    }

    /// Has the keeper of a lease looked at with each look: its connection has closed.
    mutating func doubtKeeper(of lease: LeaseID) { entries[lease]?.keeperAt = nil }

    /// Kills what had its time, and tells what has ended.
    mutating func look(at now: Duration) -> Sight {
        var sight = Sight()
        for (lease, entry) in entries.sorted(by: { $0.key < $1.key }) {
            guard isAlive(lease, entry, at: now) else {
                entries[lease] = nil
                sight.gone.append(lease)
                continue
            }
            if case .running = entry.stage, hasLostKeeper(lease, entry, at: now) { sight.abandoned.append(lease) }
            if case .asked(let killAt) = entry.stage, killAt <= now {
                Self.signal(entry.process, .kill)
                entries[lease]?.stage = .killed
            }
        }
        return sight
    }

    private mutating func hasLostKeeper(_ lease: LeaseID, _ entry: Entry, at now: Duration) -> Bool {
        guard let keeper = entry.process.keeper else { return false }
        if let keeperAt = entry.keeperAt {
            guard keeperAt <= now else { return false }
            entries[lease]?.keeperAt = now + Self.keeperPause
        }
        return ProcessGroup.startTicks(ofProcess: keeper.process) != keeper.startTicks
    }

    enum Finding: Equatable {
        case found(LeaseProcess)
        /// The process is just being started: its environment cannot be read yet.
        case starting
        case foreign
    }

    /// The group of a process that was started for this lease.
    ///
    /// That the lease's id stands in its environment is the proof: who knows a lease's token must not thereby be able
    /// to have any other process of this host killed.
    static func group(of process: Int32, startedFor lease: LeaseID) -> Finding {
        guard let group = ProcessGroup.of(process), group > 1, group != ProcessGroup.of(Environment.processID),
            let start = ProcessGroup.startTicks(ofProcess: group),
            let environment = try? Files.read("/proc/\(group)/environ", limit: 4 << 20)
        else { return .foreign }
        guard !environment.isEmpty else { return .starting }
        let value = Array(lease.text.utf8)
        let isStartedFor = environment.split(separator: 0).contains { variable in
            guard let equals = variable.firstIndex(of: UInt8(ascii: "=")) else { return false }
            return variable[(equals + 1)...].elementsEqual(value)
        }
        return isStartedFor ? .found(LeaseProcess(group: group, startTicks: start)) : .foreign
    }

    private mutating func isAlive(_ lease: LeaseID, _ entry: Entry, at now: Duration) -> Bool {
        if entry.process.isAlone { return Self.alone(entry.process).isAlive }
        guard Self.mayLive(entry.process) else { return false }
        if ProcessGroup.startTicks(ofProcess: entry.process.group) != nil { return true }
        // Without its leader the group may consist of dead processes that nobody has reaped, which still take signals.
        if case .running = entry.stage, entry.searchAt > now { return true }
        entries[lease]?.searchAt = now + Self.searchPause
        return ProcessGroup.hasLivingMember(entry.process.group)
    }

    private static func alone(_ process: LeaseProcess) -> ForeignProcess {
        ForeignProcess(number: process.group, startTicks: process.startTicks)
    }

    private static func signal(_ process: LeaseProcess, _ signal: Signals.Signal) {
        if process.isAlone {
            alone(process).signal(signal)
        } else if mayLive(process) {
            ProcessGroup.signal(process.group, signal)
        }
    }

    /// A process that was not started for a lease, and the whole group where it leads one. Nil where it is gone, or not
    /// of this agent's user: who may open this agent's socket could end any of those without it.
    static func adoptable(_ number: Int32) -> LeaseProcess? {
        let own = Environment.processID
        guard let process = ForeignProcess(number), number > 1, number != own, number != ProcessGroup.of(own),
            let owner = process.owner, owner == Environment.userID || Environment.userID == 0
        else { return nil }
        return LeaseProcess(
            group: number, startTicks: process.startTicks, isAlone: ProcessGroup.of(number) != number)
    }

    /// False where the group is gone or its number is used again.
    private static func mayLive(_ process: LeaseProcess) -> Bool {
        guard ProcessGroup.isAlive(process.group) else { return false }
        guard let start = ProcessGroup.startTicks(ofProcess: process.group) else { return true }
        return start == process.startTicks
    }
}
