import EventLoop
import JSON
import LoadGenerator

/// A lock that is reached through a Python library: ZooKeeper by kazoo, or Redis by redis-py or python-redis-lock.
/// Its clients are the threads of one Python process, whose own processor time is told.
struct PythonClients: Contender {
    enum Library: String, Sendable { case kazoo, redisPy = "redis-py", pythonRedisLock = "python-redis-lock" }

    let library: Library
    let ground: Ground
    let port: Int
    let servers: [Server]
    private let script: String

    var name: String { library == .kazoo ? "ZooKeeper + kazoo" : library.rawValue }

    static func start(_ library: Library, on ground: Ground) async throws -> PythonClients {
        let room = try ground.room(library.rawValue)
        let script = "\(room)/clients.py"
        try Files.replace(script, with: PackageResources.clients_py)
        guard Ground.find(ground.python) != nil else { throw LoadError("there is no Python environment for it") }
        let module = [.kazoo: "kazoo", .redisPy: "redis", .pythonRedisLock: "redis_lock"][library] ?? ""
        let look = try await ChildProcess.run(
            ChildCommand([ground.python, "-c", "import \(module)"]), deadline: .seconds(60), on: ground.loop)
        guard look.exit == .exited(0) else { throw LoadError("Python's \(module) is not installed") }
        guard library == .kazoo else {
            let redis = try await RedisServer.start(on: ground, room: library.rawValue)
            return PythonClients(
                library: library, ground: ground, port: redis.port, servers: [redis.server], script: script)
        }
        let (server, port) = try await zooKeeper(on: ground, in: room)
        return PythonClients(library: library, ground: ground, port: port, servers: [server], script: script)
    }

    private static func zooKeeper(on ground: Ground, in room: String) async throws -> (Server, Int) {
        guard let archive = Ground.find("/usr/share/java/zookeeper.jar") else {
            throw LoadError("zookeeper is not installed")
        }
        let port = try Host.freePort()
        // The values that ZooKeeper's own example has, but for the number of connections from one address.
        let settings = """
            tickTime=2000
            initLimit=10
            syncLimit=5
            dataDir=\(try ground.room("kazoo/data"))
            clientPort=\(port)
            clientPortAddress=127.0.0.1
            maxClientCnxns=0
            admin.enableServer=false

            """
        try Files.replace("\(room)/zoo.cfg", with: Array(settings.utf8))
        let server = try await ground.start(
            "zookeeper",
            ["java", "-cp", archive, "org.apache.zookeeper.server.quorum.QuorumPeerMain", "\(room)/zoo.cfg"],
            ready: .loopback(port: port))
        return (server, port)
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        let command = ChildCommand([
            ground.python, script, library.rawValue, "127.0.0.1:\(port)", String(workload.clients),
            String(workload.isOneLock ? 1 : workload.clients), text(workload.warmUp), text(workload.duration),
            servers.map { String($0.processID) }.joined(separator: ","),
        ])
        var collecting = command
        collecting.output = .collected(limit: 64 << 20)
        collecting.diesWithParent = .kill
        let result = try await ChildProcess.run(collecting, deadline: .seconds(300), on: ground.loop)
        guard result.exit == .exited(0), let told = try JSONParser.parse(result.output).object else {
            throw LoadError("its clients failed: \(String(decoding: result.errorOutput.suffix(300), as: UTF8.self))")
        }
        return Self.read(told)
    }

    private func text(_ duration: Duration) -> String { String(duration / .seconds(1)) }

    private static func read(_ told: JSONObject) -> RushResult {
        func list(_ name: String) -> [Int] { told[name]?.array?.compactMap { $0.integer.map(Int.init) } ?? [] }
        var result = RushResult()
        result.seconds = told["seconds"]?.number ?? 0
        result.pairs = Int(told["pairs"]?.integer ?? 0)
        result.totalPairs = Int(told["total"]?.integer ?? 0)
        result.lock = Samples(list("lock"))
        result.unlock = Samples(list("unlock"))
        result.handOff = Samples(list("hand_off"))
        result.grants = list("grants")
        result.serverCPU = told["server_cpu"]?.array?.compactMap(\.number) ?? []
        result.ownCPU = told["own_cpu"]?.number ?? 0
        return result
    }
}
