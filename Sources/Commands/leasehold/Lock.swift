import EventLoop
import JSON
import LeaseModel
import Settings

extension Command {
    static let lock = Command(
        "lock", .leases,
        "Takes a lease: waits until a GPU is granted and prints its token. "
            + "The token alone goes to standard output, everything for people to the error stream.",
        operands: "ID",
        options: [LockOptions.id.entry, LockOptions.ttl.entry, LockOptions.hold.entry] + LeaseOptions.selecting,
        examples: [
            "leasehold lock Root-Mic": "Waits for any GPU, for two minutes at most.",
            "leasehold lock train --hold": "Keeps the lease until Ctrl-C and then gives it back.",
            "export LEASEHOLD_LEASE_TOKEN=$(leasehold lock train --ttl 600)":
                "Keeps the token where leasehold renew and leasehold unlock find it.",
            "leasehold lock train --min-vram-mb 24000 --timeout 0 --json": "A big one, now or not at all.",
        ]
    ) { (given, surroundings) throws(Failure) in
        try await LockRun(given, surroundings).run()
    }
}

enum LockOptions {
    static let id = Option.text(
        "id", "ID", help: "Who holds the lease; the word after the command says the same.", places: .flag)
    static let ttl = LeaseOptions.ttl(
        standard: nil, help: "How long the lease stands without a renewal. Default: 120, with --hold 30.")
    static let hold = Option.flag(
        "hold", help: "Renew the lease until a signal ends this, then give it back.", places: .flag)
    /// Renewals are frequent enough, and a machine that dies frees the unit soon.
    static let heldTTL = Duration.seconds(30)
}

/// One `leasehold lock`.
private struct LockRun: Sendable {
    private let call: LockCall
    private let service: Service
    private let surroundings: Surroundings
    private let holds: Bool
    private let isJSON: Bool

    init(_ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        holds = try given.isOn(LockOptions.hold)
        isJSON = try given.isOn(ServiceOptions.json)
        let named = try given.operand(of: "lock")
        guard let id = try given.optional(LockOptions.id) ?? named else {
            throw Failure(.usage, Texts.missing("the id of who holds", "lock", "leasehold lock Root-Mic"))
        }
        var members: JSONObject = ["id": .string(id)]
        let ttl = try given.optional(LockOptions.ttl) ?? (holds ? LockOptions.heldTTL : Limits.standardTTL)
        members["ttl"] = .number(ttl / .seconds(1))
        for (name, value) in try LeaseOptions.members(given) { members[name] = value }
        call = LockCall(
            members, timeout: try given.value(LeaseOptions.timeout), service: service, surroundings: surroundings)
    }

    func run() async throws(Failure) -> ExitCode {
        let grant: Grant
        switch try await call.run() {
        case .granted(let granted): grant = granted
        case .givenUp(let signal): return .signalled(signal)
        }
        show(grant)
        return holds ? await hold(grant) : .done
    }

    private func show(_ grant: Grant) {
        if isJSON {
            surroundings.output.line(String(decoding: Document.pretty(grant.body), as: UTF8.self))
        } else {
            surroundings.output.line(Words.visible(grant.token.revealed))
        }
        let left = max(.zero, grant.certainUntil - surroundings.loop.now)
        for line in Texts.granted(grant, left: left, isHeld: holds) { surroundings.error.line(line) }
    }

    private func hold(_ grant: Grant) async -> ExitCode {
        let error = surroundings.error
        let keeper = LeaseKeeper(grant, service: service, loop: surroundings.loop) {
            error.line("leasehold: " + $0)
        }
        let loss = await surroundings.interruptions.cancelling { await keeper.keep() }
        if let loss {
            error.line("leasehold: " + loss.text)
            return .negative
        }
        if let why = await LeaseKeeper.release(grant.token, service: service) {
            error.line("leasehold: " + Texts.notGivenBack(grant.lease, why))
            return .unavailable
        }
        error.line("Given back.")
        return .done
    }
}
