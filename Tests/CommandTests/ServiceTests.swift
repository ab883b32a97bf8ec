import EventLoop
import JSON
import Synchronization
import TestSupport
import Testing

@testable import leasehold

/// A whole service of this house with two invented GPUs, and commands that call it.
private func withService(_ body: @Sendable (Scene, _ variables: [String: String]) async throws -> Void) async throws {
    try await withScene { scene in
        let directory = "/tmp/lh-up-\(SecureRandom.randomHex(bytes: 6))"
        let programs = Files.directory(of: Environment.executablePath ?? "")
        var command = ChildCommand([
            "\(programs)/leasehold", "up", "--simulate", "2", "--host-id", "node1", "--listen",
            "unix:\(directory).sock",
            "--state", directory,
        ])
        command.diesWithParent = .terminate
        let up = try await scene.loop.run { [command] in
            try ChildProcess.start(command, deadline: .seconds(120), on: scene.loop)
        }
        let variables = [
            "LEASEHOLD_URL": "unix://\(directory).sock", "LEASEHOLD_AGENT_SOCKET": "\(directory)/agent/agent.sock",
            "PATH": "/usr/bin:/bin",
        ]
        do {
            try await eventually("the service has its GPUs", within: .seconds(30)) {
                await scene.run(["status"], variables).output.contains("2 of 2 GPUs free")
            }
            try await body(scene, variables)
        } catch {
            try await end(up, scene, directory)
            throw error
        }
        try await end(up, scene, directory)
    }
}

private func end(_ up: ChildProcess, _ scene: Scene, _ directory: String) async throws {
    try await scene.loop.run { up.signal(.terminate) }
    _ = await up.finish()
    try Files.removeTree(directory)
    try Files.remove(directory + ".sock")
}

@Suite struct `Commands against a running service` {
    @Test func `the life of a lease`() async throws {
        try await withService { scene, variables in
            let locked = await scene.run(["lock", "Root-Mic", "--unit", "node1/1"], variables)
            #expect(locked.code == 0)
            let token = String(locked.output.dropLast())
            try await eventually("the lease is shown") {
                let status = await scene.run(["status"], variables).output
                return status.contains("1 of 2 GPUs free") && status.contains("Root-Mic")
            }
            let holding = variables.merging(["LEASEHOLD_LEASE_TOKEN": token]) { $1 }
            #expect(await scene.run(["renew"], holding).output.contains("it stands for 1m 5"))
            let lease = String(token.prefix { $0 != "." })
            #expect(
                await scene.run(["verify", lease], variables).output.hasPrefix("\(lease) is current, held by Root-Mic.")
            )
            let agent = ["--agent-socket", variables["LEASEHOLD_AGENT_SOCKET"] ?? ""]
            #expect(await scene.run(["verify", lease] + agent, variables).output.contains("Told by the unit's agent."))
            let refused = await scene.run(["lock", "x", "--unit", "node1/1", "--timeout", "0"], variables)
            #expect(refused.code == 1)
            #expect(await scene.run(["unlock"], holding).code == 0)
            #expect(await scene.run(["unlock"], holding).code == 1)
            try await eventually("it is stale", is: 1) { await scene.run(["verify", lease], variables).code }
            #expect(await scene.run(["lock", "x", "--unit", "node1/9"], variables).code == 2)
        }
    }

    @Test func `a wait shows its place, and leaves none behind when it is interrupted`() async throws {
        try await withService { scene, variables in
            #expect(await scene.run(["lock", "a", "--unit", "node1/0"], variables).code == 0)
            let ended = try await scene.run(["lock", "b", "--unit", "node1/0"], variables) {
                try await eventually("the place is told") { scene.error.contains("1st, a holds node1/0") }
                await scene.interruptions.heard(.interrupt)
            }
            #expect(ended.code == 130)
            // The coordinator's copy follows its events; a place that was only abandoned would stand for 5 s.
            try await eventually("nobody waits", within: .seconds(3)) {
                document(await scene.run(["status", "--brief", "--json"], variables).output)?.integer("queue_depth")
                    == 0
            }
        }
    }

    @Test func `selftest finds nothing, with GPUs free and with none`() async throws {
        try await withService { scene, variables in
            let free = await scene.run(["selftest", "--json"], variables)
            #expect(free.code == 0, "\(free)")
            let checks = try #require(document(free.output)).objects("checks")
            #expect(checks.contains { $0.text("name") == "unlock again" })
            for id in ["a", "b"] { #expect(await scene.run(["lock", id], variables).code == 0) }
            try await eventually("both leases are shown") {
                await scene.run(["status"], variables).output.contains("0 of 2 GPUs free")
            }
            let busy = await scene.run(["selftest"], variables)
            #expect(busy.code == 0 && busy.output.contains("No GPU is free at present"), "\(busy)")
        }
    }

    @Test func `a program runs under its lease and ends with it`() async throws {
        try await withService { scene, all in
            let began = (all["LEASEHOLD_AGENT_SOCKET"] ?? "") + ".began"
            // Its agent is found, although its state directory is none of the usual ones and its host none by that name.
            let variables = all.filter { $0.key != "LEASEHOLD_AGENT_SOCKET" }
            let ended = await scene.run(["run", "--", "sh", "-c", "exit 5"], variables)
            #expect(ended == Ended(code: 5, output: "", error: ""))
            let script = "trap 'exit 9' TERM; echo > \(began); while :; do sleep 0.05; done"
            let other = Scene(loop: scene.loop)
            let job = try await scene.run(
                ["run", "--id", "job", "--unit", "node1/1", "--", "sh", "-c", script], variables
            ) {
                try await eventually("it holds") {
                    await other.run(["status"], variables).output.contains("job")
                }
                try await eventually("it can be asked to end") { Files.exists(began) }
                #expect(!scene.error.contains("warning"), "its agent was found: \(scene.error)")
                let reset = await other.run(["reset", "--holder", "job", "--yes", "--reason", "update"], variables)
                #expect(reset.output.hasPrefix("1 lease"))
            }
            #expect(job.code == 9)
            try await eventually("the unit is free") {
                await other.run(["status"], variables).output.contains("2 of 2 GPUs free")
            }
        }
    }

    /// `script` gives the command a terminal of its own, as a person's shell would.
    @Test func `the program has the terminal, and leasehold has it back afterwards`() async throws {
        try await withService { scene, variables in
            let directory = Files.directory(of: Files.directory(of: variables["LEASEHOLD_AGENT_SOCKET"] ?? ""))
            let program =
                "read -r line < /proc/$$/stat; set -- $line; echo group=$5 foreground=$8; read word; "
                + "echo got $word; exit 3"
            try Files.replace("\(directory)/program", with: Array(program.utf8))
            let leasehold = "\(Files.directory(of: Environment.executablePath ?? ""))/leasehold"
            let line = "\(leasehold) run -- sh \(directory)/program; echo code=$?; stty -a >/dev/null && echo mine"
            var command = ChildCommand(["script", "-qec", line, "/dev/null"])
            command.environment = variables
            command.input = .bytes(Array("hello\n".utf8))
            let result = try await ChildProcess.run(command, deadline: .seconds(90), on: scene.loop)
            let output = String(decoding: result.output, as: UTF8.self)
            let found = try #require(output.firstMatch(of: /group=([0-9]+) foreground=([0-9]+)/), "\(output)")
            #expect(found.1 == found.2)
            for part in ["got hello", "code=3", "mine"] { #expect(output.contains(part), "\(output)") }
        }
    }

    @Test func `events, hosts and cordons`() async throws {
        try await withService { scene, variables in
            let other = Scene(loop: scene.loop)
            let words = ["events", "--after", "0", "--type", "cordoned"]
            let followed = try await other.run(words, variables) {
                #expect(await scene.run(["cordon", "node1", "--reason", "new fan"], variables).code == 0)
                try await eventually("the host is shown as cordoned") {
                    await scene.run(["hosts"], variables).output.contains("node1  cordoned")
                }
                #expect(await scene.run(["lock", "x", "--timeout", "0"], variables).code == 1)
                #expect(await scene.run(["uncordon", "node1"], variables).code == 0)
                #expect(await scene.run(["cordon", "node9"], variables).code == 2)
                try await eventually("the event is told") { other.output.contains("cordoned       host=node1") }
                await other.interruptions.heard(.interrupt)
            }
            #expect(followed.code == 130)
        }
    }

    @Test func `a host is drained`() async throws {
        try await withService { scene, variables in
            #expect(await scene.run(["drain", "node9"], variables).code == 2)
            let token = await scene.run(["lock", "train"], variables).output
            let begun = await scene.run(["drain", "node1", "--no-wait"], variables)
            #expect(begun.code == 0 && begun.output.contains("1 lease to go"))
            try await eventually("the host is shown as draining") {
                await scene.run(["hosts"], variables).output.contains("node1  draining")
            }
            #expect(await scene.run(["lock", "x", "--timeout", "0"], variables).code == 1)
            let other = Scene(loop: scene.loop)
            let waited = try await other.run(["drain", "node1", "--json"], variables) {
                try await eventually("it tells who is waited for") {
                    other.written.withLock { $0.error } == "node1: 1 lease to go (train).\n"
                }
                _ = await scene.run(["unlock", String(token.dropLast())], variables)
            }
            let answer = try #require(document(waited.output))
            #expect(waited.code == 0 && answer.text("status") == "drained" && answer.integer("leases") == 0)
            #expect(await scene.run(["hosts"], variables).output.contains("node1  drained"))

            #expect(await scene.run(["uncordon", "node1"], variables).code == 0)
            #expect(await scene.run(["lock", "train"], variables).code == 0)
            let forced = await scene.run(["drain", "node1", "--deadline", "0", "--reason", "new fan"], variables)
            #expect(forced.code == 0 && forced.output.hasPrefix("node1 is empty"))
            let ended = await scene.run(["status"], variables)
            #expect(ended.output.contains("Host node1 is being drained") && !ended.output.contains("train"))
        }
    }

    @Test func `doctor finds the service and its agent`() async throws {
        try await withService { scene, variables in
            let ended = await scene.run(["doctor", "--json"], variables.filter { $0.key != "LEASEHOLD_AGENT_SOCKET" })
            let checks = try #require(document(ended.output)).objects("checks")
            for name in ["service", "agent"] {
                #expect(checks.first { $0.text("name") == name }?.text("result") == "ok", "\(ended.output)")
            }
        }
    }

    @Test func `doctor tells an unfit Redis`() async throws {
        try await withRedis { redis in
            let scene = Scene(loop: redis.loop)
            func check() async throws -> JSONObject? {
                let words = ["doctor", "--json", "--redis", redis.endpoint.description]
                return document(await scene.run(words).output)?.objects("checks").first { $0.text("name") == "redis" }
            }
            #expect(try await check()?.text("result") == "ok")
            _ = try await redis.client.command(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])
            let unfit = try await check()
            #expect(unfit?.text("result") == "wrong")
            #expect(unfit?.text("text")?.contains("set it to noeviction") == true)
        }
    }
}

@Suite struct `Commands while the service fails` {
    private static func start(_ words: [String], _ scene: Scene) async throws -> ChildProcess {
        let programs = Files.directory(of: Environment.executablePath ?? "")
        return try await scene.loop.run {
            var command = ChildCommand(["\(programs)/\(words[0])"] + words.dropFirst())
            command.diesWithParent = .kill
            return try ChildProcess.start(command, deadline: .seconds(120), on: scene.loop)
        }
    }

    private static func kill(_ child: ChildProcess, _ scene: Scene) async throws {
        try await scene.loop.run { child.signal(.kill) }
        _ = await child.finish()
    }

    @Test func `a wait, a renewed lease and a stream of events outlive their coordinator`() async throws {
        try await withRedis { redis in
            let scene = Scene(loop: redis.loop)
            let socket = "\(redis.directory)/c.sock"
            let variables = ["LEASEHOLD_URL": "unix://\(socket)"]
            let store = ["--redis", redis.endpoint.description]
            let agent = try await Self.start(
                ["leasehold-agent", "--host-id", "node1", "--simulate", "1", "--first-join", "--state-dir"]
                    + ["\(redis.directory)/agent"] + store, scene)
            let coordinator = ["leasehold-coordinator", "--listen", "unix:\(socket)"] + store
            let first = try await Self.start(coordinator, scene)
            try await eventually("the service has its GPU", within: .seconds(30)) {
                await scene.run(["status"], variables).output.contains("1 of 1 GPU free")
            }
            let holder = Scene(loop: redis.loop)
            let watcher = Scene(loop: redis.loop)
            let waiter = Scene(loop: redis.loop)
            let watch = ["events", "--after", "0", "--type", "granted,queued"]
            let second = Mutex<ChildProcess?>(nil)
            let held = try await holder.run(["lock", "a", "--hold", "--ttl", "30"], variables) {
                try await eventually("a holds") { !holder.output.isEmpty }
                _ = try await watcher.run(watch, variables) {
                    let waited = try await waiter.run(["lock", "b"], variables) {
                        try await eventually("b waits") { watcher.output.contains("queued         holder=b") }
                        try await Self.kill(first, scene)
                        let started = try await Self.start(coordinator, scene)
                        second.withLock { $0 = started }
                        try await eventually("both go on") {
                            await scene.run(["status", "--brief"], variables).output.contains("Waiting: b")
                        }
                        await holder.interruptions.heard(.interrupt)
                    }
                    #expect(waited.code == 0, "\(waited.error)")
                    try await eventually("the grant is told") { watcher.output.contains("granted        holder=b") }
                    await watcher.interruptions.heard(.interrupt)
                }
            }
            #expect(held.code == 0, "\(held.error)")
            if let second = second.withLock(\.self) { try await Self.kill(second, scene) }
            try await Self.kill(agent, scene)
        }
    }
}
