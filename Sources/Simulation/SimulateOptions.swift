import Settings

/// What `simulate` can be told.
struct SimulateOptions {
    var settings = Simulation.Settings()
    var jobs = 1
    var isAllMutants = false
    var isFiguresOnly = false

    private static let seeds = Option.integer(
        "seeds", in: 1...1_000_000_000, help: "How many seeds to run; 2000 where nothing else bounds the run.",
        places: .flag)
    private static let from = Option.integer(
        "from", "SEED", in: 0...Int.max, standard: 1, help: "The first of them.", places: .flag)
    private static let seed = Option.integer(
        "seed", "SEED", in: 0...Int.max, help: "Run this one alone, as a replay line says.", places: .flag)
    private static let minutes = Option.integer(
        "minutes", in: 1...100_000, help: "Begin no more worlds after this time.", places: .flag)
    private static let jobs = Option.integer(
        "jobs", in: 1...64, standard: 1, help: "Processes side by side, each with a Redis of its own.", places: .flag)
    private static let trace = Option.flag("trace", help: "Print everything that happens.", places: .flag)
    private static let goOn = Option.flag("go-on", help: "Go on after a violation.", places: .flag)
    private static let mutant = Option<Mutant>(
        "mutant", .one("NAME"), allowed: "the name of a mutant, as --mutants shows them",
        help: "Remove one rule of the protocol, which the run should notice.", places: .flag
    ) { (text) throws(WrongValue) in
        guard let mutant = Mutant.all.first(where: { $0.name == text }) else { throw WrongValue() }
        return mutant
    }
    private static let mutants = Option.flag(
        "mutants", help: "Run every mutant until it is caught, in at most so many seeds.", places: .flag)
    private static let figures = Option.flag(
        "figures", help: "End with the figures alone, for a process that adds them up.", places: .flag)

    static let table = OptionTable(
        program: "simulate",
        summary: "Runs simulated pools around the real state machines and scripts, and checks what clients are told.",
        options: [
            seeds.entry, from.entry, seed.entry, minutes.entry, jobs.entry, trace.entry, goOn.entry, mutant.entry,
            mutants.entry, figures.entry,
        ],
        examples: [
            "simulate --seeds 10000 --jobs 2": "many worlds",
            "simulate --seed 1234 --trace": "what happened in one",
            "simulate --mutants": "that each rule of the protocol is missed",
        ],
        notes: ["Exit code: 0 no violation, 1 a violation or a mutant that was not caught, 2 wrong arguments."])

    init(_ given: GivenSettings) throws(SettingsError) {
        let limit = try given.optional(Self.minutes)
        settings.seeds = try given.optional(Self.seeds) ?? (limit == nil ? 2000 : 1_000_000_000)
        settings.from = UInt64(try given.value(Self.from))
        if let one = try given.optional(Self.seed) {
            settings.from = UInt64(one)
            settings.seeds = 1
        }
        settings.limit = limit.map { .seconds(60 * $0) }
        settings.isTraced = try given.isOn(Self.trace)
        settings.stopsAtViolation = try !given.isOn(Self.goOn)
        settings.mutant = try given.optional(Self.mutant)
        jobs = try given.value(Self.jobs)
        isAllMutants = try given.isOn(Self.mutants)
        isFiguresOnly = try given.isOn(Self.figures)
    }

    /// The same for one of several processes.
    func arguments(from: UInt64, seeds: Int) -> [String] {
        var words = ["--from", String(from), "--seeds", String(seeds), "--figures"]
        if let limit = settings.limit { words += ["--minutes", String(limit.components.seconds / 60)] }
        if !settings.stopsAtViolation { words.append("--go-on") }
        if let mutant = settings.mutant { words += ["--mutant", mutant.name] }
        return words
    }
}
