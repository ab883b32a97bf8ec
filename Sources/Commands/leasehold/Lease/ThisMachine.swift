import Agent
import EventLoop
import JSON

/// This machine as the pool knows it.
struct ThisMachine: Sendable {
    /// Its host id, where it is a host of the pool; else its host name.
    let name: String
    let isHost: Bool
    /// Sockets of agents that lie here, by their hosts. An agent of `leasehold up` tells its own; that of another machine
    /// names a path that is not here.
    private let sockets: [String: String]
    private let hosts: Set<String>

    /// Where nobody has told anything of the pool.
    static let unknown = ThisMachine(status: [:])

    /// - Parameter status: What the service says of the pool.
    init(status: JSONObject) {
        var sockets: [String: String] = [:]
        let hosts = status.objects("hosts")
        for host in hosts {
            guard let name = host.text("host"), let address = host.text("address"), address.hasPrefix("unix:///") else {
                continue
            }
            let path = String(address.dropFirst("unix://".count))
            if Files.exists(path) { sockets[name] = path }
        }
        self.sockets = sockets
        self.hosts = Set(hosts.compactMap { $0.text("host") })
        let own = Environment.hostName
        let isNamed = hosts.contains { $0.text("host") == own }
        name = isNamed ? own : sockets.keys.min() ?? own
        isHost = isNamed || !sockets.isEmpty
    }

    /// Whether the pool had this host when it was asked.
    func knows(_ host: String) -> Bool { hosts.contains(host) }

    /// Whether a unit's host is this machine.
    func isHere(_ host: String) -> Bool { host == name || sockets[host] != nil }

    /// Where to find the agent of a host of this machine.
    func agentSocket(of host: String, _ environment: [String: String]) -> String {
        sockets[host] ?? Self.usualAgentSocket(environment)
    }

    /// Where to find this machine's agent.
    func agentSocket(_ environment: [String: String]) -> String { agentSocket(of: name, environment) }

    private static func usualAgentSocket(_ environment: [String: String]) -> String {
        Agent.socketPath(in: AgentOptions.stateDirectory(environment))
    }
}
