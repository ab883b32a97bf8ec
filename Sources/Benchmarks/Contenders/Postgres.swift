import EventLoop
import LoadGenerator

/// PostgreSQL's advisory locks, one session a client: no lease and no fencing, gone with the session.
struct Postgres: Contender {
    let name = "PostgreSQL advisory"
    let ground: Ground
    let socket: String
    let user: String
    let servers: [Server]

    static func start(on ground: Ground) async throws -> Postgres {
        let root = "/usr/lib/postgresql"
        guard let version = (try? Files.list(root))?.last, Ground.find("\(root)/\(version)/bin/postgres") != nil else {
            throw LoadError("postgresql is not installed")
        }
        let programs = "\(root)/\(version)/bin"
        let room = try ground.room("postgres")
        // It refuses to run as root; its package has made a user for it.
        let isRoot = Environment.userID == 0
        let prefix = isRoot ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] : []
        if isRoot {
            guard Host.give(room, to: "postgres"), Host.open(ground.directory) else {
                throw LoadError("there is no user \"postgres\"")
            }
        }
        var command = ChildCommand(
            prefix + ["\(programs)/initdb", "-D", "\(room)/data", "-A", "trust", "-U", "bench", "--no-sync"])
        command.directory = room
        let made = try await ChildProcess.run(command, deadline: .seconds(120), on: ground.loop)
        guard made.exit == .exited(0) else {
            throw LoadError("initdb failed: \(String(decoding: made.errorOutput.suffix(300), as: UTF8.self))")
        }
        let socket = "\(room)/.s.PGSQL.5432"
        let server = try await ground.start(
            "postgres",
            prefix + [
                "\(programs)/postgres", "-D", "\(room)/data", "-k", room, "-h", "", "-c", "max_connections=400",
            ], ready: .unix(path: socket))
        await ground.loop.sleep(for: .milliseconds(500))  // it listens a moment before it takes sessions
        return Postgres(ground: ground, socket: socket, user: "bench", servers: [server])
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        try await rush(workload, to: .unix(path: socket), on: ground) {
            PostgresDialogue(number: workload.isOneLock ? 0 : $0, user: user)
        }
    }
}
