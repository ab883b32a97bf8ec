/// One entry of the pool's event stream: what happened, to what, by whom and why.
package struct PoolEvent: Hashable, Sendable {
    /// The words of the stream. Each says what it does to units, leases and waiters (docs/protocol.md §6).
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case registered, queued, requeued, offered, granted, restored, renewed
        case released, expired, revoked, reset, cancelled, lost, duplicate, withdrawn, rejected, lapsed
        case forceReleased = "force-released"
        case ending, timeout, refused, dropped, cordoned, uncordoned
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
    package var fields: [String: String]

    package init(id: String, kind: Kind, at: Int64, fields: [String: String]) {
        self.id = id
        self.kind = kind
        self.at = at
        self.fields = fields
    }
}
