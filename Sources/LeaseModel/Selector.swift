/// The kinds of units.
package enum UnitKind: String, Hashable, Sendable, CaseIterable {
    case gpu
    case modelLoad = "model-load"
}

/// Which units a request will take: the name of its queue.
package struct Selector: Hashable, Sendable {
    package enum Scope: Hashable, Sendable { case any, host(HostID), unit(UnitID) }

    package var kind: UnitKind
    package var scope: Scope
    /// The smallest memory that will do, in MB (10^6 bytes); 0 takes any.
    package var minimumMemoryMB: Int
    /// `discrete`, `integrated`, `virtual`, `cpu` or nil for any.
    package var deviceType: String?
    /// Labels that the unit's host must carry, all of them.
    package var labels: [String: String]
    /// How many units of one host, all or none: 1 to `Limits.unitsPerLease`.
    package var count: Int

    /// - Throws: `InvalidName` for a label or device type that is no name, too many labels or units, or several of one unit.
    package init(
        kind: UnitKind = .gpu, scope: Scope = .any, minimumMemoryMB: Int = 0, deviceType: String? = nil,
        labels: [String: String] = [:], count: Int = 1
    ) throws(InvalidName) {
        guard (1...Limits.unitsPerLease).contains(count) else {
            throw InvalidName(what: "count", got: String(count), want: "1 to \(Limits.unitsPerLease)")
        }
        if case .unit(let unit) = scope, count > 1 {
            throw InvalidName(
                what: "count", got: String(count),
                want: "1 where the call names the unit \(unit.text); name its host to get several units of it")
        }
        guard (0...100_000_000).contains(minimumMemoryMB) else {
            throw InvalidName(what: "min_vram_mb", got: String(minimumMemoryMB), want: "0 to 100000000")
        }
        if let deviceType, !["discrete", "integrated", "virtual", "cpu", "other"].contains(deviceType) {
            throw InvalidName(
                what: "device_type", got: deviceType.shown(40),
                want: "discrete, integrated, virtual, cpu or other")
        }
        guard labels.count <= Limits.labels else {
            throw InvalidName(what: "labels", got: "\(labels.count) of them", want: "at most \(Limits.labels)")
        }
        for (name, value) in labels {
            _ = try Name.checked(name, as: "labels", limit: Limits.nameLength)
            _ = try Name.checked(value, as: "labels", limit: Limits.nameLength)
        }
        self.kind = kind
        self.scope = scope
        self.minimumMemoryMB = minimumMemoryMB
        self.deviceType = deviceType
        self.labels = labels
        self.count = count
    }

    private init(known kind: UnitKind) {
        self.kind = kind
        self.scope = .any
        self.minimumMemoryMB = 0
        self.deviceType = nil
        self.labels = [:]
        self.count = 1
    }

    /// Any GPU of the pool.
    package static let anyGPU = Selector(known: .gpu)

    /// The one spelling of this selector, the same for equal selectors: `gpu/any`, `gpu/host=node1?vram=24000&label.zone=a`.
    package var text: String {
        var text = kind.rawValue
        switch scope {
        case .any: text += "/any"
        case .host(let host): text += "/host=\(host.text)"
        case .unit(let unit): text += "/unit=\(unit.text)"
        }
        var conditions: [String] = []
        if count > 1 { conditions.append("count=\(count)") }
        if minimumMemoryMB > 0 { conditions.append("vram=\(minimumMemoryMB)") }
        if let deviceType { conditions.append("type=\(deviceType)") }
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) { conditions.append("label.\(name)=\(value)") }
        return conditions.isEmpty ? text : text + "?" + conditions.joined(separator: "&")
    }

    /// Reads what `text` writes; nil for anything else.
    package init?(parsing text: String) {
        let halves = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let base = halves[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard base.count == 2, let kind = UnitKind(rawValue: base[0]), let scope = Self.scope(base[1]) else {
            return nil
        }
        var memory = 0
        var count = 1
        var type: String?
        var labels: [String: String] = [:]
        for condition in halves.dropFirst().joined().split(separator: "&") {
            let parts = condition.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return nil }
            switch parts[0] {
            case "vram":
                guard let value = Int(parts[1]) else { return nil }
                memory = value
            case "type": type = parts[1]
            case "count":
                guard let value = Int(parts[1]) else { return nil }
                count = value
            default:
                guard parts[0].hasPrefix("label.") else { return nil }
                labels[String(parts[0].dropFirst(6))] = parts[1]
            }
        }
        guard
            let selector = try? Selector(
                kind: kind, scope: scope, minimumMemoryMB: memory, deviceType: type, labels: labels,
                count: count)
        else { return nil }
        self = selector
    }

    private static func scope(_ text: String) -> Scope? {
        if text == "any" { return .any }
        if text.hasPrefix("host="), let host = try? HostID(String(text.dropFirst(5))) { return .host(host) }
        if text.hasPrefix("unit="), let unit = try? UnitID(String(text.dropFirst(5))) { return .unit(unit) }
        return nil
    }

    /// Whether a unit will do, as `meets` of Match.lua decides it; of several that are asked for, each has to.
    package func admits(_ unit: UnitProperties, labels hostLabels: [String: String]) -> Bool {
        guard unit.kind == kind, unit.memoryMB >= minimumMemoryMB else { return false }
        if let deviceType, unit.deviceType != deviceType { return false }
        switch scope {
        case .any: break
        case .host(let host): guard unit.unit.host == host else { return false }
        case .unit(let wanted): guard unit.unit == wanted else { return false }
        }
        return labels.allSatisfy { hostLabels[$0.key] == $0.value }
    }

    /// Whether there may be a unit that both would take, by kind and place alone.
    package func competes(with other: Selector) -> Bool {
        guard kind == other.kind else { return false }
        switch (scope, other.scope) {
        case (.any, _), (_, .any): return true
        case (.host(let a), .host(let b)): return a == b
        case (.host(let host), .unit(let unit)), (.unit(let unit), .host(let host)): return unit.host == host
        case (.unit(let a), .unit(let b)): return a == b
        }
    }
}
