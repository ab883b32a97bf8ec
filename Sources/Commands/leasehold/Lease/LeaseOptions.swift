import JSON
import LeaseModel
import Settings

/// What a lease is asked with: the options of `lock` and `run`.
enum LeaseOptions {
    static let host = Option.text("host", "NAME", help: "Only units of this host.", section: section, places: .flag)
    static let unit = Option.text(
        "unit", "HOST/NAME", help: "Only this unit.", example: "--unit node1/0", section: section, places: .flag)
    static let count = Option.integer(
        "count", in: 1...Limits.unitsPerLease, standard: 1,
        help: "So many units of one host, all or none, in one lease.", section: section, places: .flag)
    static let kind = Option<UnitKind>.choice(
        "kind", "KIND", ["gpu": .gpu, "model-load": .modelLoad], standard: "gpu",
        help: "A GPU, or the right to load models on a host.", section: section, places: .flag)
    static let memory = Option.integer(
        "min-vram-mb", "MB", in: 0...100_000_000,
        help: "Only GPUs with so much memory; the smallest that fits is taken.",
        section: section, places: .flag)
    static let deviceType = Option<String>.choice(
        "device-type", "TYPE",
        ["discrete": "discrete", "integrated": "integrated", "virtual": "virtual", "cpu": "cpu", "other": "other"],
        help: "Only devices of this type.", section: section, places: .flag)
    static let labels = Option.list(
        "label", "NAME=VALUE", help: "Only hosts that carry this label.", section: section, places: .flag)
    static let affinity = Option.text(
        "affinity", "TEXT",
        help: "What the unit should still be warm for: of the free ones, one that served the same text last.",
        example: "--affinity model:qwen", section: section, places: .flag)
    static let pool = Option.text(
        "pool", "NAME", help: "Refuse a coordinator that serves another pool.", section: section, places: .flag)
    static let priority = Option.integer(
        "priority", "N", in: 0...Limits.lowestPriority,
        help: "0 is served first. Without it the id tells: mic 0, console and chat 10, dream 20, all others 15.",
        section: section, places: .flag)
    static let timeout = Option.seconds(
        "timeout", in: .zero...Limits.longestTimeout, standard: Limits.standardTimeout,
        help: "How long to wait; 0 takes what is free now.", section: section, places: .flag)
    static let takeover = Option.flag(
        "takeover", help: "First give back what this id holds itself, as after a crash of its own earlier run.",
        section: section, places: .flag)

    static let preempt = Option.flag(
        "preempt",
        help: "Where the coordinator allows it, have a holder of worse priority asked to give its unit back.",
        section: section, places: .flag)
    static let preemptCommand = Option.text(
        "preempt-command", "COMMAND",
        help: "Run by /bin/sh when somebody asks for this lease's unit, as in \"leasehold unload ollama\".",
        section: section, places: .flag)

    /// How long the lease stands without a renewal.
    static func ttl(standard: Duration?, help: String) -> Option<Duration> {
        .seconds(
            "ttl", in: Limits.shortestTTL...Limits.longestTTL, standard: standard, help: help, section: section,
            places: .flag)
    }

    static let selecting = [
        host.entry, unit.entry, count.entry, kind.entry, memory.entry, deviceType.entry, labels.entry, affinity.entry,
        priority.entry, timeout.entry, takeover.entry, preempt.entry,
    ]
    private static let section = "The lease"

    /// The members of a lock call that these options make.
    static func members(_ given: Given) throws(Failure) -> JSONObject {
        var body: JSONObject = [:]
        if let host = try given.optional(host) { body["host"] = .string(host) }
        if let unit = try given.optional(unit) { body["unit"] = .string(unit) }
        let count = try given.value(count)
        if count > 1 { body["count"] = .integer(Int64(count)) }
        let kind = try given.value(kind)
        if kind != .gpu { body["kind"] = .string(kind.rawValue) }
        if let memory = try given.optional(memory) { body["min_vram_mb"] = .integer(Int64(memory)) }
        if let type = try given.optional(deviceType) { body["device_type"] = .string(type) }
        var labels: JSONObject = [:]
        for text in try given.list(self.labels) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw given.refuse(self.labels, want: "NAME=VALUE, as in zone=a")
            }
            labels[String(parts[0])] = .string(String(parts[1]))
        }
        if !labels.isEmpty { body["labels"] = .object(labels) }
        if let affinity = try given.optional(affinity) { body["affinity"] = .string(affinity) }
        if let priority = try given.optional(priority) { body["priority"] = .integer(Int64(priority)) }
        if try given.isOn(takeover) { body["takeover"] = .bool(true) }
        if try given.isOn(preempt) { body["preempt"] = .bool(true) }
        return body
    }
}
