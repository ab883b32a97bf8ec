import EventLoop

/// Hosts with addresses of their own, as network namespaces on one bridge. All of it lies in this process's own
/// namespaces and goes with them.
struct Network: Sendable {
    /// Which packets of a host are lost.
    enum Cut: Sendable { case sent, received, both }

    let hosts: Int

    static func name(_ host: Int) -> String { "n\(host)" }
    static func address(_ host: Int) -> String { "10.77.0.\(10 + host)" }
    private static func hardware(_ host: Int) -> String { "02:00:00:00:00:\(10 + host)" }
    /// Nobody's: what is sent there is lost without a word.
    private static let nowhere = "02:00:00:00:00:99"

    /// The words that start a program on a host.
    static func entering(_ host: Int) -> [String] { ["nsenter", "--net=/run/netns/\(name(host))", "--"] }

    func build() throws {
        var script = """
            set -e
            mkdir -p /run/netns
            mount -t tmpfs none /run/netns
            ip link set lo up
            ip link add bridge0 type bridge
            ip link set bridge0 up

            """
        for host in 0..<hosts {
            let name = Self.name(host)
            script += """
                ip netns add \(name)
                ip link add port\(host) type veth peer name eth0 netns \(name)
                ip link set port\(host) master bridge0 up
                ip -n \(name) link set lo up
                ip -n \(name) link set eth0 address \(Self.hardware(host)) up
                ip -n \(name) addr add \(Self.address(host))/24 dev eth0

                """
        }
        for host in 0..<hosts { script += Self.pointing(host, everywhere(but: host), wrongly: false) }
        guard try Shell.run(["sh", "-c", script]) else {
            throw Arguments.Wrong(description: "network namespaces cannot be made here")
        }
    }

    /// Loses what a host sends or is sent, silently, as a broken switch does.
    func cut(_ host: Int, _ cut: Cut) throws { try run(cutting(host, cut), host) }

    func heal(_ host: Int) throws { try run(healing(host), host) }

    /// The words of the command that does so.
    func cutting(_ host: Int, _ cut: Cut) -> [String] { pointing(host, cut, wrongly: true) }

    func healing(_ host: Int) -> [String] { pointing(host, .both, wrongly: false) }

    /// Takes the host's cable out, which it notices.
    func unplug(_ host: Int) throws { _ = try Shell.run(["ip", "link", "set", "port\(host)", "down"]) }

    func plug(_ host: Int) throws { _ = try Shell.run(["ip", "link", "set", "port\(host)", "up"]) }

    private func everywhere(but host: Int) -> [Int] { (0..<hosts).filter { $0 != host } }

    private func run(_ command: [String], _ host: Int) throws {
        guard try Shell.run(command) else {
            throw Arguments.Wrong(description: "\(Self.name(host)) could not be cut off or healed")
        }
    }

    private func pointing(_ host: Int, _ cut: Cut, wrongly: Bool) -> [String] {
        var script = ""
        if cut != .received { script += Self.pointing(host, everywhere(but: host), wrongly: wrongly) }
        if cut != .sent {
            for other in everywhere(but: host) { script += Self.pointing(other, [host], wrongly: wrongly) }
        }
        return ["sh", "-c", script]
    }

    /// Lets a host take others for where they are, or for where nobody is.
    private static func pointing(_ host: Int, _ others: [Int], wrongly: Bool) -> String {
        let lines = others.map { other in
            "neigh replace \(address(other)) lladdr \(wrongly ? nowhere : hardware(other)) nud permanent dev eth0"
        }
        return "printf '\(lines.joined(separator: "\\n"))\\n' | ip -n \(name(host)) -batch -\n"
    }
}
