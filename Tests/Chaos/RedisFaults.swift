import CSystem
import EventLoop
import Glibc
import HTTP
import JSON
import TestSupport

extension Fault {
    static let redis: [Fault] = [
        Fault(name: "stop-redis", aim: .redis) { outbreak in
            let server = await outbreak.server()
            await outbreak.world.stop(server)
            await outbreak.wait()
            await outbreak.world.goOn(server)
        },
        down("kill-redis", losesRecords: true) { _ in },
        down("redis-starts-empty", losesRecords: true) { try Files.removeTree("\($0)/appendonlydir") },
        down("redis-file-truncated", losesRecords: true) { directory in
            let folder = "\(directory)/appendonlydir"
            for name in try Files.list(folder) where name.hasSuffix(".incr.aof") {
                var status = stat()
                guard stat("\(folder)/\(name)", &status) == 0 else { continue }
                truncate("\(folder)/\(name)", status.st_size * 4 / 5)
            }
        },
        Fault(name: "redis-from-old-file", aim: .redis, losesRecords: true) { outbreak in
            let world = outbreak.world
            let server = await outbreak.server()
            let folder = "\(world.redisDirectory(server))/appendonlydir"
            _ = try Shell.run(["cp", "-r", folder, "\(folder).old"])
            await outbreak.wait()
            await world.kill(server, holdDown: true)
            await world.hasEnded(server)
            try Files.removeTree(folder)
            _ = try Shell.run(["mv", "\(folder).old", folder])
            await world.letGo(server)
        },
        Fault(name: "flush-all", aim: .redis, losesRecords: true) { outbreak in
            await outbreak.world.redis(["FLUSHALL"])
            await outbreak.wait()
        },
        Fault(name: "flush-scripts", aim: .redis) { outbreak in
            await outbreak.world.redis(["SCRIPT", "FLUSH"])
            await outbreak.wait()
        },
        Fault(name: "redis-out-of-memory", aim: .redis) { outbreak in
            let server = await outbreak.server()
            await outbreak.world.configure(server, ["maxmemory": "1"])
            await outbreak.wait()
            await outbreak.world.configure(server, ["maxmemory": "0"])
        },
        Fault(name: "redis-evicts", aim: .redis, losesRecords: true) { outbreak in
            let server = await outbreak.server()
            await outbreak.world.evicts()
            await outbreak.world.configure(server, ["maxmemory-policy": "allkeys-random", "maxmemory": "1"])
            await outbreak.wait()
            await outbreak.world.configure(server, ["maxmemory": "0", "maxmemory-policy": "noeviction"])
        },
        Fault(name: "redis-read-only", aim: .redis) { outbreak in
            let server = await outbreak.world.master()
            await outbreak.world.redis(["REPLICAOF", "127.0.0.1", "1"], at: server)
            await outbreak.wait()
            await outbreak.world.redis(["REPLICAOF", "NO", "ONE"], at: server)
        },
        Fault(name: "redis-closes-connections", aim: .redis) { outbreak in
            let server = await outbreak.server()
            await outbreak.world.redis(["CLIENT", "KILL", "TYPE", "normal"], at: server)
            await outbreak.world.redis(["CLIENT", "KILL", "TYPE", "pubsub"], at: server)
            await outbreak.wait()
        },
    ]

    /// Redis crashes, something happens to its file, and it comes back.
    private static func down(
        _ name: String, losesRecords: Bool, _ change: @escaping @Sendable (_ directory: String) throws -> Void
    ) -> Fault {
        Fault(name: name, aim: .redis, losesRecords: losesRecords) { outbreak in
            let server = await outbreak.server()
            await outbreak.world.kill(server, holdDown: true)
            await outbreak.world.hasEnded(server)
            try change(outbreak.world.redisDirectory(server))
            await outbreak.wait()
            await outbreak.world.letGo(server)
        }
    }

    /// What is rarer than a crash.
    static let odd: [Fault] = [
        Fault(name: "journal-disk-full", aim: .agent) { outbreak in
            let state = outbreak.world.stateDirectory(of: outbreak.target)
            guard outbreak.world.plan.isRoot else { return }
            _ = try Shell.run(["sh", "-c", "cat /dev/zero > \(state)/fill 2> /dev/null; true"])
            await outbreak.wait()
            try Files.remove("\(state)/fill")
        },
        Fault(name: "journal-lost", aim: .agent) { outbreak in
            let world = outbreak.world
            await world.kill(outbreak.target, holdDown: true)
            await world.hasEnded(outbreak.target)
            let state = world.stateDirectory(of: outbreak.target)
            for name in try Files.list(state) where name.hasPrefix("journal") { try Files.remove("\(state)/\(name)") }
            world.history.note("journal-lost", ["p": .string(outbreak.target)])
            await world.letGo(outbreak.target)
            await world.isRegistered(outbreak.target)
        },
        descriptors("coordinator", .coordinator), descriptors("agent", .agent),
        Fault(name: "probe-hangs", aim: .probe) { outbreak in
            let world = outbreak.world
            try Files.replace("\(world.directory)/hang", with: [])
            await world.hangUp(outbreak.target)
            await outbreak.wait()
            try Files.remove("\(world.directory)/hang")
            await world.hangUp(outbreak.target)
        },
        Fault(name: "agent-id-twice", aim: .agent, needsRedis: true) { outbreak in
            await outbreak.world.startTwin(of: outbreak.target)
            await outbreak.wait()
            await outbreak.world.endTwin(of: outbreak.target)
        },
        // Longer than its presence: the other one may speak for the host before this one goes on. Where Redis forgets who
        // spoke last, two agents of one name can both speak: that is for people to avoid.
        Fault(name: "twin-of-a-stopped-agent", aim: .agent, needsRedis: true) { outbreak in
            await outbreak.world.stop(outbreak.target)
            await outbreak.world.startTwin(of: outbreak.target)
            await outbreak.world.loop.sleep(for: .seconds(17))
            await outbreak.world.goOn(outbreak.target)
            await outbreak.wait()
            // The first one's journal knows nothing of the other's leases: they have to run out before it speaks again.
            await outbreak.world.holdDown(outbreak.target)
            await outbreak.world.endTwin(of: outbreak.target)
            await outbreak.world.loop.sleep(for: outbreak.world.plan.longestTTL + outbreak.world.plan.lockDelay)
            await outbreak.world.letGo(outbreak.target)
            await outbreak.world.isRegistered(outbreak.target)
        },
    ]

    /// The program may open nothing more.
    private static func descriptors(_ role: String, _ aim: Aim) -> Fault {
        Fault(name: "no-descriptors-\(role)", aim: aim) { outbreak in
            await outbreak.world.limitDescriptors(of: outbreak.target)
            await outbreak.wait()
            await outbreak.world.unlimitDescriptors(of: outbreak.target)
        }
    }
}

extension World {
    /// Tells a Redis server something, the master where none is named, until it has heard it.
    func redis(_ words: [String], at server: String? = nil) async {
        let name = if let server { server } else { await master() }
        for _ in 0..<20 {
            var command = ChildCommand(["redis-cli", "-s", socket(name)] + words)
            if plan.network != nil {
                command.environment = Environment.all.merging(["REDISCLI_AUTH": Self.secret]) { $1 }
            }
            if let result = try? await ChildProcess.run(command, deadline: .seconds(1), on: loop),
                result.exit == .exited(0), !result.output.starts(with: Array("ERR".utf8))
            {
                return
            }
            await loop.sleep(for: .milliseconds(100))
        }
    }

    /// Changes settings of a Redis server. Where sentinels may have it write its file, that has to say the same.
    func configure(_ server: String, _ settings: KeyValuePairs<String, String>) async {
        for (name, value) in settings { await redis(["CONFIG", "SET", name, value], at: server) }
        if plan.network != nil { await redis(["CONFIG", "REWRITE"], at: server) }
    }

    func master() async -> String { await watch.master }

    func hasEnded(_ name: String) async {
        while programs[name]?.child != nil { await loop.sleep(for: .milliseconds(5)) }
    }

    /// Waits until an agent speaks for its host; one that lost its journal waits for its own former presence to end.
    func isRegistered(_ agent: String) async {
        let http = HTTPClient(loop: loop)
        defer { http.close() }
        let door = HTTPEndpoint.unix(path: "\(stateDirectory(of: agent))/agent.sock")
        let deadline = loop.now + .seconds(40)
        while loop.now < deadline {
            if let answer = try? await http.send(.get, "/health", to: door, timeout: .seconds(1)),
                (try? JSONParser.parse(answer.body))?.object?["registered"]?.bool == true
            {
                return
            }
            await loop.sleep(for: .milliseconds(100))
        }
    }

    func limitDescriptors(of name: String) {
        guard let processID = processID(of: name),
            let open = try? Files.list("/proc/\(processID)/fd").count
        else { return }
        _ = try? Shell.run(["prlimit", "--pid", "\(processID)", "--nofile=\(open):"])
    }

    func unlimitDescriptors(of name: String) {
        guard let processID = processID(of: name) else { return }
        _ = try? Shell.run(["prlimit", "--pid", "\(processID)", "--nofile=4096:"])
    }

    /// Another agent with the id of this one's host, and nothing of what that knows.
    func startTwin(of agent: String) {
        guard let index = Int(agent.dropFirst()) else { return }
        let name = "twin-\(agent)"
        do {
            let state = "\(directory)/state-\(name)"
            try Files.removeTree(state)
            try Files.makeDirectory(state)
            let link = "unix://\(directory)/\(agent)-redis.relay"
            try start(name, agentCommand(index, state: state, link: link), environment: try probed(index))
            history.note("twin", ["p": .string(name)])
        } catch {
            history.note("twin-failed", ["why": .string("\(error)")])
        }
    }

    func endTwin(of agent: String) async {
        retire("twin-\(agent)")
        terminate("twin-\(agent)")
        for _ in 0..<60 where programs["twin-\(agent)"]?.child != nil { await loop.sleep(for: .milliseconds(50)) }
        kill("twin-\(agent)")
        await hasEnded("twin-\(agent)")
        history.note("twin-over", ["p": .string("twin-\(agent)")])
    }
}
