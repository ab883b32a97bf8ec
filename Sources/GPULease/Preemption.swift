import JSON

/// A wish of somebody who waits for the unit of a lease, and has a better priority than its holder.
public struct Preemption: Hashable, Sendable {
    /// The holder id of who waits.
    public let by: String
    /// 0 is served first.
    public let priority: Int
    /// The lease is revoked unless it was given back by then. Its agent's clock decides; this is what is known of it here.
    public let deadline: ContinuousClock.Instant

    /// The `preemption` of a renewal's answer; nil where nobody asks.
    init?(_ renewal: JSONObject) {
        guard let wish = renewal["preemption"]?.object, let by = wish["by"]?.string,
            let within = wish["release_within"]?.number
        else { return nil }
        self.by = by
        priority = wish["priority"]?.integer.map { Int(clamping: $0) } ?? 0
        deadline = .now + .seconds(within)
    }

    /// An event of type `preempting`.
    init?(_ event: GPUEvent) {
        guard let by = event["for"], let grace = event["grace"].flatMap({ Int64($0) }) else { return nil }
        self.by = by
        priority = event["priority"].flatMap { Int($0) } ?? 0
        deadline = .now + .milliseconds(grace)
    }
}
