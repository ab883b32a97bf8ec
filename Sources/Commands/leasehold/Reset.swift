import JSON
import Settings

extension Command {
    static let reset = Command(
        "reset", .emergencies, "Ends the leases of a scope; whoever waits is served next.",
        options: ScopeOptions.all,
        examples: [
            "leasehold reset --unit node1/0 --reason \"driver update\"": "One unit, after a question.",
            "leasehold reset --holder train --yes": "All that this holder holds, at once.",
        ], notes: [ScopeOptions.note]
    ) { (given, surroundings) throws(Failure) in
        try await Emergency(kind: .reset, given, surroundings).run()
    }

    static let forceRelease = Command(
        "force-release", .emergencies, "Ends the leases of a scope and sends away who waits in it.",
        options: ScopeOptions.all,
        examples: [
            "leasehold force-release": "The whole pool, after a question.",
            "leasehold force-release --host node1 --yes --reason \"power cut\"": "One host, at once.",
        ], notes: [ScopeOptions.note]
    ) { (given, surroundings) throws(Failure) in
        try await Emergency(kind: .forceRelease, given, surroundings).run()
    }
}

/// What an emergency call is about.
enum ScopeOptions {
    static let host = Option.text("host", "NAME", help: "Only what is on this host.", places: .flag)
    static let unit = Option.text("unit", "HOST/NAME", help: "Only this unit.", places: .flag)
    static let holder = Option.text("holder", "ID", help: "Only what this id holds or waits for.", places: .flag)
    static let lease = Option.text("lease", "LEASE", help: "Only this lease.", places: .flag)
    static let reason = Option.text(
        "reason", "TEXT", help: "Why; holders, waiters and the events get to see it.", places: .flag)
    static let yes = Option.flag("yes", help: "Do not ask.", places: .flag)

    static let all = [host.entry, unit.entry, holder.entry, lease.entry, reason.entry, yes.entry]
    static let note =
        "At most one of --host, --unit, --holder and --lease; without any the whole pool is meant. "
        + "Without --yes it asks before it acts."

    /// The scope as the member of a call; nil for the whole pool.
    static func scope(_ given: Given) throws(Failure) -> (name: String, value: String)? {
        var found: [(name: String, value: String)] = []
        for option in [host, unit, holder, lease] {
            if let value = try given.optional(option) { found.append((option.entry.name, value)) }
        }
        guard found.count <= 1 else { throw Failure(.usage, Texts.twoScopes(found[0].name, found[1].name)) }
        return found.first
    }
}

/// A call that takes leases from their holders.
struct Emergency: Sendable {
    enum Kind: Sendable {
        case reset, forceRelease

        var path: String {
            switch self {
            case .reset: "/v1/gpu/reset"
            case .forceRelease: "/v1/gpu/force-release-all"
            }
        }
    }

    private let kind: Kind
    private let service: Service
    private let surroundings: Surroundings
    private let scope: (name: String, value: String)?
    private let reason: String?
    private let mayAct: Bool
    private let isJSON: Bool

    init(kind: Kind, _ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.kind = kind
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        scope = try ScopeOptions.scope(given)
        reason = try given.optional(ScopeOptions.reason)
        mayAct = try given.isOn(ScopeOptions.yes)
        isJSON = try given.isOn(ServiceOptions.json)
    }

    func run() async throws(Failure) -> ExitCode {
        if !mayAct {
            guard surroundings.canAsk else { throw Failure(.usage, Texts.cannotAsk) }
            let status = try await service.demand(.get, "/v1/gpu/status")
            surroundings.error.write(Texts.question(kind, affected(status), scope.map { "\($0.name) \($0.value)" }))
            let answer = surroundings.readLine()?.lowercased().filter { !$0.isWhitespace }
            guard answer == "y" || answer == "yes" else { throw Failure(.negative, Texts.leftAlone) }
        }
        var body: JSONObject = [:]
        if let scope { body[scope.name] = .string(scope.value) }
        if let reason { body["reason"] = .string(reason) }
        let answer = try await service.demand(.post, kind.path, body)
        if isJSON {
            surroundings.output.line(String(decoding: Document.pretty(answer), as: UTF8.self))
        } else {
            surroundings.output.line(Texts.ended(answer))
        }
        return .done
    }

    /// The holders whose leases would end.
    private func affected(_ status: JSONObject) -> [String] {
        status.objects("leases").filter { lease in
            guard let scope else { return true }
            switch scope.name {
            case "host": return lease.text("unit")?.hasPrefix(scope.value + "/") == true
            default: return lease.text(scope.name) == scope.value
            }
        }.compactMap { $0.text("holder") }
    }
}
