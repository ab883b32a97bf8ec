import JSON

/// What is asked for, how long to wait for it, and how long it stands.
///
/// Values out of range are refused by the coordinator: ``LeaseError/Kind/invalid``.
public struct LeaseOptions: Sendable {
    /// What a lease is of.
    public enum Kind: String, Hashable, Sendable {
        /// A device.
        case gpu
        /// The right to load models on a host, one holder at a time.
        case modelLoad = "model-load"
    }

    /// What a device is, as its driver says.
    public enum DeviceType: String, Hashable, Sendable {
        /// A card of its own.
        case discrete
        /// A part of the processor.
        case integrated
        /// A virtual machine's share of one.
        case virtual
        /// Rendering in software.
        case cpu
        /// Anything else.
        case other
    }

    /// Who renews a lease.
    public enum Renewal: Hashable, Sendable {
        /// This library, at a third of the lease's time and at least every 20 s, until the lease is given back.
        case automatic
        /// The program, with ``Lease/renew()``.
        case manual
    }

    /// 0 (served first) to 100; nil lets the holder's id tell: `mic` 0, `console` and `chat` 10, `dream` 20, others 15.
    public var priority: Int?
    /// How long to wait for a unit, 0 to 3600 s; zero takes what is free now.
    public var timeout: Duration
    /// How long the lease stands without a renewal, 0.1 to 600 s. A holder that dies keeps its unit no longer.
    public var ttl: Duration
    /// A device, or the right to load models.
    public var kind: Kind
    /// Only units of this host.
    public var host: String?
    /// Only this unit, as in `node1/0`.
    public var unit: String?
    /// So many units of one host, all or none, in one lease: 1 to 64. Not together with ``unit`` or ``preempts``.
    public var count: Int
    /// Only devices with so much memory, in MB (10^6 bytes); the smallest that fits is taken.
    public var minimumMemoryMB: Int?
    /// Only devices of this type.
    public var deviceType: DeviceType?
    /// Only hosts that carry all of these.
    public var labels: [String: String]
    /// Shown beside the lease; 2048 bytes as JSON.
    public var metadata: [String: String]
    /// The pool, where coordinators serve several; one that serves no such pool refuses the call.
    public var pool: String?
    /// Names the request, 1 to 200 bytes: the same call again, also from another process, takes up the same place in the
    /// queue or the same lease. Nil draws one.
    public var requestID: String?
    /// First gives back what this holder id has, as after a crash of its own earlier run.
    public var takesOver: Bool
    /// How long a process that this machine's agent knows under the lease has between SIGTERM and SIGKILL, 0 s to 600 s. Nil
    /// takes the coordinator's 30 s.
    public var grace: Duration?
    /// Where the coordinator allows it, a holder of worse priority is asked to give its unit back for this request.
    public var preempts: Bool
    /// Who renews the lease.
    public var renewal: Renewal
    /// What the unit should still be warm for, as in `model:qwen`, 1 to 200 bytes: of the free units that do, one that
    /// served the same words last is taken. It decides nothing else, and nobody waits for it.
    public var affinity: String?
    /// How long no coordinator may be reachable before the wait fails as ``LeaseError/Kind/unreachable``.
    public var reconnecting: Duration

    /// Options that differ from the defaults in what is given.
    public init(
        priority: Int? = nil, timeout: Duration = .seconds(120), ttl: Duration = .seconds(60), kind: Kind = .gpu,
        host: String? = nil, unit: String? = nil, minimumMemoryMB: Int? = nil, deviceType: DeviceType? = nil,
        labels: [String: String] = [:], metadata: [String: String] = [:], pool: String? = nil,
        requestID: String? = nil, takesOver: Bool = false, renewal: Renewal = .automatic,
        reconnecting: Duration = .seconds(15), affinity: String? = nil, grace: Duration? = nil, preempts: Bool = false,
        count: Int = 1
    ) {
        self.priority = priority
        self.timeout = timeout
        self.ttl = ttl
        self.kind = kind
        self.host = host
        self.unit = unit
        self.minimumMemoryMB = minimumMemoryMB
        self.deviceType = deviceType
        self.labels = labels
        self.metadata = metadata
        self.pool = pool
        self.requestID = requestID
        self.takesOver = takesOver
        self.renewal = renewal
        self.reconnecting = reconnecting
        self.grace = grace
        self.preempts = preempts
        self.affinity = affinity
        self.count = count
    }

    /// The members of a lock call that are the same each time it is sent.
    func wish(of holder: String, requestID: String) -> JSONObject {
        var wish: JSONObject = [
            "id": .string(holder), "kind": .string(kind.rawValue), "ttl": .number(ttl / .seconds(1)),
            "request_id": .string(requestID),
        ]
        wish["priority"] = priority.map { .integer(Int64($0)) }
        wish["host"] = host.map { .string($0) }
        wish["unit"] = unit.map { .string($0) }
        if count != 1 { wish["count"] = .integer(Int64(count)) }
        wish["min_vram_mb"] = minimumMemoryMB.map { .integer(Int64($0)) }
        wish["device_type"] = deviceType.map { .string($0.rawValue) }
        wish["labels"] = Self.object(labels)
        wish["metadata"] = Self.object(metadata)
        wish["grace"] = grace.map { .number($0 / .seconds(1)) }
        if preempts { wish["preempt"] = .bool(true) }
        wish["affinity"] = affinity.map { .string($0) }
        wish["pool"] = pool.map { .string($0) }
        return wish
    }

    private static func object(_ texts: [String: String]) -> JSONValue? {
        guard !texts.isEmpty else { return nil }
        var object: JSONObject = [:]
        for (name, text) in texts.sorted(by: { $0.key < $1.key }) { object[name] = .string(text) }
        return .object(object)
    }
}
