import Settings

/// One subcommand: what it can be told, and what it does then.
struct Command: Sendable {
    let name: String
    /// The heading of `leasehold help` under which it stands.
    let group: Group
    let table: OptionTable
    /// What it can be told behind a further word, such as `create`.
    let actions: [OptionTable]
    let work: Work

    /// What a command does once its options are read, or before that.
    enum Work: Sendable {
        case onLoop(@Sendable (Given, Surroundings) async throws(Failure) -> ExitCode)
        /// Reads its own options and runs a loop of its own; returns its exit code.
        case onOwnLoop(@Sendable (_ arguments: [String], _ environment: [String: String]) -> Int32)
    }

    enum Group: String, CaseIterable, Sendable {
        case service = "The service"
        case leases = "Leases"
        case pool = "The pool"
        case emergencies = "Emergencies"
        case checks = "Finding faults"
        case shell = "This program"
    }

    /// - Parameters:
    ///   - options: Those of its own; the ones that every command of the service takes are added.
    ///   - exits: How it ends, where that is not what all commands have in common.
    init(
        _ name: String, _ group: Group, _ summary: String, operands: String? = nil, options: [OptionEntry] = [],
        callsService: Bool = true, examples: KeyValuePairs<String, String>, notes: [String] = [],
        exits: String = ExitCode.meaning,
        perform: @escaping @Sendable (Given, Surroundings) async throws(Failure) -> ExitCode
    ) {
        self.name = name
        self.group = group
        table = OptionTable(
            program: "leasehold \(name)", summary: summary, operands: operands,
            options: options + (callsService ? ServiceOptions.all : []), examples: examples, notes: notes + [exits])
        actions = []
        work = .onLoop(perform)
    }

    /// A command with a loop of its own.
    init(
        _ name: String, _ group: Group, table: OptionTable, actions: [OptionTable] = [],
        run: @escaping @Sendable (_ arguments: [String], _ environment: [String: String]) -> Int32
    ) {
        self.name = name
        self.group = group
        self.table = table
        self.actions = actions
        work = .onOwnLoop(run)
    }

    /// The first sentence of the summary.
    var headline: String {
        let sentence = table.summary.prefix { $0 != "." && $0 != ":" }
        return String(sentence)
    }
}

/// What a command was told; each mistake is a failure of usage.
struct Given: Sendable {
    private let settings: GivenSettings

    init(_ settings: GivenSettings) { self.settings = settings }

    var operands: [String] { settings.operands }
    var rest: [String] { settings.rest }

    func value<V>(_ option: Option<V>) throws(Failure) -> V {
        try Self.usage { () throws(SettingsError) in try settings.value(option) }
    }

    func optional<V>(_ option: Option<V>) throws(Failure) -> V? {
        try Self.usage { () throws(SettingsError) in try settings.optional(option) }
    }

    func list<V>(_ option: Option<V>) throws(Failure) -> [V] {
        try Self.usage { () throws(SettingsError) in try settings.list(option) }
    }

    func isOn(_ option: Option<Bool>) throws(Failure) -> Bool {
        try Self.usage { () throws(SettingsError) in try settings.isOn(option) }
    }

    /// A mistake that shows only when several options are looked at, told in the words of this one.
    func refuse<V>(_ option: Option<V>, want: String) -> Failure {
        Failure(.usage, settings.refuse(option, want: want).description)
    }

    /// The one word that may follow the options, nil where none does.
    func operand(of command: String) throws(Failure) -> String? {
        guard operands.count + rest.count <= 1 else {
            throw Failure(.usage, Texts.tooManyWords((operands + rest)[1], command))
        }
        return operands.first ?? rest.first
    }

    private static func usage<V>(_ body: () throws(SettingsError) -> V) throws(Failure) -> V {
        do throws(SettingsError) {
            return try body()
        } catch {
            throw Failure(.usage, error.description)
        }
    }
}
