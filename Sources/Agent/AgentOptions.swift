import EventLoop
import LeaseModel
import RedisClient
import Telemetry

/// One option of an agent: a flag and a variable that mean the same; the flag counts before the variable.
package struct AgentOption: Sendable {
    package enum Value: Equatable, Sendable {
        /// Present or not; in a variable `1` and `true` mean present.
        case none
        case one(String)
        /// May be given several times; in a variable apart by commas.
        case many(String)
    }

    package let name: String
    package let value: Value
    /// What holds where it is not given, for people.
    package let standard: String
    package let help: String
    /// Nil where a forgotten variable would do harm or mean nothing.
    package let variable: String?
    let apply: @Sendable (inout AgentOptions, String) throws(AgentOptions.Invalid) -> Void

    package var flag: String { "--" + name }

    /// Where it may be told.
    enum Place { case flagOrVariable, flag }

    init(
        name: String, value: Value, standard: String = "", help: String, place: Place = .flagOrVariable,
        apply: @escaping @Sendable (inout AgentOptions, String) throws(AgentOptions.Invalid) -> Void
    ) {
        self.name = name
        self.value = value
        self.standard = standard
        self.help = help
        self.apply = apply
        variable = place == .flag ? nil : "LEASEHOLD_" + name.uppercased().replacing("-", with: "_")
    }
}

/// Everything that `leasehold-agent` can be told.
package struct AgentOptions: Sendable {
    /// What was told wrongly, and what would be right.
    package struct Invalid: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
        package init(_ description: String) { self.description = description }
    }

    package var settings: AgentSettings
    package var devices = DeviceOptions()
    package var logLevel = LogLevel.info
    package var logFormat = Log.Format.human
    package var wantsHelp = false
    package var wantsVersion = false
    var hasHost = false

    /// Reads flags and variables. `arguments` are without the program's name.
    package init(arguments: [String], environment: [String: String]) throws(Invalid) {
        let hostName = Environment.hostName
        let named = try? HostID(hostName)
        let standIn = try Self.host("localhost")
        settings = AgentSettings(
            redis: try Self.redis("redis://127.0.0.1:6379"), host: named ?? standIn,
            stateDirectory: Self.stateDirectory(environment), version: AgentProgram.version)
        for option in Self.table {
            // Service files and compose files pass on variables that are empty where nothing was set.
            guard let variable = option.variable, let text = environment[variable], !text.isEmpty else { continue }
            try option.apply(to: &self, from: text, variable)
        }
        try read(arguments)
        guard hasHost || named != nil || wantsHelp || wantsVersion else {
            throw Invalid("The host name \"\(hostName)\" is no host id. Name one with --host-id.")
        }
        if settings.address.isEmpty, let listen = settings.verifyListen {
            settings.address = "\(listen.host):\(listen.port)"
        }
    }

    private mutating func read(_ arguments: [String]) throws(Invalid) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let option = Self.table.first(where: { $0.flag == parts[0] }) else {
                throw Invalid("\(word) is no option of leasehold-agent. See leasehold-agent --help.")
            }
            switch option.value {
            case .none:
                guard parts.count == 1 else { throw Invalid("\(option.flag) takes no value.") }
                try option.apply(&self, "true")
            case .one(let what), .many(let what):
                guard let text = parts.count == 2 ? parts[1] : rest.popFirst() else {
                    throw Invalid("\(option.flag) needs a value: \(what).")
                }
                try option.apply(&self, text)
            }
        }
    }

    /// What `--help` says.
    package static var help: String {
        var text = """
            Usage: leasehold-agent [init | join URL] [OPTION...]

            Speaks for the GPUs of this host: confirms and ends the leases on them. Run one on each machine.

            With init it only makes the state directory of a host that has never held a lease, and ends: for installers.
            It changes nothing where there was a journal, or, without --first-join, where the host booted less than --max-ttl ago.

            With join it asks the coordinator at URL where the pool's Redis is and writes that into the service's settings:
            see leasehold-agent join --help.

            """
        for option in table {
            let value =
                switch option.value {
                case .none: ""
                case .one(let what), .many(let what): " " + what
                }
            let standard = option.standard.isEmpty ? "" : " Default: \(option.standard)."
            let variable = option.variable.map { " [\($0)]" } ?? ""
            text += "\n  \(option.flag)\(value)\n      \(option.help)\(standard)\(variable)"
        }
        text += """


            Exit codes: 0 stopped by a signal, 1 cannot start or go on, 2 wrong option, 3 another agent speaks for this host.
            SIGTERM and SIGINT stop the agent; its leases and what runs under them stand. SIGHUP looks for devices again.

            """
        return text
    }

    /// Where an agent keeps its state when it is not told.
    package static func stateDirectory(_ environment: [String: String]) -> String {
        // systemd names the directory that it made.
        if let given = environment["STATE_DIRECTORY"]?.split(separator: ":").first { return String(given) }
        if Environment.userID == 0 { return "/var/lib/leasehold/agent" }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/leasehold/agent" }
        return (environment["HOME"] ?? ".") + "/.local/state/leasehold/agent"
    }

    static func redis(_ text: String) throws(Invalid) -> RedisEndpoint {
        do throws(RedisError) {
            return try RedisEndpoint(parsing: text)
        } catch {
            throw Invalid("--redis: \(error.message)")
        }
    }

    static func host(_ text: String) throws(Invalid) -> HostID {
        do throws(InvalidName) {
            return try HostID(text)
        } catch {
            throw Invalid("--host-id: got \"\(error.got)\", want \(error.want)")
        }
    }

    static func duration(_ flag: String, _ text: String, _ range: ClosedRange<Double>) throws(Invalid) -> Duration {
        guard let seconds = Double(text), range.contains(seconds) else {
            throw Invalid("\(flag): got \"\(text)\", want \(range.lowerBound) to \(range.upperBound) seconds")
        }
        return .microseconds(Int64(seconds * 1_000_000))
    }
}

/// What the search for devices is told.
package struct DeviceOptions: Equatable, Sendable {
    /// Whether devices that are no GPUs, such as software renderers, count.
    package var includeCPU = false
    /// So many invented devices in place of a search.
    package var simulated: Int?
    /// The program that asks one driver for its devices; nil takes the one beside this program.
    package var probe: String?
    /// How long one driver may take to answer.
    package var probeDeadline = Duration.seconds(5)

    package init() {}
}

extension AgentOption {
    fileprivate func apply(
        to options: inout AgentOptions, from text: String, _ variable: String
    ) throws(AgentOptions.Invalid) {
        do throws(AgentOptions.Invalid) {
            switch value {
            case .none: if ["1", "true", "yes"].contains(text.lowercased()) { try apply(&options, "true") }
            case .one: try apply(&options, text)
            case .many: for part in text.split(separator: ",") { try apply(&options, String(part)) }
            }
        } catch {
            throw AgentOptions.Invalid("\(error.description) (from \(variable))")
        }
    }
}
