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
        options: [
            LockOptions.id.entry, LockOptions.ttl.entry, LockOptions.hold.entry, LeaseOptions.preemptCommand.entry,
        ]
            + LeaseOptions.selecting,
        examples: [
            "leasehold lock Root-Mic": "Waits for any GPU, for two minutes at most.",
            "leasehold lock train --hold": "Keeps the lease until Ctrl-C and then gives it back.",
            "export LEASEHOLD_LEASE_TOKEN=$(leasehold lock train --ttl 600)":
                "Keeps the token where leasehold renew and leasehold unlock find it.",
            "leasehold lock ollama --hold --preempt-command 'leasehold unload ollama'":
                "Holds for a server of its own, and gives back when somebody asks and it has unloaded its models.",
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
    private let hook: PreemptHook?

    init(_ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        holds = try given.isOn(LockOptions.hold)
        isJSON = try given.isOn(ServiceOptions.json)
        hook = try given.optional(LeaseOptions.preemptCommand).map { PreemptHook(command: $0) }
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
        let wishes = Wishes(loop: surroundings.loop)
        let keeper = LeaseKeeper(
            grant, service: service, loop: surroundings.loop, warn: { error.line("leasehold: " + $0) },
            onWish: { wish in
                let isFirst = wishes.assumeIsolated { $0.tell(wish) }
                if isFirst { error.line("leasehold: " + Texts.wanted(wish)) }
            })
        let loss = await surroundings.interruptions.cancelling { [hook, surroundings] in
            await withTaskGroup(of: LeaseKeeper.Loss??.self) { group in
                group.addTask { .some(await keeper.keep()) }
                if let hook {
                    group.addTask {
                        guard let wish = await wishes.wait() else { return nil }
                        var variables = surroundings.environment
                        for (name, value) in HeldProgram.variables(of: grant) { variables[name] = value }
                        if let failure = await hook.run(wish, variables, on: surroundings.loop) {
                            error.line("leasehold: " + failure)
                        }
                        return nil
                    }
                }
                let first = await group.next() ?? nil
                await wishes.end()
                group.cancelAll()
                return first ?? nil
            }
        }
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

/// The first wish for a unit that is held, for the one who waits for it.
private actor Wishes {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private var wish: PreemptWish?
    private var isOver = false
    private var waiting: CheckedContinuation<PreemptWish?, Never>?

    init(loop: EventLoop) { self.loop = loop }

    /// False for all but the first.
    func tell(_ wish: PreemptWish) -> Bool {
        guard self.wish == nil else { return false }
        self.wish = wish
        waiting?.resume(returning: wish)
        waiting = nil
        return true
    }

    /// Nil once `end` was called.
    func wait() async -> PreemptWish? {
        guard wish == nil, !isOver else { return wish }
        return await withCheckedContinuation { waiting = $0 }
    }

    func end() {
        isOver = true
        waiting?.resume(returning: nil)
        waiting = nil
    }
}
