import JSON
import LeaseModel

/// The journal as text: a line with what an agent remembers and the boot it belongs to, then a line for each change of a
/// unit since, in order. Moments are microseconds since boot.
package struct JournalText {
    static let version: Int64 = 3
    /// Knew no leases of several units: an agent of then takes a journal of now for a lost one, and its units rest.
    private static let versionBefore: Int64 = 2

    /// The first line.
    package static func encode(_ memory: AgentMemory, bootID: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("version", version)
            writer.member("boot", bootID)
            writer.member("instance", memory.instance.text)
            if !memory.ancestors.isEmpty {
                writer.key("ancestors")
                writer.array { writer in
                    for ancestor in memory.ancestors { writer.string(ancestor.text) }
                }
            }
            writer.member("longest_ttl_us", memory.longestTTL.microseconds)
            if let until = memory.restingUntil {
                writer.member("resting_until_us", until.sinceBoot.microseconds)
            }
            writer.member("floor", memory.floor.value)
            writer.key("units")
            writer.array { writer in
                for unit in memory.units { encode(unit, &writer) }
            }
        }
        return writer.bytes + [newline]
    }

    /// The lines of units that have changed.
    static func encode(_ units: [AgentMemory.Unit]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(lineLength * units.count)
        for unit in units {
            var writer = JSONWriter()
            encode(unit, &writer)
            text += writer.bytes
            text.append(newline)
        }
        return text
    }

    private static let newline = UInt8(ascii: "\n")
    /// About, for a unit that has a lease.
    private static let lineLength = 512

    private static func encode(_ unit: AgentMemory.Unit, _ writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("unit", unit.unit.text)
            writer.member("highest", unit.highest.value)
            if let known = unit.known { encode(known, &writer) }
        }
    }

    private static func encode(_ known: AgentMemory.Lease, _ writer: inout JSONWriter) {
        let lease = known.lease
        writer.key("lease")
        writer.object { writer in
            writer.member("id", lease.lease.text)
            switch known.standing {
            case .confirming: writer.member("standing", "confirming")
            case .held: writer.member("standing", "held")
            case .ending(let reason):
                writer.member("standing", "ending")
                writer.member("reason", reason.rawValue)
            }
            if let process = lease.process {
                writer.member("process_group", Int64(process.group))
                writer.member("process_start", Int64(clamping: process.startTicks))
                if process.isAlone { writer.member("process_alone", true) }
                if let keeper = process.keeper {
                    writer.member("keeper", Int64(keeper.process))
                    writer.member("keeper_start", Int64(clamping: keeper.startTicks))
                }
            }
            if let asked = lease.asked {
                writer.key("asked")
                writer.object { writer in
                    writer.member("ticket", asked.preemption.ticket.text)
                    writer.member("holder", asked.preemption.holder.text)
                    writer.member("priority", asked.preemption.priority)
                    writer.member("by", asked.preemption.by)
                    writer.member("deadline_us", asked.deadline.sinceBoot.microseconds)
                }
            }
            if !lease.also.isEmpty {
                writer.key("also")
                writer.array { writer in for unit in lease.also { writer.string(unit.text) } }
            }
            writer.member("token", lease.token.text)
            writer.member("deadline_us", lease.deadline.sinceBoot.microseconds)
            writer.member("holder", lease.terms.holder.text)
            writer.member("caller", lease.terms.caller)
            writer.member("ticket", lease.terms.ticket.text)
            writer.member("coordinator", lease.terms.coordinator.text)
            writer.member("priority", Int64(lease.terms.priority))
            writer.member("selector", lease.terms.selector)
            writer.member("score", lease.terms.score)
            writer.member("ttl_us", lease.terms.ttl.microseconds)
            writer.member("metadata", lease.terms.metadata)
            writer.member("grace_us", lease.terms.grace.microseconds)
        }
    }

    /// Nil where the text is no journal of this version: it counts as lost (design §6).
    ///
    /// A last line without its end was being added when the process died: nothing was said of it, and it does not count.
    package static func decode(_ bytes: [UInt8]) -> (memory: AgentMemory, bootID: String)? {
        var lines = bytes.split(separator: newline, omittingEmptySubsequences: false)
        guard lines.count > 1 else { return nil }
        lines.removeLast()
        guard var decoded = decodeFirst(Array(lines[0])) else { return nil }
        guard lines.count > 1 else { return decoded }
        var units = Dictionary(decoded.memory.units.map { ($0.unit, $0) }) { _, later in later }
        // A lease's line speaks for all its units.
        func raise(_ unit: AgentMemory.Unit) {
            guard let lease = unit.known?.lease else { return }
            for other in lease.also {
                let highest = max(units[other]?.highest ?? decoded.memory.floor, lease.lease.fencing)
                units[other, default: AgentMemory.Unit(unit: other, highest: highest)].highest = highest
            }
        }
        for line in lines.dropFirst() {
            guard let row = try? JSONParser.parse(Array(line)).object, let unit = decodeUnit(row) else { return nil }
            units[unit.unit] = unit
            raise(unit)
        }
        decoded.memory.units = units.values.sorted { $0.unit < $1.unit }
        return decoded
    }

    private static func decodeFirst(_ bytes: [UInt8]) -> (memory: AgentMemory, bootID: String)? {
        guard let root = try? JSONParser.parse(bytes).object, let written = root["version"]?.integer,
            written == version || written == versionBefore, let boot = root["boot"]?.string,
            let instance = root["instance"]?.string,
            let longest = root["longest_ttl_us"]?.integer, let rows = root["units"]?.array
        else { return nil }
        var units: [AgentMemory.Unit] = []
        for row in rows {
            guard let unit = row.object.flatMap(decodeUnit) else { return nil }
            units.append(unit)
        }
        var memory = AgentMemory(
            instance: InstanceID(instance),
            ancestors: (root["ancestors"]?.array ?? []).compactMap { $0.string.map { InstanceID($0) } }, units: units,
            longestTTL: .microseconds(longest),
            floor: FencingToken(root["floor"]?.integer ?? 0))
        if let value = root["resting_until_us"] {
            guard let until = value.integer else { return nil }
            memory.restingUntil = BootInstant(sinceBoot: .microseconds(until))
        }
        return (memory, boot)
    }

    private static func decodeUnit(_ row: JSONObject) -> AgentMemory.Unit? {
        guard let unit = row["unit"]?.string.flatMap({ try? UnitID($0) }), let highest = row["highest"]?.integer else {
            return nil
        }
        var known: AgentMemory.Lease?
        if let value = row["lease"] {
            guard let object = value.object, let decoded = decode(object), decoded.lease.lease.unit == unit else {
                return nil
            }
            known = decoded
        }
        return AgentMemory.Unit(unit: unit, highest: FencingToken(highest), known: known)
    }

    private static func decode(_ object: JSONObject) -> AgentMemory.Lease? {
        func text(_ name: String) -> String? { object[name]?.string }
        guard let lease = text("id").flatMap({ try? LeaseID($0) }), let token = text("token"),
            let deadline = object["deadline_us"]?.integer, let holder = text("holder").flatMap({ try? HolderID($0) }),
            let caller = text("caller"), let ticket = text("ticket"), let coordinator = text("coordinator"),
            let priority = object["priority"]?.integer, let selector = text("selector"),
            let score = object["score"]?.integer, let ttl = object["ttl_us"]?.integer, let metadata = text("metadata")
        else { return nil }
        var also: [UnitID] = []
        for name in object["also"]?.array ?? [] {
            guard let other = name.string.flatMap({ try? UnitID($0) }) else { return nil }
            also.append(other)
        }
        let own = OwnLease(
            lease: lease, token: TokenHash(token),
            terms: LeaseTerms(
                holder: holder, caller: caller, ticket: TicketID(ticket), coordinator: InstanceID(coordinator),
                priority: Int(priority), selector: selector, score: score, ttl: .microseconds(ttl), metadata: metadata,
                grace: object["grace_us"]?.integer.map { .microseconds($0) } ?? Limits.standardGrace),
            deadline: BootInstant(sinceBoot: .microseconds(deadline)), process: process(object),
            asked: object["asked"]?.object.flatMap(asked), also: also)
        switch text("standing") {
        case "confirming": return AgentMemory.Lease(lease: own, standing: .confirming)
        case "held": return AgentMemory.Lease(lease: own, standing: .held)
        case "ending":
            guard let reason = text("reason").flatMap(EndReason.init(rawValue:)) else { return nil }
            return AgentMemory.Lease(lease: own, standing: .ending(reason))
        default: return nil
        }
    }

    private static func asked(_ object: JSONObject) -> OwnLease.Asked? {
        guard let ticket = object["ticket"]?.string, let holder = object["holder"]?.string,
            let name = try? HolderID(holder), let priority = object["priority"]?.integer,
            let by = object["by"]?.string, let deadline = object["deadline_us"]?.integer
        else { return nil }
        return OwnLease.Asked(
            Preemption(ticket: TicketID(ticket), holder: name, priority: Int(priority), by: by),
            deadline: BootInstant(sinceBoot: .microseconds(deadline)))
    }

    private static func process(_ object: JSONObject) -> LeaseProcess? {
        guard let group = object["process_group"]?.integer.flatMap({ Int32(exactly: $0) }),
            let start = object["process_start"]?.integer, start >= 0
        else { return nil }
        var keeper: LeaseProcess.Keeper?
        if let process = object["keeper"]?.integer.flatMap({ Int32(exactly: $0) }),
            let start = object["keeper_start"]?.integer, start >= 0
        {
            keeper = LeaseProcess.Keeper(process: process, startTicks: UInt64(start))
        }
        return LeaseProcess(
            group: group, startTicks: UInt64(start), keeper: keeper,
            isAlone: object["process_alone"]?.bool ?? false)
    }
}
