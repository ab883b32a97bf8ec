import Agent
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// The shell of one host's agent: feeds the shipped `AgentMachine` and performs its actions, as `Agent` does.
final class AgentProcess: Process {
    let host: HostID
    let units: [UnitProperties]
    private(set) var machine: AgentMachine?
    private(set) var link: Link?
    private(set) var inbox: MailBox?
    private(set) var instance = InstanceID("")
    private var voice: Voice?
    private var queue: [AgentMachine.Event] = []
    private var isFeeding = false
    private var armedFor: BootInstant?
    private var alarm = 0
    private var disk = Disk()
    /// Another state directory for the same host, which an operator may take by mistake.
    private var otherDisk = Disk(isUsed: true)
    private var hasOtherDirectory = false
    private var boot = 1
    /// The journal cannot be written until then.
    var journalFailsUntil = Duration.zero
    /// Gone for a time that the others have to do without it.
    var isAway = false

    private struct Disk {
        var journal: [UInt8]?
        /// The journal as it was some writings ago: what a power cut may leave.
        var older: [UInt8]?
        var longest = Duration.zero
        var isUsed = false
    }

    init(_ host: HostID, units: [UnitProperties], in world: World, bootedAt: Duration) {
        self.host = host
        self.units = units
        super.init("agent \(host.text)", in: world, bootedAt: bootedAt)
    }

    // MARK: Life

    func start() {
        began()
        isAway = false
        world.checker.agentBack(host.text)
        instance = InstanceID("\(host.text)-run\(run)")
        let past = past()
        machine = AgentMachine(
            instance: instance, past: past, inventory: units, lockDelay: world.plan.lockDelay,
            longestTTL: world.plan.longestTTL, at: clock)
        voice = Voice(store: world.store, log: .silent, host: host, instance: instance)
        world.trace { "\(self.name) starts as \(self.instance): \(Self.word(past))" }
        switch past {
        case .firstJoin, .remembered: if hasOtherDirectory { world.checker.hostForgot(host.text) }
        case .rebooted, .unknown: world.checker.hostForgot(host.text)
        }
        hasOtherDirectory = false
        writeJournal()
        let link = Link(of: self, to: world.master)
        let inbox = MailBox(of: self, to: world.master)
        self.link = link
        self.inbox = inbox
        link.onChange = { [self] isUp in
            if !isUp { feed(.disconnected) } else if inbox.isUp { feed(.connected) }
        }
        inbox.onChange = { [self] isUp in
            guard isUp, link.isUp else { return }
            feed(machine?.isConnected == true ? .subscribed : .connected)
        }
        world.instances[instance.text] = self
        inbox.open(after: world.delay())
        link.open(after: world.delay())
        feed(.clockReached)
    }

    /// Ends without a word.
    func crash() {
        guard isRunning else { return }
        world.trace { "\(self.name) crashes" }
        world.instances[instance.text] = nil
        ended()
        machine = nil
        queue = []
        isFeeding = false
        armedFor = nil
        world.checker.agentGone(host.text)
        world.stirred()
    }

    enum Loss: CaseIterable { case nothing, recentWrites, journal, everything }

    /// The whole host goes down and boots anew. The journal may be lost or of an earlier moment, the longest ttl not.
    func reboot(losing loss: Loss) {
        crash()
        boot += 1
        bootedAt = world.now
        switch loss {
        case .nothing: break
        case .recentWrites: disk.journal = disk.older
        case .journal: disk.journal = nil
        case .everything:
            disk = Disk()
            disk.isUsed = true
        }
    }

    /// The next run has the host's other state directory.
    func takeOtherDirectory() {
        (disk, otherDisk) = (otherDisk, disk)
        hasOtherDirectory = true
    }

    private func past() -> AgentPast {
        defer { disk.isUsed = true }
        if world.has(.forgottenJournal) { disk = Disk() }
        let wallClock = Master.epoch + world.now.microseconds
        guard let bytes = disk.journal, let decoded = JournalText.decode(bytes) else {
            return disk.isUsed ? .unknown(wallClockMicroseconds: wallClock) : .firstJoin
        }
        var memory = decoded.memory
        memory.longestTTL = max(memory.longestTTL, disk.longest)
        if world.has(.blindReboot) {
            return .remembered(
                AgentMemory(instance: memory.instance, ancestors: memory.ancestors, units: [], longestTTL: .zero))
        }
        return decoded.bootID == "boot\(boot)" || world.has(.anyBoot)
            ? .remembered(memory) : .rebooted(memory.afterReboot(wallClock: .microseconds(wallClock)))
    }

    private static func word(_ past: AgentPast) -> String {
        switch past {
        case .firstJoin: "first join"
        case .remembered: "remembers"
        case .rebooted: "rebooted"
        case .unknown: "no journal"
        }
    }

    @discardableResult
    private func writeJournal() -> Bool {
        guard let machine, journalFailsUntil <= world.now else { return false }
        disk.older = disk.journal
        disk.journal = JournalText.encode(machine.memory, bootID: "boot\(boot)")
        disk.longest = max(disk.longest, machine.memory.longestTTL)
        return true
    }

    // MARK: Events

    func hear(_ bytes: [UInt8]) {
        guard var mail = Inbox.agentMail(bytes) else { return }
        world.trace {
            "\(self.name) hears \(mail.session): \(mail.messages.map(Words.message).joined(separator: ", "))"
        }
        if world.has(.anySession), let machine { mail.session = machine.session }
        feed(.mail(mail))
    }

    func feed(_ event: AgentMachine.Event) {
        guard isRunning else { return }
        queue.append(event)
        guard !isFeeding else { return }
        isFeeding = true
        while !queue.isEmpty, isRunning {
            guard let actions = machine?.handle(queue.removeFirst(), at: clock) else { break }
            queue.insert(contentsOf: perform(actions), at: 0)
        }
        isFeeding = false
        guard isRunning else { return }
        arm()
        observe()
    }

    private func observe() {
        guard let machine else { return }
        let reports = machine.reports(at: clock)
        for report in reports {
            let unit = report.properties.unit.text
            var report = report
            if case .bound(let lease) = report.state {
                guard let first = reports.first(where: { $0.properties.unit == lease.unit }) else {
                    world.checker.table(unit, isFree: false, lease: lease.text)
                    continue
                }
                report.state = first.state
            }
            switch report.state {
            case .free: world.checker.table(unit, isFree: machine.isOpen, lease: nil)
            case .resting, .bound: world.checker.table(unit, isFree: false, lease: nil)
            case .confirming(let held), .ending(let held):
                world.checker.table(unit, isFree: false, lease: held.lease.text)
            case .held(let held):
                world.checker.table(
                    unit, isFree: false, lease: held.lease.text, session: Session.id(of: held.terms.ticket.text))
            }
        }
    }

    private func arm() {
        let wakeAt = machine?.wakeAt
        guard wakeAt != armedFor else { return }
        armedFor = wakeAt
        alarm += 1
        guard let wakeAt else { return }
        let alarm = alarm
        at(max(world.now, bootedAt + wakeAt.sinceBoot), .timer) { [self] in
            guard alarm == self.alarm else { return }
            armedFor = nil
            feed(.clockReached)
        }
    }

    /// When a lease of this host ends by time, the earliest; nil for none. True time.
    var nextLapse: Duration? {
        guard let machine else { return nil }
        var next: Duration?
        for report in machine.reports(at: clock) {
            switch report.state {
            case .free, .bound: break
            case .resting, .confirming, .ending: return world.now
            case .held(let held):
                let lapse = world.now + held.remaining
                next = next.map { min($0, lapse) } ?? lapse
            }
        }
        return next
    }

    /// Whether nothing is to be mended between this agent and Redis.
    var isSettled: Bool {
        isRunning && pausedUntil <= world.now && link?.isUp == true && inbox?.isUp == true && machine?.isOpen == true
    }

    private func confirmed(_ lease: LeaseID) {
        for unit in machine?.memory(of: lease.unit)?.known?.lease.units ?? [lease.unit] {
            world.checker.confirmed(unit: unit.text, lease: lease.text, fencing: lease.fencing.value)
        }
    }

    private func perform(_ actions: [AgentMachine.Action]) -> [AgentMachine.Event] {
        var failures: [AgentMachine.Event] = []
        var isWritten: Bool?
        for action in actions {
            switch action {
            case .heartbeat(let session, let isFirst, let reports): heartbeat(session, isFirst: isFirst, reports)
            case .say(let word, let session):
                if case .end(_, .expired) = word { world.counts.expiries += 1 }
                say(word, session)
            case .journalThenSay(let word, let session):
                let written = isWritten ?? writeJournal()
                isWritten = written
                if written || world.has(.unwrittenJournal) {
                    if case .confirm(let lease) = word { confirmed(lease) }
                    say(word, session)
                } else {
                    failures.append(.journalFailed(word))
                }
            case .writeJournal: if isWritten == nil { isWritten = writeJournal() }
            case .reconnect: link?.lose("the agent's word was not answered")
            case .stopProcesses(let lease, _, _):
                at(world.now + world.numbers.duration(.milliseconds(5) ... .seconds(3)), .traffic) { [self] in
                    feed(.processesGone(lease))
                }
            case .tellAsked: break
            case .refused(let other): leave("\(other) speaks for this host")
            case .succeeded: leave("succeeded")
            }
        }
        return failures
    }

    /// The process ends by its own choice, and its service manager starts it again.
    private func leave(_ why: String) {
        world.trace { "\(self.name) leaves: \(why)" }
        crash()
        world.timeline.add(.plan, at: world.now + .seconds(5), .act { [self] in if !isRunning { start() } })
    }

    private func heartbeat(_ session: Int64, isFirst: Bool, _ reports: [UnitReport]) {
        guard let voice, let link else { return }
        let heartbeat = AgentHeartbeat(
            origin: voice.origin(session), ancestors: machine?.ancestors ?? [], isFirst: isFirst, address: "",
            version: "1",
            labels: world.plan.labels(of: host), units: reports)
        link.send("heartbeat", { .agent(await voice.heartbeat(heartbeat)) }, hearing)
    }

    private func say(_ word: AgentMachine.Word, _ session: Int64) {
        guard let voice, let link else { return }
        world.trace { "\(self.name) says \(Words.word(word))" }
        link.send("word", { .agent(await voice.say(word, session: session)) }, hearing)
    }

    private func hearing(_ answer: Errand.Answer) {
        guard case .agent(let event) = answer else { return }
        if case .heartbeatAnswered(_, .succeedsAnother) = event { world.checker.hostForgot(host.text) }
        feed(event)
    }
}
