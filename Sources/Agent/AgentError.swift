/// Why an agent does not start or go on. Each text says what to do.
package enum AgentError: Error, Equatable, Sendable, CustomStringConvertible {
    case stateDirectory(String, why: String)
    case stateDirectoryBusy(String, process: String)
    case hostInUse(String, instance: String)
    /// Another agent was started for this host and has taken over.
    case succeeded(String)
    case tooManyUnits(Int, limit: Int)
    case tooManyLabels(Int, limit: Int)
    case cannotListen(String, why: String)

    package var description: String {
        switch self {
        case .stateDirectory(let path, let why):
            "The state directory \(path) cannot be used (\(why)). Make it writable for this user, or name another with --state-dir."
        case .stateDirectoryBusy(let path, let process):
            "The state directory \(path) belongs to the agent with process id \(process). Stop that one, or name another directory with --state-dir."
        case .hostInUse(let host, let instance):
            "The host id \(host) is live under another agent (instance \(instance)). Give each machine its own --host-id; if that agent has died, its presence ends within 15 seconds."
        case .succeeded(let host):
            "Another agent has taken over the host id \(host), so this one confirms nothing more. Run one agent a host."
        case .tooManyUnits(let count, let limit):
            "This host has \(count) units; an agent serves at most \(limit). Pass fewer devices on."
        case .tooManyLabels(let count, let limit):
            "This host has \(count) labels; at most \(limit) are allowed. Drop some --label."
        case .cannotListen(let address, let why):
            "The agent cannot listen at \(address) (\(why)). Name another address with --verify-listen."
        }
    }
}
