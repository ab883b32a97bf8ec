import Settings

/// What `bench` can be told.
struct BenchOptions: Sendable {
    /// A part of the suite.
    enum Part: String, Sendable, CaseIterable {
        case locks, ceiling, waiters, renewals, status, events, hosts, force, cost

        var what: String {
            switch self {
            case .locks: "lock and unlock, uncontended and contended, every contender"
            case .ceiling: "redis-benchmark, and the product's own scripts without HTTP and agents"
            case .waiters: "thousands of waiters for one unit"
            case .renewals: "thousands of leases renewed"
            case .status: "status asked for by many, with many units"
            case .events: "hundreds of followers of the event stream"
            case .hosts: "many hosts: idle, and all of them after a flush"
            case .force: "force-release-all of 200 hosts with 2,000 requests waiting at two coordinators"
            case .cost: "what a grant costs Redis as queue and fleet grow"
            }
        }
    }

    var rounds: Int
    var seconds: Duration
    var clients: [Int]
    var waiters: [Int]
    var only: [String]
    var parts: [Part]
    var isQuick: Bool
    var output: String
    var images: String
    var peers: String
    var wantsPeersInstalled: Bool
    /// A fixed piece of work and how often it is done, in place of all else.
    var exercise: (name: Exercise, count: Int)?

    static let rounds = Option.integer(
        "rounds", in: 1...100, help: "How often each contender has its turn. 3, or 2 with --quick.", places: .flag)
    static let seconds = Option.seconds(
        "seconds", in: .milliseconds(100)...(.seconds(600)), help: "How long each turn lasts. 3, or 0.7 with --quick.",
        places: .flag)
    static let clients = Option.text(
        "clients", "N,N", help: "Numbers of clients, each with a lock of its own. 1,16,64, or 64 with --quick.",
        places: .flag)
    static let waiters = Option.text(
        "waiters", "N,N", help: "Numbers of clients that want one lock. 1,16,64,256, or 16,64 with --quick.",
        places: .flag)
    static let only = Option.list(
        "only", "NAME", help: "Leaves out contenders whose names do not contain this. May be given more than once.",
        places: .flag)
    static let parts = Option<Part>(
        "part", .many("PART"), allowed: Part.allCases.map(\.rawValue).joined(separator: ", "),
        help: "Runs this part only; may be given more than once. "
            + Part.allCases.map { "\($0.rawValue): \($0.what)" }.joined(separator: "; ") + ".", places: .flag
    ) { (text) throws(WrongValue) in
        guard let part = Part(rawValue: text) else { throw WrongValue() }
        return part
    }
    static let quick = Option.flag(
        "quick", help: "Part locks in about two minutes: a look, not a measurement.", places: .flag)
    static let output = Option.text(
        "output", "PATH", standard: .text("bench-results"), help: "PATH.json and PATH.md are written.", places: .flag)
    static let images = Option.text(
        "images", "DIRECTORY", standard: .text("."), help: "Where the plots are written.", places: .flag)
    static let peers = Option.text(
        "peers", "DIRECTORY", standard: .text("/tmp/leasehold-bench-peers"),
        help: "Where the other contenders' Python packages are installed.", places: .flag)
    static let noInstall = Option.flag(
        "no-install", help: "Installs nothing: contenders that are not there are left out.", places: .flag)

    static let exercise = Option<(name: Exercise, count: Int)>(
        "exercise", .one("NAME=N"), allowed: "json=N",
        help: "Does a fixed piece of work N times and ends: for counting instructions.", places: .flag
    ) { (text) throws(WrongValue) in
        let parts = text.split(separator: "=").map(String.init)
        guard parts.count == 2, let name = Exercise(rawValue: parts[0]), let count = Int(parts[1]), count > 0 else {
            throw WrongValue()
        }
        return (name, count)
    }

    static let table = OptionTable(
        program: "bench",
        summary: "Measures Leasehold beside others that keep locks, on this machine, in one run.",
        options: [
            rounds.entry, seconds.entry, clients.entry, waiters.entry, only.entry, parts.entry, quick.entry,
            output.entry, images.entry, peers.entry, noInstall.entry, exercise.entry,
        ],
        examples: [
            "bench --quick": "A look at everybody.",
            "bench --only leasehold --only etcd --clients 64 --waiters 64 --rounds 5": "Two of them, often.",
        ],
        notes: ["Exit codes: 0 measured, 1 failed, 2 wrong option."])

    init(_ given: GivenSettings) throws(SettingsError) {
        isQuick = try given.isOn(Self.quick)
        rounds = try given.optional(Self.rounds) ?? (isQuick ? 2 : 3)
        seconds = try given.optional(Self.seconds) ?? (isQuick ? .milliseconds(700) : .seconds(3))
        clients = try Self.numbers(given, Self.clients) ?? (isQuick ? [64] : [1, 16, 64])
        waiters = try Self.numbers(given, Self.waiters) ?? (isQuick ? [16, 64] : [1, 16, 64, 256])
        only = try given.list(Self.only)
        let listed = try given.list(Self.parts)
        parts = listed.isEmpty ? (isQuick ? [.locks] : Part.allCases) : listed
        output = try given.value(Self.output)
        images = try given.value(Self.images)
        peers = try given.value(Self.peers)
        exercise = try given.optional(Self.exercise)
        wantsPeersInstalled = try !given.isOn(Self.noInstall)
    }

    private static func numbers(_ given: GivenSettings, _ option: Option<String>) throws(SettingsError) -> [Int]? {
        guard let text = try given.optional(option) else { return nil }
        var numbers: [Int] = []
        for word in text.split(separator: ",") {
            guard let number = Int(word), (1...10_000).contains(number) else {
                throw given.refuse(option, want: "numbers from 1 to 10000 with commas between them")
            }
            numbers.append(number)
        }
        return numbers
    }
}
