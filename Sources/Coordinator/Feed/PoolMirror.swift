import JSON
import LeaseModel
import LeaseStore

/// A coordinator's own copy of the pool: read once, then kept current by the event stream (design §8). A value without
/// clocks or I/O; what it says may be as old as the last event.
struct PoolMirror {
    /// A request that waits.
    struct Waiter: Hashable, Sendable {
        var ticket: TicketID
        var holder: String
        var caller: String
        var coordinator: InstanceID
        var priority: Int
        var selector: String
        var score: Int64
        /// Pool clock, ms.
        var since: Int64
    }

    /// A lease as it is shown. Times are of the pool clock, in ms.
    struct Lease: Hashable, Sendable {
        var lease: LeaseID
        var holder: String
        var caller: String
        var ticket: TicketID
        var priority: Int
        var ttl: Int64
        var state: LeaseRecord.State
        var granted: Int64?
        var expires: Int64?
        var metadata: String
        /// Who wants its unit, where its holder is asked to give it back.
        var preemption: PreemptionRecord?
        /// The units that it spans beside the one that it is named by.
        var also: [UnitID] = []

        /// All units of the lease.
        var units: [UnitID] { [lease.unit] + also }
    }

    private(set) var hosts: [HostID: HostRecord] = [:]
    private(set) var units: [UnitID: UnitRecord] = [:]
    private(set) var leases: [LeaseID: Lease] = [:]
    private var leaseOfTicket: [TicketID: LeaseID] = [:]
    private(set) var waiters: [TicketID: Waiter] = [:] {
        didSet {
            order = nil
            places = [:]
        }
    }
    private(set) var holds = HoldTimes()
    /// Rises with every change, so that what was rendered from an older copy is known to be old.
    private(set) var version: UInt64 = 0
    /// Waiters in the order of service, made when first asked for after a change.
    private var order: [Waiter]?
    /// Where the waiters of a selector stand, made like `order`: a crowd that times out together asks for all of them.
    private var places: [String: [TicketID: Int]] = [:]
    /// Units in the order of their names, and of hosts: they change only by a snapshot.
    private(set) var unitOrder: [UnitID] = []
    private(set) var hostOrder: [HostID] = []
    /// What status says of each unit whatever happens to it, as JSON before and behind what changes; made once a snapshot.
    private(set) var unitTexts: [UnitID: (head: [UInt8], tail: [UInt8])] = [:]
    /// Each unit as status says it; made when first asked for after a change of its own.
    private(set) var unitBodies: [UnitID: [UInt8]] = [:]
    /// All of them with commas between; nil after a change of one.
    private(set) var unitList: [UInt8]?
    /// Each lease as status says it. One whose unit somebody wants is not among them.
    private(set) var leaseBodies: [LeaseID: LeaseBody] = [:]
    /// Whether a lease may have changed since they were made.
    private var areLeasesStale = true
    /// Leases in the order of their names, made like `order`.
    private(set) var leaseOrder: [LeaseID]?
    /// The variables that lead to a unit's device, made when first asked for after a snapshot.
    private var environments: [UnitID: [(String, String)]] = [:]
    private var lastGlance: (version: UInt64, glance: Glance)?

    /// A lease as JSON before and behind the times that run, which are of the pool clock, in ms.
    struct LeaseBody {
        var head: [UInt8]
        var granted: Int64?
        var expires: Int64?
        var tail: [UInt8]
    }

    /// What the original bridge's clients look at first.
    struct Glance {
        /// No GPU in scope is free.
        var isLocked: Bool
        /// The holder of the oldest lease on a GPU in scope.
        var owner: String?
    }
    private var aging: Aging

    init(aging: Aging = .standard) { self.aging = aging }

    /// What the pool needs to be read anew after.
    static func changesHosts(_ kind: PoolEvent.Kind) -> Bool {
        switch kind {
        case .registered, .hostBack, .hostLost, .hostLeft, .cordoned, .uncordoned, .draining, .drainOver: true
        case .queued, .requeued, .offered, .granted, .restored, .renewed, .released, .expired, .revoked, .reset,
            .cancelled, .lost, .duplicate, .withdrawn, .rejected, .lapsed, .forceReleased, .ending, .timeout, .refused,
            .dropped, .unitState, .preempting, .spared, .preempted:
            false
        }
    }

    // MARK: Reading

    /// Waiters in the order in which they will be served where they compete for the same units.
    mutating func queue() -> [Waiter] {
        if let order { return order }
        let sorted = waiters.values.sorted { ($0.score, $0.ticket.text) < ($1.score, $1.ticket.text) }
        order = sorted
        return sorted
    }

    /// Where a waiting request stands among those that compete with it, from 1; nil where it does not wait.
    mutating func position(of ticket: TicketID) -> Int? {
        guard let waiter = waiters[ticket] else { return nil }
        if let known = places[waiter.selector] { return known[ticket] }
        var made: [TicketID: Int] = [:]
        for (index, other) in rivals(of: waiter).enumerated() where other.selector == waiter.selector {
            made[other.ticket] = index + 1
        }
        places[waiter.selector] = made
        return made[ticket]
    }

    /// Where a request of which no event has told yet stands, from 1.
    mutating func position(of selector: Selector, score: Int64) -> Int {
        1 + rivals(for: selector).count { $0.score < score }
    }

    /// Those that compete for its units in the order of service, itself among them.
    mutating func rivals(of waiter: Waiter) -> [Waiter] {
        guard let wish = Selector(parsing: waiter.selector) else { return [waiter] }
        return rivals(for: wish)
    }

    private mutating func rivals(for wish: Selector) -> [Waiter] {
        var competing: [String: Bool] = [:]
        return queue().filter { other in
            if let known = competing[other.selector] { return known }
            let competes = Selector(parsing: other.selector)?.competes(with: wish) ?? false
            competing[other.selector] = competes
            return competes
        }
    }

    /// Whether a unit's host is cordoned: it is offered to nobody, also when it is free.
    func isCordoned(_ unit: UnitRecord) -> Bool { hosts[unit.properties.unit.host]?.isCordoned ?? false }

    /// Looks through the pool once after each change. Always for the same scope.
    mutating func glance(_ scope: Scope) -> Glance {
        if let lastGlance, lastGlance.version == version { return lastGlance.glance }
        let isFree = unitOrder.contains { id in
            guard let unit = units[id], unit.state == .free, unit.properties.kind == .gpu else { return false }
            return scope.covers(id) && !isCordoned(unit)
        }
        var oldest: Lease?
        for lease in leases.values where lease.state != .offered && scope.covers(lease.lease.unit) {
            guard units[lease.lease.unit]?.properties.kind != .modelLoad else { continue }
            if let known = oldest, (known.granted ?? 0, known.lease) < (lease.granted ?? 0, lease.lease) { continue }
            oldest = lease
        }
        let glance = Glance(isLocked: !isFree, owner: oldest?.holder)
        lastGlance = (version, glance)
        return glance
    }

    private static func texts(of unit: UnitProperties) -> (head: [UInt8], tail: [UInt8]) {
        var head = JSONWriter()
        head.object { writer in
            writer.member("unit", unit.unit.text)
            writer.member("host", unit.unit.host.text)
            writer.member("kind", unit.kind.rawValue)
        }
        guard unit.kind == .gpu else { return (Array(head.bytes.dropLast()), Array("}".utf8)) }
        let details = try? JSONParser.parse(Array(unit.details.utf8)).object
        var tail = JSONWriter()
        tail.object { writer in
            writer.member("type", unit.deviceType)
            writer.member("vram_mb", unit.memoryMB)
            for name in ["name", "driver", "driver_version", "pci", "uuid"] {
                writer.member(name, details?[name]?.string)
            }
            writer.member("simulated", details?["simulated"]?.bool ?? false)
        }
        return (Array(head.bytes.dropLast()), Array(",".utf8) + tail.bytes.dropFirst())
    }

    /// Makes what of the full status is missing since the last call.
    mutating func renderStatus() {
        if unitList == nil {
            // Made first and stored then, so that nothing is copied while the copy of the pool is read.
            let made = unitOrder.filter { unitBodies[$0] == nil }.map { ($0, StatusReply.text(of: $0, in: self)) }
            for (id, text) in made { unitBodies[id] = text }
            var list: [UInt8] = []
            for id in unitOrder {
                guard let text = unitBodies[id] else { continue }
                if !list.isEmpty { list.append(UInt8(ascii: ",")) }
                list += text
            }
            unitList = list
        }
        guard areLeasesStale else { return }
        areLeasesStale = false
        if leaseOrder == nil { leaseOrder = leases.keys.sorted() }
        for (id, lease) in leases where leaseBodies[id] == nil && lease.preemption == nil {
            leaseBodies[id] = StatusReply.body(of: lease)
        }
    }

    /// Has `renderStatus` make all anew.
    mutating func forgetRendered() {
        unitBodies = [:]
        unitList = nil
        leaseBodies = [:]
        leaseOrder = nil
        areLeasesStale = true
    }

    /// What leads a program to these units' devices; empty where one of them is not known.
    mutating func environment(of units: [UnitID]) -> [(String, String)] {
        DeviceEnvironment.joined(units.map { environment(of: $0) })
    }

    private mutating func environment(of unit: UnitID) -> [(String, String)] {
        if let known = environments[unit] { return known }
        guard let details = units[unit]?.properties.details else { return [] }
        let variables = DeviceEnvironment.variables(details: details)
        environments[unit] = variables
        return variables
    }

    /// The most units of one host that this selector takes; nil where it names a host that is not known.
    func widest(_ selector: Selector) -> Int? {
        if case .host(let host) = selector.scope, hosts[host] == nil { return nil }
        var counts: [HostID: Int] = [:]
        for unit in units.values {
            let host = unit.properties.unit.host
            if selector.admits(unit.properties, labels: hosts[host]?.labels ?? [:]) { counts[host, default: 0] += 1 }
        }
        return counts.values.max() ?? 0
    }

    func lease(on unit: UnitID) -> Lease? { units[unit]?.lease.flatMap { leases[$0] } }

    func lease(of ticket: TicketID) -> Lease? { leaseOfTicket[ticket].flatMap { leases[$0] } }

    // MARK: Changing

    mutating func take(_ snapshot: PoolSnapshot) {
        hosts = Dictionary(snapshot.hosts.map { ($0.host, $0) }) { first, _ in first }
        units = Dictionary(snapshot.units.map { ($0.properties.unit, $0) }) { first, _ in first }
        leases = Dictionary(snapshot.leases.map { ($0.lease, Lease($0)) }) { first, _ in first }
        waiters = Dictionary(
            snapshot.waiters.map { terms in
                let since = (terms.score - Int64(terms.priority) * aging.microsecondsPerPoint) / 1000
                return (terms.ticket, Waiter(terms, since: since))
            }
        ) { first, _ in first }
        leaseOfTicket = Dictionary(leases.values.map { ($0.ticket, $0.lease) }) { first, _ in first }
        hostOrder = hosts.keys.sorted()
        unitOrder = units.keys.sorted(by: Self.isShownBefore)
        unitTexts = units.mapValues { Self.texts(of: $0.properties) }
        forgetRendered()
        environments = [:]
        changed()
    }

    /// `node1/2` before `node1/10`.
    private static func isShownBefore(_ a: UnitID, _ b: UnitID) -> Bool {
        guard a.host == b.host else { return a.host < b.host }
        let (first, second) = (a.text.utf8.count, b.text.utf8.count)
        let areNumbers = Int(a.name) != nil && Int(b.name) != nil
        return areNumbers && first != second ? first < second : a.text < b.text
    }

    /// Returns the lease that is over by this event.
    @discardableResult
    mutating func apply(_ event: PoolEvent) -> LeaseID? {
        var ended: LeaseID?
        let lease = event.lease
        if let lease { forgetBody(of: lease) } else if let unit = event.unit { forgetBody(of: unit) }
        switch event.kind {
        case .queued, .requeued: queued(event)
        case .offered:
            waitsNoLonger(event)
            if let lease { begin(Lease(event, lease, state: .offered), on: .offered) }
        case .granted, .restored:
            guard let lease else { break }
            waitsNoLonger(event)
            let isEnding = event.fields["state"] == "ending"
            begin(Lease(event, lease, state: isEnding ? .ending : .held), on: isEnding ? .ending : .held)
        case .renewed: if let lease, let expires = event.number("expires") { leases[lease]?.expires = expires }
        case .ending:
            guard let lease else { break }
            leases[lease]?.state = .ending
            for unit in [lease.unit] + (event.also ?? leases[lease]?.also ?? []) {
                change(unit, of: lease, to: .ending, keeping: lease)
            }
        case .preempting: if let lease { leases[lease]?.preemption = PreemptionRecord(event) }
        case .spared: if let lease { leases[lease]?.preemption = nil }
        case .cancelled, .released, .expired, .revoked, .reset, .preempted, .forceReleased, .lost, .duplicate,
            .withdrawn,
            .rejected,
            .lapsed:
            if let lease { over(lease, event) } else { waitsNoLonger(event) }
            ended = lease
        case .timeout, .refused, .dropped: waitsNoLonger(event)
        case .unitState:
            if let unit = event.unit, let state = event.unitState { units[unit]?.become(state, nil) }
        case .registered, .hostBack, .hostLost, .hostLeft, .cordoned, .uncordoned, .draining, .drainOver: return nil
        }
        changed()
        return ended
    }

    private mutating func changed() { version += 1 }

    /// What is told of a lease is rendered anew.
    private mutating func forgetBody(of lease: LeaseID) {
        areLeasesStale = true
        if !leaseBodies.isEmpty { leaseBodies[lease] = nil }
    }

    private mutating func forgetBody(of unit: UnitID) {
        unitList = nil
        if !unitBodies.isEmpty { unitBodies[unit] = nil }
    }

    private mutating func queued(_ event: PoolEvent) {
        guard let ticket = event.ticket else { return }
        waiters[ticket] = Waiter(
            ticket: ticket, holder: event.text("holder"), caller: event.text("caller"),
            coordinator: InstanceID(event.text("coordinator")), priority: Int(event.number("priority") ?? 0),
            selector: event.text("selector"), score: event.number("score") ?? 0,
            since: ((event.number("score") ?? 0) - (event.number("priority") ?? 0) * aging.microsecondsPerPoint) / 1000)
    }

    private mutating func waitsNoLonger(_ event: PoolEvent) {
        // Looked up first: the order of those that wait is made anew after each change.
        guard !waiters.isEmpty, let ticket = event.ticket, waiters[ticket] != nil else { return }
        waiters[ticket] = nil
    }

    /// A lease is known from now on, and its units are its.
    private mutating func begin(_ lease: Lease, on state: UnitRecord.State) {
        if leases.updateValue(lease, forKey: lease.lease) == nil {
            leaseOrder = nil
            leaseOfTicket[lease.ticket] = lease.lease
        }
        take(lease.lease.unit, lease.lease, state)
        for unit in lease.also { take(unit, lease.lease, state) }
    }

    private mutating func take(_ unit: UnitID, _ lease: LeaseID, _ state: UnitRecord.State) {
        units[unit]?.become(state, lease)
        forgetBody(of: unit)
    }

    private mutating func over(_ lease: LeaseID, _ event: PoolEvent) {
        let old = leases.removeValue(forKey: lease)
        if let old {
            leaseOrder = nil
            if leaseOfTicket[old.ticket] == lease { leaseOfTicket[old.ticket] = nil }
            if old.state != .offered, let granted = old.granted { holds.note(old.priority, max(0, event.at - granted)) }
        }
        let state = event.unitState ?? .unheard
        change(lease.unit, of: lease, to: state, keeping: nil)
        for unit in event.also ?? old?.also ?? [] { change(unit, of: lease, to: state, keeping: nil) }
    }

    /// What a lease says of a unit, unless another lease has it by now.
    private mutating func change(
        _ unit: UnitID, of lease: LeaseID, to state: UnitRecord.State, keeping kept: LeaseID?
    ) {
        units[unit]?.change(of: lease, to: state, keeping: kept)
        forgetBody(of: unit)
    }
}

extension UnitRecord {
    fileprivate mutating func become(_ state: State, _ lease: LeaseID?) {
        self.state = state
        self.lease = lease
    }

    fileprivate mutating func change(of lease: LeaseID, to state: State, keeping kept: LeaseID?) {
        if self.lease == lease { become(state, kept) }
    }
}

extension PoolMirror.Waiter {
    init(_ terms: LeaseTerms, since: Int64) {
        self.init(
            ticket: terms.ticket, holder: terms.holder.text, caller: terms.caller, coordinator: terms.coordinator,
            priority: terms.priority, selector: terms.selector, score: terms.score, since: since)
    }

    /// Which units it would take, without the conditions: waiters of different kinds never compete.
    var kind: Substring { selector.prefix { $0 != "/" } }

    /// How many units it takes.
    var width: Int { Selector(parsing: selector)?.count ?? 1 }
}

extension PoolMirror.Lease {
    init(_ record: LeaseRecord) {
        self.init(
            lease: record.lease, holder: record.terms.holder.text, caller: record.terms.caller,
            ticket: record.terms.ticket, priority: record.terms.priority, ttl: record.terms.ttl.milliseconds,
            state: record.state, granted: record.granted?.milliseconds, expires: record.expires?.milliseconds,
            metadata: record.terms.metadata, preemption: record.preemption, also: record.also)
    }

    init(_ event: PoolEvent, _ lease: LeaseID, state: LeaseRecord.State) {
        let expires = event.number("expires")
        let ttl = event.number("ttl") ?? 0
        self.init(
            lease: lease, holder: event.text("holder"), caller: event.text("caller"),
            ticket: TicketID(event.text("ticket")), priority: Int(event.number("priority") ?? 0), ttl: ttl,
            state: state, granted: expires.map { $0 - ttl }, expires: expires, metadata: event.text("metadata"),
            also: event.also ?? [])
    }
}

extension PreemptionRecord {
    fileprivate init?(_ event: PoolEvent) {
        guard let ticket = event.fields["waiter"], let priority = event.number("priority"),
            let grace = event.number("grace")
        else { return nil }
        self.init(
            ticket: TicketID(ticket), holder: event.text("for"), priority: Int(priority),
            since: PoolInstant(milliseconds: event.at), grace: .milliseconds(grace))
    }
}

extension PoolEvent {
    func text(_ name: String) -> String { fields[name] ?? "" }
    func number(_ name: String) -> Int64? { fields.number(name) }
    var lease: LeaseID? { fields["lease"].flatMap { try? LeaseID($0) } }
    /// The units that the lease spans beside its first, where the event tells of some.
    var also: [UnitID]? { fields["also"]?.split(separator: " ").compactMap { try? UnitID(String($0)) } }
    var unit: UnitID? { fields["unit"].flatMap { try? UnitID($0) } }
    var ticket: TicketID? { fields["ticket"].flatMap { $0.isEmpty ? nil : TicketID($0) } }
    var unitState: UnitRecord.State? { fields["state"].flatMap { UnitRecord.State(rawValue: $0) } }
}

extension UnitID {
    /// The part behind the host: `0`, or `model-load`.
    var name: Substring { text[text.index(text.startIndex, offsetBy: host.text.count + 1)...] }
}
