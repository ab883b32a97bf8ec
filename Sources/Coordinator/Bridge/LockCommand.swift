import LeaseModel

/// A lock call as its body says it, checked; each 400 of a lock call is born here.
struct LockCommand: Equatable, Sendable {
    var holder: HolderID
    var priority: Priority
    /// Zero takes what is free now.
    var timeout: Duration
    var ttl: Duration
    var requestID: String?
    var selector: Selector
    /// The client itself named the host or unit.
    var namesItsPlace: Bool
    /// What this holder has is given back first.
    var takesOver: Bool
    /// Compact JSON, or empty.
    var metadata: String
    /// Between SIGTERM and SIGKILL, for what runs under the lease.
    var grace: Duration
    /// A holder of worse priority may be asked to give its unit back.
    var preempts: Bool
    /// Empty where the call names none.
    var affinity: String

    /// - Parameters:
    ///   - scope: Where a call that names no place looks for a unit.
    ///   - longestTTL: The pool's.
    init(_ members: Members, scope: Scope, longestTTL: Duration) throws(Malformed) {
        guard let holder = try members.named("id", { (text) throws(InvalidName) in try HolderID(text) }) else {
            throw Malformed("\"id\" is missing. Send the name of who wants the unit, as in {\"id\": \"Root-Mic\"}.")
        }
        self.holder = holder
        let wanted = try members.integer("priority", in: 0...Int64(Limits.lowestPriority))
        priority = wanted.flatMap { try? Priority(Int($0)) } ?? PriorityClass(ofHolder: holder.text).priority
        timeout = try members.seconds("timeout", in: .zero...Limits.longestTimeout) ?? Limits.standardTimeout
        ttl =
            try members.seconds("ttl", in: Limits.shortestTTL...longestTTL) ?? min(Limits.standardTTL, longestTTL)
        requestID = try members.word("request_id", limit: Limits.requestIDBytes)
        takesOver = try members.flag("takeover") ?? false
        metadata = try members.compact("metadata", limit: Limits.metadataBytes, depth: Limits.metadataDepth)
        grace = try members.seconds("grace", in: .zero...Limits.longestGrace) ?? Limits.standardGrace
        preempts = try members.flag("preempt") ?? false
        affinity = try members.word("affinity", limit: Limits.affinityBytes) ?? ""
        (selector, namesItsPlace) = try Self.selector(members, scope: scope)
        if selector.count > 1, preempts { throw Malformed(Texts.noPreemptingSeveral) }
    }

    private static func selector(_ members: Members, scope: Scope) throws(Malformed) -> (Selector, Bool) {
        let unit = try members.named("unit") { (text) throws(InvalidName) in try UnitID(text) }
        let host = try members.named("host") { (text) throws(InvalidName) in try HostID(text) }
        if let unit, let host, unit.host != host {
            throw Malformed("\"unit\": got \"\(unit.text)\", want one of host \"\(host.text)\", which the call names.")
        }
        var kind = unit?.name == "model-load" ? UnitKind.modelLoad : .gpu
        if let text = try members.text("kind", want: "gpu or model-load") {
            guard let named = UnitKind(rawValue: text) else {
                throw Malformed("kind", got: .string(text), want: "gpu or model-load")
            }
            guard unit == nil || named == kind else {
                throw Malformed(
                    "\"kind\": got \"\(text)\", but the unit \(unit?.text ?? "") is of kind \(kind.rawValue).")
            }
            kind = named
        }
        let place: Selector.Scope = unit.map { .unit($0) } ?? host.map { .host($0) } ?? scope.selectorScope
        let memory = try members.integer("min_vram_mb", in: 0...100_000_000) ?? 0
        let deviceType = try members.text("device_type")
        let labels = try members.texts("labels")
        let count = try members.integer("count", in: 1...Int64(Limits.unitsPerLease)) ?? 1
        do throws(InvalidName) {
            let selector = try Selector(
                kind: kind, scope: place, minimumMemoryMB: Int(memory), deviceType: deviceType, labels: labels,
                count: Int(count))
            return (selector, unit != nil || host != nil)
        } catch {
            throw Malformed(error)
        }
    }
}
