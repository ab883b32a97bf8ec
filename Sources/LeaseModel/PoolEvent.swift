/// One entry of the pool's event stream: what happened, to what, by whom and why.
package struct PoolEvent: Hashable, Sendable {
    /// The words of the stream. Each says what it does to units, leases and waiters (docs/protocol.md §6).
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case registered, queued, requeued, offered, granted, restored, renewed
        case released, expired, revoked, reset, cancelled, lost, duplicate, withdrawn, rejected, lapsed
        case forceReleased = "force-released"
        case preempting, spared, preempted
        case ending, timeout, refused, dropped, cordoned, uncordoned, draining
        case drainOver = "drain-over"
        case unitState = "unit-state"
        case hostLost = "host-lost"
        case hostBack = "host-back"
        case hostLeft = "host-left"
    }

    /// The stream's own id, `milliseconds-sequence`.
    package var id: String
    package var kind: Kind
    /// Pool clock, in milliseconds.
    package var at: Int64
    /// The other fields by name: unit, lease, holder, ticket, selector, priority, score, state, by, why, …
    package var fields: EventFields

    package init(id: String, kind: Kind, at: Int64, fields: EventFields) {
        self.id = id
        self.kind = kind
        self.at = at
        self.fields = fields
    }

    package init(id: String, kind: Kind, at: Int64, fields: [String: String]) {
        self.init(id: id, kind: kind, at: at, fields: EventFields(fields))
    }
}

/// The fields of an event in the order in which it has them: some dozen, of which a few are looked at.
package struct EventFields: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var all: [Field]

    package init(_ all: [Field]) { self.all = all }

    package init(_ fields: [String: String]) {
        all = fields.sorted { $0.key < $1.key }.map { Field(name: $0.key, value: $0.value) }
    }

    package subscript(name: String) -> String? { all.first { $0.name == name }?.value }
}
