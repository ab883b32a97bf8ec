import LeaseModel
import RedisClient
import Telemetry

extension AgentOptions {
    /// The one list of options: parsing and `--help` come from it.
    package static let table: [AgentOption] = [
        AgentOption(
            name: "redis", value: .one("URL"), standard: "redis://127.0.0.1:6379",
            help: "The pool's Redis: \(RedisEndpoint.forms)."
        ) { (options, text) throws(Invalid) in options.settings.redis = try redis(text) },
        AgentOption(
            name: "pool", value: .one("NAME"), standard: "default", help: "The pool that this host belongs to."
        ) { (options, text) throws(Invalid) in
            do throws(InvalidName) {
                options.settings.pool = try PoolID(text)
            } catch {
                throw Invalid("--pool: got \"\(error.got)\", want \(error.want)")
            }
        },
        AgentOption(
            name: "host-id", value: .one("NAME"), standard: "the host name",
            help: "The name of this host in the pool; no two hosts may share one."
        ) { (options, text) throws(Invalid) in
            options.settings.host = try host(text)
            options.hasHost = true
        },
        AgentOption(
            name: "state-dir", value: .one("PATH"),
            standard: "/var/lib/leasehold/agent, or for other users below ~/.local/state",
            help: "Holds the journal. It must outlive the process: without it the GPUs rest at every start."
        ) { (options, text) throws(Invalid) in
            guard !text.isEmpty else { throw Invalid("--state-dir: got nothing, want a path") }
            options.settings.stateDirectory = text
        },
        AgentOption(
            name: "first-join", value: .none,
            help: "This host has never held a lease, so its GPUs need not rest. Give it once, never in a service file.",
            place: .flag
        ) { (options, _) throws(Invalid) in options.settings.isFirstJoin = true },
        AgentOption(
            name: "label", value: .many("NAME=VALUE"),
            help: "A label that requests may ask for; may be given \(Limits.labels) times."
        ) { (options, text) throws(Invalid) in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw Invalid("--label: got \"\(text)\", want NAME=VALUE, as in zone=a") }
            do throws(InvalidName) {
                _ = try Selector(labels: [parts[0]: parts[1]])
            } catch {
                throw Invalid("--label: got \"\(error.got)\", want \(error.want)")
            }
            options.settings.labels[parts[0]] = parts[1]
        },
        AgentOption(
            name: "include-cpu", value: .none, help: "Also register software renderers, for trying things out."
        ) { (options, _) throws(Invalid) in options.devices.includeCPU = true },
        AgentOption(
            name: "simulate", value: .one("N"), help: "Register N invented GPUs and look for none."
        ) { (options, text) throws(Invalid) in
            guard let count = Int(text), (1..<Limits.unitsPerHost).contains(count) else {
                throw Invalid("--simulate: got \"\(text)\", want 1 to \(Limits.unitsPerHost - 1)")
            }
            options.devices.simulated = count
        },
        AgentOption(
            name: "probe-interval", value: .one("SECONDS"), standard: "60",
            help: "How often devices are looked for again."
        ) { (options, text) throws(Invalid) in
            options.settings.probeInterval = try duration("--probe-interval", text, 1...86_400)
        },
        AgentOption(
            name: "probe-timeout", value: .one("SECONDS"), standard: "5",
            help: "How long one Vulkan driver may take to tell its devices; then it counts as having none."
        ) { (options, text) throws(Invalid) in
            options.devices.probeDeadline = try duration("--probe-timeout", text, 0.1...60)
        },
        AgentOption(
            name: "probe", value: .one("PATH"), standard: "leasehold-probe beside this program",
            help: "The program that asks one driver for its devices."
        ) { (options, text) throws(Invalid) in
            guard !text.isEmpty else { throw Invalid("--probe: got nothing, want a path") }
            options.devices.probe = text
        },
        AgentOption(
            name: "lock-delay", value: .one("SECONDS"), standard: "2",
            help: "Between the end of a lease that nobody gave back and the GPU's next one."
        ) { (options, text) throws(Invalid) in
            options.settings.lockDelay = try duration("--lock-delay", text, 0...600)
        },
        AgentOption(
            name: "max-ttl", value: .one("SECONDS"), standard: "600",
            help:
                "The pool's longest lease: how long GPUs rest when the journal is lost. Not below the coordinators' own."
        ) { (options, text) throws(Invalid) in
            options.settings.longestTTL = try duration("--max-ttl", text, 0.1...Limits.longestTTL.seconds)
        },
        AgentOption(
            name: "max-grace", value: .one("SECONDS"), standard: "600",
            help:
                "The longest that the processes of a lease have between SIGTERM and SIGKILL, whatever the lease asked for."
        ) { (options, text) throws(Invalid) in
            options.settings.longestGrace = try duration("--max-grace", text, 0...Limits.longestGrace.seconds)
        },
        AgentOption(
            name: "verify-listen", value: .one("HOST:PORT"), standard: "none",
            help: "Answer POST /v1/gpu/verify here, from this agent's own table, also without Redis, and GET /metrics."
        ) { (options, text) throws(Invalid) in
            guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
                (0...65535).contains(port), colon != text.startIndex
            else { throw Invalid("--verify-listen: got \"\(text)\", want HOST:PORT, as in 127.0.0.1:8090") }
            options.settings.verifyListen = (host: String(text[..<colon]), port: port)
        },
        AgentOption(
            name: "log-level", value: .one("LEVEL"), standard: "info", help: "debug, info, warning or error."
        ) { (options, text) throws(Invalid) in
            guard let level = LogLevel.allCases.first(where: { $0.name == text }) else {
                throw Invalid("--log-level: got \"\(text)\", want debug, info, warning or error")
            }
            options.logLevel = level
        },
        AgentOption(name: "log-format", value: .one("FORMAT"), standard: "human", help: "human or json.") {
            (options, text) throws(Invalid) in
            switch text {
            case "human": options.logFormat = .human
            case "json": options.logFormat = .json
            default: throw Invalid("--log-format: got \"\(text)\", want human or json")
            }
        },
        AgentOption(name: "version", value: .none, help: "Tell the version.", place: .flag) {
            (options, _) throws(Invalid) in options.wantsVersion = true
        },
        AgentOption(name: "help", value: .none, help: "Tell all this.", place: .flag) {
            (options, _) throws(Invalid) in options.wantsHelp = true
        },
    ]
}
