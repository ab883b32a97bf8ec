import JSON

/// How a wait for a lease goes.
public struct WaitProgress: Hashable, Sendable {
    /// Where the request stands.
    public enum State: Hashable, Sendable {
        /// In the queue.
        case queued
        /// A unit was found; its agent is being asked.
        case offered
        /// No coordinator answers at present; the place in the queue is kept for 5 s, its age for longer.
        case unreachable(String)
    }

    /// Where the request stands.
    public var state: State
    /// From 1, among those that compete for the same units; nil where it is not known.
    public var position: Int?
    /// The holder ids that are served before this one, 20 at most.
    public var ahead: [String] = []
    /// How many wait for the same units.
    public var queueDepth: Int?
    /// Since the wait began.
    public var waited: Duration
    /// From what was observed of others' leases; nil where there is no basis.
    public var expectedWait: Duration?
    /// The coordinator's sentence about it.
    public var why: String?

    init(_ state: State, waited: Duration) {
        self.state = state
        self.waited = waited
    }

    /// - Parameter body: What `requests/{id}` was answered with; nil where it waits for nothing any more.
    init?(_ body: JSONObject, waited: Duration) {
        switch body["state"]?.string {
        case "queued": state = .queued
        case "offered": state = .offered
        default: return nil
        }
        position = body["position"]?.integer.map { Int(clamping: $0) }
        ahead = body["ahead"]?.array?.compactMap(\.string) ?? []
        queueDepth = body["queue_depth"]?.integer.map { Int(clamping: $0) }
        expectedWait = body["expected_wait_ms"]?.number.map { .milliseconds($0) }
        why = body["why"]?.string
        self.waited = waited
    }
}
