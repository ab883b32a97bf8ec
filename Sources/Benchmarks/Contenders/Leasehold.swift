import EventLoop
import HTTP
import JSON
import LoadGenerator

/// This product: redis-server, coordinator and agent, each a process of its own, reached over HTTP.
struct Leasehold: Contender {
    let name = "leasehold"
    let ground: Ground
    let port: Int
    let redis: RedisServer?
    let servers: [Server]

    /// - Parameters:
    ///   - room: names its directory.
    ///   - hosts: agents to start.
    ///   - units: of each agent.
    ///   - areRemote: lets the agents compute only where the servers leave something, since they stand for other machines.
    static func start(
        on ground: Ground, room: String = "leasehold", hosts: Int = 1, units: Int = 64, isDurable: Bool = true,
        areRemote: Bool = false
    ) async throws -> Leasehold {
        let redis = try await RedisServer.start(on: ground, room: room, isDurable: isDurable)
        let url = "unix://\(redis.socket)"
        let port = try Host.freePort()
        let coordinator = try await ground.start(
            "\(room)-coordinator",
            [
                "\(ground.programs)/leasehold-coordinator", "--redis", url, "--listen", "127.0.0.1:\(port)",
                "--max-waiters", "20000", "--log-level", "warning",
            ], ready: .loopback(port: port))
        var servers = [redis.server, coordinator]
        for host in 0..<hosts {
            servers.append(
                try await ground.start(
                    "\(room)-agent-\(host)",
                    (areRemote ? ["nice", "-n", "19"] : []) + [
                        "\(ground.programs)/leasehold-agent", "--redis", url, "--host-id", "h\(host)", "--simulate",
                        String(units), "--state-dir", "\(ground.directory)/\(room)/agent-\(host)", "--first-join",
                        "--log-level", "warning",
                    ], ready: nil))
        }
        let product = Leasehold(ground: ground, port: port, redis: redis, servers: servers)
        try await product.waitForUnits(hosts * units)
        return product
    }

    /// Waits until the coordinator shows so many GPUs as free.
    func waitForUnits(_ count: Int) async throws {
        let http = HTTPClient(loop: ground.loop)
        defer { http.close() }
        let endpoint = HTTPEndpoint.tcp(host: "127.0.0.1", port: port, isSecure: false)
        try await eventually("\(count) units are free", on: ground.loop) {
            guard let answer = try? await http.send(.get, "/v1/gpu/status", to: endpoint, timeout: .seconds(10)),
                let status = try? JSONParser.parse(answer.body).object
            else { return false }
            let free = status["units"]?.array?.filter {
                $0.object?["state"]?.string == "free" && $0.object?["kind"]?.string == "gpu"
            }
            return free?.count == count
        }
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        let members = workload.isOneLock ? #""unit": "h0/0""# : ""
        return try await rush(workload, to: .loopback(port: port), on: ground) {
            BridgeDialogue(holder: "client-\($0)", members: members)
        }
    }
}
