import Agent
import Coordinator
import EventLoop
import LeaseModel
import RedisClient
import Settings
import Telemetry

/// Everything that `leasehold up` can be told.
struct UpOptions: Sendable {
    var stateDirectory: String
    /// Nil starts a private one.
    var redis: RedisEndpoint?
    var durability: PrivateServer.Durability
    var host: HostID
    var labels: [String: String] = [:]
    var devices = DeviceOptions()
    var coordinator: CoordinatorSettings
    var logLevel: LogLevel
    var logFormat: Log.Format

    static let state = Option.text(
        "state", "PATH", standard: .described("/var/lib/leasehold, or for other users below ~/.local/state"),
        help: "The directory that holds everything: Redis's file, the journal. One `up` at a time.")
    static let redisURL = Option<RedisEndpoint>(
        "redis", .one("URL"), allowed: RedisEndpoint.forms,
        help: "Use this Redis in place of a private one.", secrecy: .secret
    ) { (text) throws(WrongValue) in
        do throws(RedisError) {
            return try RedisEndpoint(parsing: text)
        } catch {
            throw WrongValue(want: error.message)
        }
    }
    static let durability = Option<PrivateServer.Durability>.choice(
        "durability", "HOW", ["everysec": .everySecond, "always": .always], standard: "everysec",
        help:
            "What the private Redis keeps when the machine dies: all but the last second, or all. Neither lets a GPU be held twice."
    )
    static let hostID = Option<HostID>(
        "host-id", .one("NAME"), allowed: "1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -",
        standard: .described("the host name"), help: "The name of this machine in the pool."
    ) { (text) throws(WrongValue) in
        guard let host = try? HostID(text) else { throw WrongValue() }
        return host
    }
    static let label = Option.list(
        "label", "NAME=VALUE", help: "A label that requests may ask for.", example: "--label zone=a")
    static let includeCPU = Option.flag("include-cpu", help: "Also lease software renderers where there is a real GPU.")
    static let simulate = Option.integer(
        "simulate", in: 1...(Limits.unitsPerHost - 1), help: "Lease so many invented GPUs and look for none.")
    static let logLevel = Option<LogLevel>.choice(
        "log-level", "LEVEL", ["debug": .debug, "info": .info, "warning": .warning, "error": .error],
        standard: "warning", help: "What is worth a line.", section: "Logging")
    static let logFormat = Option<Log.Format>.choice(
        "log-format", "FORMAT", ["human": .human, "json": .json], standard: "human", help: "How lines look.",
        section: "Logging")

    static let table = OptionTable(
        program: "leasehold up",
        summary: "Runs everything on this machine: a private Redis, an agent for its GPUs, and a coordinator.",
        options: [
            state.entry, redisURL.entry, durability.entry, hostID.entry, label.entry, includeCPU.entry, simulate.entry,
        ] + CoordinatorOptions.shared + [logLevel.entry, logFormat.entry],
        examples: [
            "leasehold up": "Serves this machine's GPUs on http://localhost:8080.",
            "leasehold up --simulate 8 --listen 127.0.0.1:9090 --state /tmp/try":
                "Eight invented GPUs, for trying things out.",
        ],
        notes: ["Exit codes: 0 stopped by a signal, 1 cannot start or go on, 2 wrong option."])

    init(_ given: GivenSettings, environment: [String: String]) throws(SettingsError) {
        let state = try given.optional(Self.state) ?? Self.standardState(environment)
        // Redis looks for relative paths from its own directory.
        stateDirectory = state.hasPrefix("/") ? state : "\(Environment.currentDirectory)/\(state)"
        redis = try given.optional(Self.redisURL)
        durability = try given.value(Self.durability)
        guard let host = try given.optional(Self.hostID) ?? (try? HostID(Environment.hostName)) else {
            throw SettingsError("The host name \"\(Environment.hostName)\" is no host id. Name one with --host-id.")
        }
        self.host = host
        for text in try given.list(Self.label) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, (try? Selector(labels: [parts[0]: parts[1]])) != nil else {
                throw given.refuse(Self.label, want: "NAME=VALUE, each 1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -")
            }
            labels[parts[0]] = parts[1]
        }
        devices.includeCPU = try given.isOn(Self.includeCPU)
        devices.simulated = try given.optional(Self.simulate)
        // The Redis is known only when it runs.
        coordinator = CoordinatorSettings(
            redis: redis ?? RedisEndpoint(address: .unix(path: "")), version: CoordinatorProgram.version)
        try coordinator.takeShared(given, environment: environment)
        logLevel = try given.value(Self.logLevel)
        logFormat = try given.value(Self.logFormat)
    }

    private static func standardState(_ environment: [String: String]) -> String {
        if Environment.userID == 0 { return "/var/lib/leasehold" }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/leasehold" }
        return (environment["HOME"] ?? ".") + "/.local/state/leasehold"
    }
}
