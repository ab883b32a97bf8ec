import EventLoop
import LoadGenerator

/// The single-process bridge that Leasehold takes the place of, as lean as asyncio lets it be.
struct Bridge: Contender {
    let name = "asyncio bridge"
    let ground: Ground
    let port: Int
    let servers: [Server]

    static func start(on ground: Ground) async throws -> Bridge {
        let script = "\(try ground.room("bridge"))/bridge.py"
        try Files.replace(script, with: PackageResources.bridge_py)
        let port = try Host.freePort()
        let server = try await ground.start(
            "bridge", [Ground.find(ground.python) ?? "python3", script, String(port)], ready: .loopback(port: port))
        return Bridge(ground: ground, port: port, servers: [server])
    }

    func objection(to workload: LockWorkload) -> String? {
        workload.shape == .uncontended && workload.clients > 1 ? "it has one lock only" : nil
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        try await rush(workload, to: .loopback(port: port), on: ground) { BridgeDialogue(holder: "client-\($0)") }
    }
}
