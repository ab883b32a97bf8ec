import EventLoop
import JSON
import LeaseModel
import Settings

extension Command {
    static let adopt = Command(
        "adopt", .leases,
        "Puts a program that runs already under a lease: it ends with the lease, and the lease with it.",
        operands: "PID",
        options: [
            RunOptions.id.entry, RunOptions.ttl.entry, RunOptions.grace.entry, RunOptions.onPreempt.entry,
            LeaseOptions.preemptCommand.entry, RunOptions.agentSocket.entry,
        ] + LeaseOptions.selecting,
        examples: [
            "leasehold adopt 4711 --unit node1/0": "A training that was started by hand on that GPU.",
            "leasehold adopt $(pidof ollama) --id ollama --preempt --timeout 600": "A server that is there anyway.",
        ],
        notes: [
            "Renews the lease for as long as the program runs. SIGINT, SIGTERM or SIGHUP gives the lease back and leaves the "
                + "program alone; kill -9 ends it, as with run. Where the program leads its process group, the whole group is "
                + "meant, else it alone.",
            "The program must belong to the user of this machine's agent, which watches it. It has chosen its GPU already: "
                + "name that with --unit. Only units of this machine are asked for.",
        ],
        exits: "Exit codes: 0 the program has ended, 1 no lease was had, it was lost, or the agent does not watch the "
            + "program; 2 wrong option; 3 the service cannot be reached; 128 and the signal that ended this."
    ) { (given, surroundings) throws(Failure) in
        guard let word = try given.operand(of: "adopt"), let number = Int32(word), number > 1 else {
            throw Failure(.usage, Texts.missing("a process id", "adopt", "leasehold adopt 4711"))
        }
        guard let process = ForeignProcess(number) else { throw Failure(.negative, Texts.noProcess(number)) }
        let service = try Service.of(given, surroundings)
        var members = try LeaseOptions.members(given)
        if let id = try given.optional(RunOptions.id) {
            members["id"] = .string(id)
        } else {
            members["id"] = .string(RunCommand.standardID(process.name, surroundings.environment))
            if members["priority"] == nil { members["priority"] = .integer(15) }
        }
        let grace = try given.value(RunOptions.grace)
        members["ttl"] = .number(try given.value(RunOptions.ttl) / .seconds(1))
        members["grace"] = .number(grace / .seconds(1))
        let here = ThisMachine(status: try await service.demand(.get, "/v1/gpu/status"))
        if members["unit"] == nil, members["host"] == nil { members["host"] = .string(here.name) }
        let call = LockCall(
            members, timeout: try given.value(LeaseOptions.timeout), service: service, surroundings: surroundings)
        let grant: Grant
        switch try await call.run() {
        case .granted(let granted): grant = granted
        case .givenUp(let signal): return .signalled(signal)
        }
        let socket = try given.optional(RunOptions.agentSocket)
        let settings = HeldProgram.Settings(
            agentSocket: socket ?? here.agentSocket(of: grant.host, surroundings.environment), grace: grace,
            onLost: .kill, onPreempt: try given.value(RunOptions.onPreempt),
            hook: try given.optional(LeaseOptions.preemptCommand).map { PreemptHook(command: $0) })
        return try await AdoptedProgram(
            process, grant: grant, settings: settings, service: service, surroundings: surroundings
        ).run()
    }
}
