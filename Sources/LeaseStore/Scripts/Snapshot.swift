import LeaseModel
import RedisClient

/// A host as the record has it.
package struct HostRecord: Hashable, Sendable {
    package var host: HostID
    package var instance: InstanceID
    package var address: String
    package var version: String
    package var labels: [String: String]
    package var isPresent: Bool
    package var isCordoned: Bool
    package var units: [UnitID]
    /// Its holders may finish, and nobody new is let in.
    package var isDraining = false
    /// When what still stands on it is revoked, by the pool clock and for show: nil where nothing is, or it has been.
    package var drainEnds: PoolInstant?
}

/// A unit as the record has it.
package struct UnitRecord: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        case free, offered, held, ending, resting
        /// Held back for a request that takes several units and does not have all of them yet.
        case reserved
        /// Its agent has not spoken since something went wrong; offered to nobody.
        case unheard
    }

    package var properties: UnitProperties
    package var state: State
    package var lease: LeaseID?

    package init(properties: UnitProperties, state: State, lease: LeaseID?) {
        self.properties = properties
        self.state = state
        self.lease = lease
    }
}

/// A lease as the record has it. Times are of the pool clock, for show.
package struct LeaseRecord: Hashable, Sendable {
    package enum State: String, Hashable, Sendable { case offered, held, ending }

    package var lease: LeaseID
    package var terms: LeaseTerms
    package var state: State
    package var granted: PoolInstant?
    package var expires: PoolInstant?
    package var preemption: PreemptionRecord?
    /// The units that it spans beside the one that it is named by.
    package var also: [UnitID]

    package init(
        lease: LeaseID, terms: LeaseTerms, state: State, granted: PoolInstant?, expires: PoolInstant?,
        preemption: PreemptionRecord? = nil, also: [UnitID] = []
    ) {
        self.lease = lease
        self.terms = terms
        self.state = state
        self.granted = granted
        self.expires = expires
        self.preemption = preemption
        self.also = also
    }
}

/// Who wants the unit of a lease that is asked to be given back, and since when.
package struct PreemptionRecord: Hashable, Sendable {
    package var ticket: TicketID
    package var holder: String
    package var priority: Int
    package var since: PoolInstant
    /// How long its holder has from then on.
    package var grace: Duration

    package init(ticket: TicketID, holder: String, priority: Int, since: PoolInstant, grace: Duration) {
        self.ticket = ticket
        self.holder = holder
        self.priority = priority
        self.since = since
        self.grace = grace
    }

    /// Reads what Preempt.lua writes.
    init?(_ text: String) {
        let fields = text.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 5, let priority = Int(fields[2]), let since = Int64(fields[3]),
            let grace = Int64(fields[4])
        else { return nil }
        self.init(
            ticket: TicketID(fields[0]), holder: fields[1], priority: priority, since: PoolInstant(milliseconds: since),
            grace: .milliseconds(grace))
    }
}

/// The whole pool at about one moment: apply all events after `lastEvent` to it.
package struct PoolSnapshot: Equatable, Sendable {
    package var lastEvent: String
    package var at: PoolInstant
    package var hosts: [HostRecord]
    package var units: [UnitRecord]
    package var leases: [LeaseRecord]
    /// Waiting tickets, in no order.
    package var waiters: [LeaseTerms]
}

extension LeaseStore {
    /// Reads hosts, units, leases and waiters: at start and after a change of hosts, never on the hot path.
    package func snapshot() async throws(StoreError) -> PoolSnapshot {
        let answer = try await run(ScriptLibrary.snapshot, [])
        guard answer.items.count == 6 else { throw answer.notUnderstood }
        var waiters: [LeaseTerms] = []
        let tickets = answer.texts(5)
        for start in stride(from: 0, to: tickets.count, by: Self.ticketPage) {
            let page = tickets[start..<min(start + Self.ticketPage, tickets.count)]
            let rows = try await run(ScriptLibrary.tickets, page.map { .text($0) }).items.map(\.text)
            waiters += Self.rows(rows, of: 10).compactMap { row in
                let row = Array(row)
                return LeaseTerms(fields: [
                    row[1], row[2], row[0], row[3], row[4], row[5], row[6], row[7], row[8], row[9],
                ])
            }
        }
        return PoolSnapshot(
            lastEvent: answer.text(0), at: PoolInstant(milliseconds: answer.integer(1)),
            hosts: Self.rows(answer.texts(2), of: 10).compactMap { Self.host($0, at: answer.integer(1)) },
            units: Self.rows(answer.texts(3), of: 9).compactMap(Self.unit),
            leases: Self.rows(answer.texts(4), of: 16).compactMap(Self.lease), waiters: waiters)
    }

    private static let ticketPage = 500

    private static func rows(_ texts: [String], of count: Int) -> [ArraySlice<String>] {
        stride(from: 0, to: texts.count - count + 1, by: count).map { texts[$0..<$0 + count] }
    }

    /// - Parameter now: The pool clock in ms when it was read.
    private static func host(_ row: ArraySlice<String>, at now: Int64) -> HostRecord? {
        let row = Array(row)
        guard let host = try? HostID(row[0]) else { return nil }
        var labels: [String: String] = [:]
        for label in row[4].split(separator: ",") {
            let parts = label.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { labels[String(parts[0])] = String(parts[1]) }
        }
        return HostRecord(
            host: host, instance: InstanceID(row[1]), address: row[2], version: row[3], labels: labels,
            isPresent: row[5] == "1", isCordoned: row[6] == "1",
            units: row[7].split(separator: " ").compactMap { try? UnitID(String($0)) }, isDraining: !row[8].isEmpty,
            drainEnds: Int64(row[9]).map { PoolInstant(milliseconds: now + $0) })
    }

    private static func unit(_ row: ArraySlice<String>) -> UnitRecord? {
        let row = Array(row)
        guard let unit = try? UnitID(row[0]), let kind = UnitKind(rawValue: row[2]) else { return nil }
        return UnitRecord(
            properties: UnitProperties(
                unit: unit, kind: kind, memoryMB: Int(row[3]) ?? 0, deviceType: row[4], details: row[5]),
            state: UnitRecord.State(rawValue: row[7]) ?? .unheard, lease: try? LeaseID(row[8]))
    }

    private static func lease(_ row: ArraySlice<String>) -> LeaseRecord? {
        let row = Array(row)
        guard let lease = try? LeaseID(row[0]), let terms = LeaseTerms(fields: row[1...10]),
            let state = LeaseRecord.State(rawValue: row[11])
        else { return nil }
        return LeaseRecord(
            lease: lease, terms: terms, state: state,
            granted: Int64(row[12]).map { PoolInstant(milliseconds: $0) },
            expires: Int64(row[13]).map { PoolInstant(milliseconds: $0) }, preemption: PreemptionRecord(row[14]),
            also: Inbox.units(row[15]) ?? [])
    }
}
