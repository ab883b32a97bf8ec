import EventLoop
import JSON
import LeaseModel
import Settings

extension Command {
    static let run = Command(
        "run", .leases,
        "Runs a program under a lease: waits for a GPU, starts the program on it, gives it back at the end.",
        operands: "[--] COMMAND [ARGUMENT...]",
        options: RunOptions.own + LeaseOptions.selecting,
        examples: [
            "leasehold run -- python train.py": "On any GPU of this machine.",
            "leasehold run --min-vram-mb 24000 --timeout 3600 --id train -- ./train":
                "On a big one, however busy it is.",
            "leasehold run --dry-run": "What the program would get, of a GPU that is free now.",
        ],
        notes: [
            "Where this machine is a host of the pool, only its own units are asked for, unless --host, --unit or "
                + "--anywhere says otherwise.",
            "The program gets the variables that lead it to its GPU, and LEASEHOLD_LEASE, LEASEHOLD_UNIT, "
                + "LEASEHOLD_UNITS (all of them, where --count asked for several), LEASEHOLD_HOLDER and LEASEHOLD_FENCING_TOKEN. The lease's token stays with leasehold.",
            "When somebody with a better priority asks for the GPU (--preempt), the program gets the signal of --on-preempt, and "
                + "--preempt-command runs with LEASEHOLD_PREEMPTED_BY and LEASEHOLD_RELEASE_WITHIN (seconds).",
            "SIGINT, SIGTERM and SIGHUP go to the program. When the lease is lost the program gets SIGTERM, after the "
                + "grace SIGKILL.",
        ],
        exits: "Exit codes: the program's own, or 128 and the signal that ended it; 125 no lease was had, 126 the "
            + "program cannot be started, 127 there is no such program, 2 wrong option."
    ) { (given, surroundings) throws(Failure) in
        let run = try RunCommand(given, surroundings)
        do throws(Failure) {
            return try await run.run()
        } catch {
            // The program's codes are its own, so that ours has to be one that programs do not use.
            let exit: ExitCode = if case .code = error.exit { error.exit } else { .code(125) }
            throw Failure(exit, error.text, document: error.document)
        }
    }
}

enum RunOptions {
    enum OnLost: Sendable { case kill, warn }

    static let id = Option.text(
        "id", "ID", standard: .described("USER@HOST and the program's name, with priority 15"),
        help: "Who holds the lease.", places: .flag)
    static let ttl = LeaseOptions.ttl(
        standard: .seconds(30), help: "How long the lease outlives this program; it is renewed at a third of it.")
    static let onLost = Option<OnLost>.choice(
        "on-lost", "WHAT", ["kill": .kill, "warn": .warn], standard: "kill",
        help: "What happens to the program when the lease is lost.", places: .flag)
    static let grace = Option.seconds(
        "grace", in: .zero...Limits.longestGrace, standard: Limits.standardGrace,
        help: "How long the program has to end after SIGTERM, before SIGKILL.", places: .flag)
    enum OnPreempt: Sendable { case signal(Signals.Signal), nothing }

    static let onPreempt = Option<OnPreempt>.choice(
        "on-preempt", "SIGNAL",
        [
            "TERM": .signal(.terminate), "INT": .signal(.interrupt), "HUP": .signal(.hangUp), "QUIT": .signal(.quit),
            "USR1": .signal(.user1), "none": .nothing,
        ], standard: "TERM",
        help:
            "What the program is sent when somebody asks for its GPU. It has its grace to end then; after that the lease "
            + "is revoked.", places: .flag)
    static let anywhere = Option.flag(
        "anywhere", help: "Also take units of other machines: the program finds its own way there.", places: .flag)
    static let agentSocket = Option.text(
        "agent-socket", "PATH",
        standard: .described(
            "that of the `leasehold up` which serves, else of an agent with the usual state directory"),
        help: "Where this machine's agent is told of the program, so that it ends with the lease whatever happens.",
        places: [.flag, .variable])
    static let dryRun = Option.flag(
        "dry-run",
        help: "Take a GPU that is free now, print what the program would get, and give it back.", places: .flag)

    static let own = [
        id.entry, ttl.entry, onLost.entry, grace.entry, onPreempt.entry, LeaseOptions.preemptCommand.entry,
        anywhere.entry, agentSocket.entry, dryRun.entry,
    ]
}

/// One `leasehold run`.
struct RunCommand: Sendable {
    private let surroundings: Surroundings
    private let service: Service
    private let command: [String]
    private let timeout: Duration
    private let mayLeaveHost: Bool
    private let agentSocket: String?
    private let isDry: Bool
    private let isJSON: Bool
    private let grace: Duration
    private let onLost: RunOptions.OnLost
    private let onPreempt: RunOptions.OnPreempt
    private let hook: PreemptHook?
    private let asked: JSONObject

    init(_ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        command = given.operands + given.rest
        isDry = try given.isOn(RunOptions.dryRun)
        isJSON = try given.isOn(ServiceOptions.json)
        guard !command.isEmpty || isDry else {
            throw Failure(.usage, Texts.missing("a program", "run", "leasehold run -- python train.py"))
        }
        timeout = isDry ? .zero : try given.value(LeaseOptions.timeout)
        agentSocket = try given.optional(RunOptions.agentSocket)
        grace = try given.value(RunOptions.grace)
        onLost = try given.value(RunOptions.onLost)
        onPreempt = try given.value(RunOptions.onPreempt)
        hook = try given.optional(LeaseOptions.preemptCommand).map { PreemptHook(command: $0) }
        var members = try LeaseOptions.members(given)
        mayLeaveHost = try given.isOn(RunOptions.anywhere) || members["host"] != nil || members["unit"] != nil
        if let id = try given.optional(RunOptions.id) {
            members["id"] = .string(id)
        } else {
            members["id"] = .string(Self.standardID(command.first, surroundings.environment))
            // The name of a user or machine must not decide: michael-pc is no mic.
            if members["priority"] == nil { members["priority"] = .integer(15) }
        }
        members["ttl"] = .number(try given.value(RunOptions.ttl) / .seconds(1))
        members["grace"] = .number(grace / .seconds(1))
        asked = members
    }

    /// `alice@node1 train.py`.
    static func standardID(_ program: String?, _ environment: [String: String]) -> String {
        let user = environment["USER"] ?? environment["LOGNAME"] ?? "uid\(Environment.userID)"
        let name = program?.split(separator: "/").last.map { " \($0)" } ?? ""
        let text = "\(user)@\(Environment.hostName)\(name)".unicodeScalars.filter {
            $0.properties.generalCategory != .control
        }
        var id = String(String.UnicodeScalarView(text))
        while id.utf8.count > Limits.holderBytes { id.removeLast() }
        return id
    }

    func run() async throws(Failure) -> ExitCode {
        if let program = command.first, !isDry { try Self.find(program, surroundings.environment) }
        var members = asked
        var here = try await look()
        if !mayLeaveHost, here.isHost { members["host"] = .string(here.name) }
        let call = LockCall(members, timeout: timeout, service: service, surroundings: surroundings)
        let grant: Grant
        switch try await call.run() {
        case .granted(let granted): grant = granted
        case .givenUp(let signal): return .signalled(signal)
        }
        guard !isDry else { return await showAndGiveBack(grant) }
        // An agent that has come while this waited was not there yet when it looked.
        if agentSocket == nil, !here.knows(grant.host) { here = await lookAgain(for: grant.host) ?? here }
        if !here.isHere(grant.host), !mayLeaveHost {
            surroundings.error.line("leasehold: " + Texts.elsewhere(grant, here.name))
        }
        let settings = HeldProgram.Settings(
            agentSocket: agentSocket ?? here.agentSocket(of: grant.host, surroundings.environment), grace: grace,
            onLost: onLost, onPreempt: onPreempt, hook: hook)
        return try await HeldProgram(
            command, grant: grant, settings: settings, service: service, surroundings: surroundings
        ).run()
    }

    private func look() async throws(Failure) -> ThisMachine {
        if !mayLeaveHost { return ThisMachine(status: try await service.demand(.get, "/v1/gpu/status")) }
        guard agentSocket == nil, !isDry else { return .unknown }
        // Without it the program runs all the same.
        let status = try? await service.call(.get, "/v1/gpu/status")
        return ThisMachine(status: status?.body ?? [:])
    }

    /// Until the host of a unit that was just granted is in the status, a moment behind the grant; nil where it does not
    /// come there.
    private func lookAgain(for host: String) async -> ThisMachine? {
        for _ in 0..<Self.looks {
            let status = try? await service.call(.get, "/v1/gpu/status")
            let machine = ThisMachine(status: status?.body ?? [:])
            if machine.knows(host) { return machine }
            await surroundings.loop.sleep(for: Self.betweenLooks)
        }
        return nil
    }

    private static let looks = 20
    private static let betweenLooks = Duration.milliseconds(100)

    private func showAndGiveBack(_ grant: Grant) async -> ExitCode {
        let variables = HeldProgram.variables(of: grant).sorted { $0.key < $1.key }
        if isJSON {
            var document: JSONObject = [:]
            for (name, value) in variables { document[name] = .string(value) }
            surroundings.output.line(String(decoding: Document.pretty(document), as: UTF8.self))
        } else {
            for (name, value) in variables { surroundings.output.line(Words.visible("\(name)=\(value)")) }
        }
        if let why = await LeaseKeeper.release(grant.token, service: service) {
            surroundings.error.line("leasehold: " + Texts.notGivenBack(grant.lease, why))
            return .code(125)
        }
        return .done
    }

    /// Nobody should wait for a GPU to learn of a spelling mistake.
    static func find(_ program: String, _ environment: [String: String]) throws(Failure) {
        if program.contains("/") {
            guard Files.exists(program) else { throw Failure(.code(127), Texts.noProgram(program)) }
            guard Files.isExecutable(program) else { throw Failure(.code(126), Texts.notExecutable(program)) }
            return
        }
        let places = (environment["PATH"] ?? "/bin:/usr/bin").split(separator: ":", omittingEmptySubsequences: false)
        let found = places.contains { Files.isExecutable("\($0.isEmpty ? "." : $0)/\(program)") }
        guard found else { throw Failure(.code(127), Texts.noProgram(program)) }
    }
}
