import LeaseModel
import RedisClient

/// Messages as they travel (docs/protocol.md §3): fields apart by 0x1F, messages by 0x1E. What is not understood is left
/// out: the next heartbeat tells it again.
package enum Inbox {
    /// An agent's mail, or nil where the bytes are none.
    package static func agentMail(_ bytes: [UInt8]) -> AgentMail? {
        let records = split(bytes)
        guard let first = records.first, first.count == 1, let session = Int64(first[0]) else { return nil }
        return AgentMail(session: session, messages: records.dropFirst().compactMap(agentMessage))
    }

    /// Mail that came back in a script's answer; it needs no session.
    static func ownMail(_ bytes: [UInt8]) -> [AgentMessage] { split(bytes).compactMap(agentMessage) }

    package static func coordinatorMessages(_ bytes: [UInt8]) -> [CoordinatorMessage] {
        split(bytes).compactMap(coordinatorMessage)
    }

    /// An entry of the event stream, or nil where its type is of a later version.
    package static func event(_ entry: RedisStreamEntry) -> PoolEvent? {
        event(id: entry.id, EventFields(words: entry.words))
    }

    static func event(id: String, _ fields: EventFields) -> PoolEvent? {
        guard let event = fields.event, let kind = PoolEvent.Kind(rawValue: event.type) else { return nil }
        return PoolEvent(id: id, kind: kind, at: event.at, fields: event.fields)
    }

    /// Names of units with spaces between; nil where one is none.
    static func units(_ text: String) -> [UnitID]? {
        var units: [UnitID] = []
        for name in text.split(separator: " ") {
            guard let unit = try? UnitID(String(name)) else { return nil }
            units.append(unit)
        }
        return units
    }

    /// The units that a lease spans beside its first: one more field behind so many, which messages about other leases have
    /// not. Nil for any other number of fields.
    private static func also(_ fields: [String], behind count: Int) -> [UnitID]? {
        if fields.count == count { return [] }
        return fields.count == count + 1 ? units(fields[count]) : nil
    }

    /// In one pass: what `split` does for any collection costs several times as much.
    private static func split(_ bytes: [UInt8]) -> [[String]] {
        var records: [[String]] = []
        var fields: [String] = []
        var start = 0
        func endField(at end: Int) {
            if fields.isEmpty { fields.reserveCapacity(mostFields) }
            fields.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end + 1
        }
        func endRecord(at end: Int) {
            endField(at: end)
            if fields != [""] { records.append(fields) }
            fields = []
        }
        for index in bytes.indices {
            switch bytes[index] {
            case 0x1F: endField(at: index)
            case 0x1E: endRecord(at: index)
            default: break
            }
        }
        endRecord(at: bytes.count)
        return records
    }

    /// An offer's, of a lease of several units.
    private static let mostFields = 7 + LeaseTerms.fieldCount

    private static func agentMessage(_ fields: [String]) -> AgentMessage? {
        guard let word = fields.first else { return nil }
        switch word {
        case "offer":
            // An agent that does not know leases of several units takes no such offer.
            let end = 6 + LeaseTerms.fieldCount
            guard let also = also(fields, behind: end), let lease = try? LeaseID(fields[1]),
                let terms = LeaseTerms(fields: fields[6..<end])
            else { return nil }
            // Most offers follow no release, and why a text is no lease costs more than all fields of one.
            let released = fields[4].isEmpty ? nil : try? LeaseID(fields[4])
            let after = released.map { ReleasedLease(lease: $0, token: TokenHash(fields[5])) }
            return .offer(
                Offer(
                    lease: lease, token: TokenHash(fields[2]), terms: terms, beat: Int64(fields[3]), after: after,
                    also: also))
        case "end":
            guard fields.count == 4, let lease = try? LeaseID(fields[1]), let reason = EndReason(rawValue: fields[3])
            else { return nil }
            return .end(lease, TokenHash(fields[2]), reason)
        case "revoke":
            guard fields.count == 5, let lease = try? LeaseID(fields[1]), let reason = EndReason(rawValue: fields[2])
            else { return nil }
            return .revoke(lease, reason, by: fields[3], why: fields[4])
        case "renew":
            guard fields.count == 6, let lease = try? LeaseID(fields[1]) else { return nil }
            return .renew(
                lease, token: TokenHash(fields[2]), newToken: fields[3].isEmpty ? nil : TokenHash(fields[3]),
                nonce: fields[4], coordinator: InstanceID(fields[5]))
        case "preempt":
            guard fields.count == 6, let lease = try? LeaseID(fields[1]), let holder = try? HolderID(fields[3]),
                let priority = Int(fields[4])
            else { return nil }
            return .preempt(
                lease, Preemption(ticket: TicketID(fields[2]), holder: holder, priority: priority, by: fields[5]))
        case "spare":
            guard fields.count == 3, let lease = try? LeaseID(fields[1]) else { return nil }
            return .spare(lease, TicketID(fields[2]))
        case "speak": return .speak
        case "confirmed":
            guard fields.count == 2, let lease = try? LeaseID(fields[1]) else { return nil }
            return .confirmed(lease)
        default: return nil
        }
    }

    private static func coordinatorMessage(_ fields: [String]) -> CoordinatorMessage? {
        guard let word = fields.first else { return nil }
        switch word {
        case "granted":
            guard let also = also(fields, behind: 6), let lease = try? LeaseID(fields[2]), let ttl = Int64(fields[4])
            else { return nil }
            return .granted(
                Grant(
                    ticket: TicketID(fields[1]), lease: lease, token: TokenHash(fields[3]), ttl: .milliseconds(ttl),
                    beat: Int64(fields[5]), also: also))
        case "held":
            guard fields.count == 3, let lease = try? LeaseID(fields[2]) else { return nil }
            return .held(TicketID(fields[1]), lease)
        case "renewed":
            guard let also = also(fields, behind: 4), let lease = try? LeaseID(fields[1]), let ttl = Int64(fields[3])
            else { return nil }
            return .renewed(lease, nonce: fields[2], ttl: .milliseconds(ttl), also: also)
        case "renewal-refused":
            guard fields.count == 4, let lease = try? LeaseID(fields[1]), let reason = EndReason(rawValue: fields[3])
            else { return nil }
            return .renewalRefused(lease, nonce: fields[2], reason)
        case "refused":
            guard fields.count == 4 else { return nil }
            return .refused(TicketID(fields[1]), by: fields[2], why: fields[3])
        case "moved":
            guard fields.count == 2 else { return nil }
            return .moved(TicketID(fields[1]))
        default: return nil
        }
    }
}
