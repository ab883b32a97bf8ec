import LoadGenerator

/// What clients do with locks.
struct LockWorkload: Sendable, Hashable {
    enum Shape: String, Sendable { case uncontended, contended }

    let shape: Shape
    let clients: Int
    let warmUp: Duration
    let duration: Duration

    var isOneLock: Bool { shape == .contended }
    var name: String { "\(shape.rawValue) \(clients)" }
}

/// Somebody who keeps locks: its servers, started and ready, and its clients.
protocol Contender: Sendable {
    var name: String { get }
    var servers: [Server] { get }
    /// The Redis whose commands are counted, where it has one.
    var redis: RedisServer? { get }
    /// Why this workload is not for it, nil where it is.
    func objection(to workload: LockWorkload) -> String?
    func run(_ workload: LockWorkload) async throws -> RushResult
}

extension Contender {
    var redis: RedisServer? { nil }

    func objection(to workload: LockWorkload) -> String? { nil }

    func stop() async {
        for server in servers.reversed() { await server.stop() }
    }

    /// Runs one dialogue a client.
    func rush(
        _ workload: LockWorkload, to target: LoadTarget, on ground: Ground,
        _ dialogue: (Int) -> any Dialogue & Sendable
    ) async throws -> RushResult {
        let rush = Rush(
            (0..<workload.clients).map(dialogue), to: target, servers: servers.map(\.processID),
            isOneLock: workload.isOneLock, loop: ground.loop)
        return try await rush.run(warmUp: workload.warmUp, for: workload.duration)
    }
}
