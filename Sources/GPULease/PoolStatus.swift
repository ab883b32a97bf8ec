import JSON

/// What a coordinator knows of its pool, from its own copy.
public struct PoolStatus: Sendable {
    /// A machine with an agent.
    public struct Host: Sendable, Identifiable {
        /// Its name.
        public var id: String
        /// Whether its agent is heard.
        public var isPresent: Bool
        /// Whether its units are offered to nobody.
        public var isCordoned: Bool
        /// Whether its holders may finish and nobody new is let in.
        public var isDraining: Bool
        /// How long until what is still held there is revoked; nil where its holders have all the time.
        public var drainEndsIn: Duration?
        /// What its agent was given to say of it.
        public var labels: [String: String]
    }

    /// A thing that one lease holds.
    public struct Unit: Sendable, Identifiable {
        /// Where a unit stands.
        public enum State: String, Hashable, Sendable {
            /// To be had.
            case free
            /// Its agent is asked to confirm a lease.
            case offered
            /// Leased.
            case held
            /// Its lease was revoked, and what runs under it is being stopped.
            case ending
            /// Held back for a request that takes several units of its host.
            case reserved
            /// Offered to nobody for a while, as it is not known who may still use it.
            case resting
            /// Its agent has not spoken lately.
            case unheard
        }

        /// Its name in the pool, as in `node1/0`.
        public var id: String
        /// The host that it is a part of.
        public var host: String
        /// A device, or the right to load models.
        public var kind: LeaseOptions.Kind
        /// Where it stands; nil for a word that this library does not know.
        public var state: State?
        /// The lease on it.
        public var lease: String?
        /// Who holds it.
        public var holder: String?
        /// The device's own name.
        public var name: String?
        /// What the device is.
        public var deviceType: LeaseOptions.DeviceType?
        /// The device's memory in MB (10^6 bytes).
        public var memoryMB: Int?
    }

    /// A lease of whoever holds one.
    public struct HeldLease: Sendable, Identifiable {
        /// Its name in the pool.
        public var id: String
        /// What is held, or the first of several units.
        public var unit: String
        /// All units of the lease.
        public var units: [String]
        /// Who holds it.
        public var holder: String
        /// 0 to 100; 0 is served first.
        public var priority: Int
        /// Since its grant.
        public var held: Duration?
        /// Until it ends unless it is renewed.
        public var expiresIn: Duration?
    }

    /// A request that waits.
    public struct Waiter: Sendable {
        /// Who wants a unit.
        public var holder: String
        /// 0 to 100; 0 is served first.
        public var priority: Int
        /// What it waits for, as in `gpu/any`.
        public var selector: String
        /// From 1, among those of its kind.
        public var position: Int
        /// Since it asked.
        public var waited: Duration
    }

    /// Whether no GPU in the coordinator's scope is free.
    public var isLocked: Bool
    /// The holder of the oldest lease on a GPU in scope.
    public var owner: String?
    /// The holder ids of those who wait for a GPU in scope, in the order of service.
    public var queued: [String]
    /// The pool's name.
    public var pool: String
    /// The coordinator's version.
    public var version: String
    /// Why what is shown is old, as where Redis cannot be reached; nil while it is current.
    public var degraded: String?
    /// How old it is.
    public var age: Duration
    /// The pool's hosts.
    public var hosts: [Host]
    /// The pool's units.
    public var units: [Unit]
    /// The leases that stand.
    public var leases: [HeldLease]
    /// All who wait, in the order of service.
    public var waiters: [Waiter]

    /// Nil where this is no status.
    init?(_ body: JSONObject) {
        guard let isLocked = body["locked"]?.bool else { return nil }
        self.isLocked = isLocked
        owner = body["owner"]?.string
        queued = body["queued"]?.array?.compactMap(\.string) ?? []
        pool = body["pool"]?.string ?? ""
        version = body["version"]?.string ?? ""
        degraded = body["degraded"]?.bool == true ? body["degraded_reason"]?.string ?? "" : nil
        age = .milliseconds(body["age_ms"]?.number ?? 0)
        hosts = Self.list(body, "hosts") { Host($0) }
        units = Self.list(body, "units") { Unit($0) }
        leases = Self.list(body, "leases") { HeldLease($0) }
        waiters = Self.list(body, "waiters") { Waiter($0) }
    }

    private static func list<Item>(_ body: JSONObject, _ name: String, _ item: (JSONObject) -> Item?) -> [Item] {
        body[name]?.array?.compactMap(\.object).compactMap(item) ?? []
    }
}

/// What a resource is told about a fencing token.
public struct Verification: Hashable, Sendable {
    /// Whether the token is that of the lease which stands on the unit.
    public var isCurrent: Bool
    /// Who holds that lease, where it is current.
    public var holder: String?
    /// How old the coordinator's copy was that this was answered from.
    public var age: Duration
}

extension PoolStatus.Host {
    init?(_ body: JSONObject) {
        guard let host = body["host"]?.string else { return nil }
        id = host
        isPresent = body["present"]?.bool ?? false
        isCordoned = body["cordoned"]?.bool ?? false
        isDraining = body["draining"]?.bool ?? false
        drainEndsIn = body["drain_ends_in"]?.number.map { .seconds($0) }
        labels = [:]
        for (name, value) in body["labels"]?.object ?? [:] { labels[name] = value.string }
    }
}

extension PoolStatus.Unit {
    init?(_ body: JSONObject) {
        guard let unit = body["unit"]?.string, let kind = body["kind"]?.string.flatMap(LeaseOptions.Kind.init)
        else { return nil }
        id = unit
        self.kind = kind
        host = body["host"]?.string ?? ""
        state = body["state"]?.string.flatMap(State.init)
        lease = body["lease"]?.string
        holder = body["holder"]?.string
        name = body.filled("name")
        deviceType = body["type"]?.string.flatMap(LeaseOptions.DeviceType.init)
        memoryMB = body["vram_mb"]?.integer.map { Int(clamping: $0) }
    }
}

extension PoolStatus.HeldLease {
    init?(_ body: JSONObject) {
        guard let lease = body["lease"]?.string, let unit = body["unit"]?.string else { return nil }
        id = lease
        self.unit = unit
        units = body["units"]?.array?.compactMap(\.string) ?? [unit]
        holder = body["holder"]?.string ?? ""
        priority = Int(clamping: body["priority"]?.integer ?? 0)
        held = body["held_ms"]?.number.map { .milliseconds($0) }
        expiresIn = body["expires_in"]?.number.map { .seconds($0) }
    }
}

extension PoolStatus.Waiter {
    init?(_ body: JSONObject) {
        guard let holder = body["holder"]?.string else { return nil }
        self.holder = holder
        priority = Int(clamping: body["priority"]?.integer ?? 0)
        selector = body["selector"]?.string ?? ""
        position = Int(clamping: body["position"]?.integer ?? 0)
        waited = .milliseconds(body["waited_ms"]?.number ?? 0)
    }
}
