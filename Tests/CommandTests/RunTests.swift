import EventLoop
import JSON
import TestSupport
import Testing

@testable import leasehold

@Suite struct `Running a program under a lease` {
    /// - Parameters:
    ///   - expires: How long the lease stands, whatever its time.
    ///   - renew: What renewals are answered with once the file `began` is there; before, and without, they succeed.
    private static func answers(
        ttl: Double = 30, expires: Double = 60, renew: (Int, JSONObject)? = nil, once began: String = ""
    ) -> Scene.Answers {
        { path, body, _ in
            switch path {
            case "/v1/gpu/status": (200, Sample.status())
            case "/v1/gpu/lock": (200, Sample.granted(body.text("id") ?? "?", ttl: ttl, expires: expires))
            case "/v1/gpu/renew":
                Files.exists(began)
                    ? renew ?? (500, [:]) : (200, ["status": .string("renewed"), "expires_in": .number(expires)])
            default: (200, ["status": .string("released"), "released": .integer(1)])
            }
        }
    }

    /// A directory of its own for what the program writes.
    private static func withDirectory(_ body: @Sendable (String) async throws -> Void) async throws {
        let directory = "/tmp/lh-run-\(SecureRandom.randomHex(bytes: 6))"
        try Files.makeDirectory(directory)
        do {
            try await body(directory)
            try Files.removeTree(directory)
        } catch {
            try Files.removeTree(directory)
            throw error
        }
    }

    private static func text(_ path: String) -> String? {
        (try? Files.read(path)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func `the program gets its GPU, and its code is the code`() async throws {
        try await Self.withDirectory { directory in
            try await withScene(Self.answers()) { scene in
                let script = "env > \(directory)/env; exit 7"
                let ended = await scene.run(
                    ["run", "--id", "train", "--host", "node1", "--", "sh", "-c", script],
                    ["PATH": "/usr/bin:/bin", "LEASEHOLD_LEASE_TOKEN": "of another lease"])
                #expect(ended.code == 7)
                let variables = try #require(Self.text("\(directory)/env")).split(separator: "\n").map(String.init)
                #expect(variables.contains("CUDA_VISIBLE_DEVICES=GPU-1234"))
                #expect(variables.contains("LEASEHOLD_LEASE=\(Sample.lease)"))
                #expect(variables.contains("LEASEHOLD_UNIT=node1/0"))
                #expect(variables.contains("LEASEHOLD_FENCING_TOKEN=1764000000000000"))
                #expect(!variables.contains { $0.contains(Sample.token) || $0.contains("LEASE_TOKEN") })
                #expect(scene.bodies(of: "/v1/gpu/unlock").map { $0.text("token") } == [Sample.token])
                #expect(scene.bodies(of: "/v1/gpu/lock").map { $0.integer("ttl") } == [30])
                #expect(scene.bodies(of: "/v1/gpu/lock").map { $0.integer("grace") } == [30])
            }
        }
    }

    @Test func `a signal that ends the program is told by the code`() async throws {
        try await withScene(Self.answers()) { scene in
            let ended = await scene.run(
                ["run", "--host", "node1", "--", "sh", "-c", "kill -KILL $$"], ["PATH": "/usr/bin:/bin"])
            #expect(ended.code == 137)
            let lock = try #require(scene.bodies(of: "/v1/gpu/lock").first)
            #expect(lock.integer("priority") == 15, "no name of a user or machine decides the priority")
            #expect(lock.text("id")?.hasSuffix(" sh") == true)
        }
    }

    @Test func `a program that is not there costs no lease`() async throws {
        try await withScene(Self.answers()) { scene in
            let variables = ["PATH": "/usr/bin:/bin"]
            #expect(await scene.run(["run", "--", "no-such-program"], variables).code == 127)
            #expect(await scene.run(["run", "--", "/no/such"], variables).code == 127)
            #expect(await scene.run(["run", "--", "/etc/passwd"], variables).code == 126)
            #expect(scene.asked.isEmpty)
        }
    }

    @Test func `a process that is not there is put under no lease, nor one whose agent is not there`() async throws {
        try await withScene(Self.answers()) { scene in
            #expect(await scene.run(["adopt"]).code == 2)
            #expect(await scene.run(["adopt", "train"]).code == 2)
            #expect(await scene.run(["adopt", "2147483647"]).code == 1)
            #expect(scene.asked.isEmpty)
            let own = "\(Environment.processID)"
            let ended = await scene.run(["adopt", own, "--host", "node1", "--agent-socket", "/tmp/no-such.sock"])
            #expect(ended.code == 1)
            #expect(ended.error.contains("Process \(own) is not put under a lease"), "\(ended.error)")
            #expect(scene.bodies(of: "/v1/gpu/unlock").map { $0.text("token") } == [Sample.token])
        }
    }

    @Test func `no lease, no program`() async throws {
        try await withScene { (path, _, _) in
            path == "/v1/gpu/status" ? (200, Sample.status()) : (503, Sample.error("timeout", "GPU Queue Timeout"))
        } _: { scene in
            let ended = await scene.run(["run", "--timeout", "0", "--", "true"], ["PATH": "/usr/bin:/bin"])
            #expect(ended.code == 125)
            #expect(ended.error.contains("Nothing that fits is free now."))
        }
    }

    @Test func `signals go to the program, and a lost lease ends it`() async throws {
        try await Self.withDirectory { directory in
            let script = "trap 'exit 9' TERM; echo > \(directory)/began; while :; do sleep 0.05; done"
            let words = ["run", "--host", "node1", "--ttl", "1", "--", "sh", "-c", script]
            try await withScene(Self.answers()) { scene in
                let ended = try await scene.run(words, ["PATH": "/usr/bin:/bin"]) {
                    try await eventually("the program runs") { Files.exists("\(directory)/began") }
                    await scene.interruptions.heard(.terminate)
                }
                #expect(ended.code == 9)
            }
            try Files.remove("\(directory)/began")
            let over = (410, Sample.error("revoked", "Revoked by ops."))
            try await withScene(Self.answers(ttl: 1, renew: over, once: "\(directory)/began")) { scene in
                let ended = await scene.run(words, ["PATH": "/usr/bin:/bin"])
                #expect(ended.code == 9)
                #expect(ended.error.contains("is lost. Revoked by ops."))
                #expect(scene.bodies(of: "/v1/gpu/unlock").isEmpty, "what is lost is not given back")
            }
        }
    }

    @Test(arguments: [
        (410, "expired", "0.2", 60, "is lost. Told why."), (503, "unanswered", "30", 4, "cannot renew"),
    ])
    func `a program that does not heed is killed after its grace, and before the lease's end`(
        _ status: Int, _ word: String, _ grace: String, _ expires: Double, _ told: String
    ) async throws {
        try await Self.withDirectory { directory in
            let script = "trap '' TERM; echo > \(directory)/began; while :; do sleep 0.05; done"
            let answer = (status, Sample.error(word, "Told why."))
            try await withScene(Self.answers(ttl: 1, expires: expires, renew: answer, once: "\(directory)/began")) {
                scene in
                let began = scene.loop.now
                let ended = await scene.run(
                    ["run", "--host", "node1", "--ttl", "1", "--grace", grace, "--", "sh", "-c", script],
                    ["PATH": "/usr/bin:/bin"])
                #expect(ended.code == 137)
                #expect(ended.error.contains(told), "\(ended.error)")
                #expect(scene.loop.now - began < .seconds(20), "a grace of 30 s does not outlast the lease")
            }
        }
    }

    @Test func `what a program leaves behind is killed before the lease's end, too`() async throws {
        try await Self.withDirectory { directory in
            let script =
                "(trap '' TERM; echo > \(directory)/began; while :; do sleep 0.05; done) & trap 'exit 9' TERM; wait"
            let answer = (503, Sample.error("unanswered", "Told why."))
            try await withScene(Self.answers(ttl: 1, expires: 2, renew: answer, once: "\(directory)/began")) { scene in
                let began = scene.loop.now
                let ended = await scene.run(
                    ["run", "--host", "node1", "--ttl", "1", "--grace", "30", "--", "sh", "-c", script],
                    ["PATH": "/usr/bin:/bin"])
                #expect(ended.code == 9)
                #expect(ended.error.contains("cannot renew"), "\(ended.error)")
                #expect(scene.loop.now - began < .seconds(6), "not 5 s after the program's own end")
            }
        }
    }

    private static let wanted: JSONObject = [
        "status": .string("renewed"), "expires_in": .number(60),
        "preemption": .object(["by": .string("Root-Mic"), "priority": .integer(0), "release_within": .number(9)]),
    ]

    @Test func `asked for its GPU it is told once, by a signal and a command, and gives back`() async throws {
        try await Self.withDirectory { directory in
            let script =
                "trap 'echo >> \(directory)/told' USR1; echo > \(directory)/began; "
                + "while [ ! -e \(directory)/end ]; do sleep 0.02; done; exit 4"
            let command = "echo $LEASEHOLD_PREEMPTED_BY $LEASEHOLD_RELEASE_WITHIN $LEASEHOLD_UNIT >> \(directory)/ran"
            try await withScene(Self.answers(ttl: 0.3, renew: (200, Self.wanted), once: "\(directory)/began")) {
                scene in
                let ended = try await scene.run(
                    [
                        "run", "--host", "node1", "--ttl", "0.3", "--on-preempt", "USR1", "--preempt-command", command,
                        "--", "sh", "-c", script,
                    ], ["PATH": "/usr/bin:/bin"]
                ) {
                    try await eventually("both have heard") {
                        Files.exists("\(directory)/told") && Self.text("\(directory)/ran")?.hasSuffix("\n") == true
                    }
                    let renewals = scene.bodies(of: "/v1/gpu/renew").count
                    try await eventually("it is renewed on") { scene.bodies(of: "/v1/gpu/renew").count > renewals + 2 }
                    try Files.replace("\(directory)/end", with: [])
                }
                #expect(ended.code == 4)
                #expect(Self.text("\(directory)/told") == "\n")
                #expect(Self.text("\(directory)/ran") == "Root-Mic 9 node1/0\n")
                #expect(ended.error.contains("Root-Mic (priority 0) asks for this unit. Give it back within 9s"))
                #expect(scene.bodies(of: "/v1/gpu/unlock").count == 1)
            }
        }
    }

    @Test func `a lease that is held by hand is given back once its command has made room`() async throws {
        try await withScene(Self.answers(ttl: 0.3, renew: (200, Self.wanted), once: "/")) { scene in
            let ended = await scene.run(
                ["lock", "ollama", "--hold", "--ttl", "0.3", "--preempt-command", "exit 5"], ["PATH": "/usr/bin:/bin"])
            #expect(ended.code == 0)
            #expect(ended.error.contains("Root-Mic (priority 0) asks for this unit."))
            #expect(
                ended.error.contains("did not do its work (exit code 5): exit 5."), "told, and given back all the same")
            #expect(ended.error.hasSuffix("Given back.\n"))
            #expect(scene.bodies(of: "/v1/gpu/unlock").count == 1)
        }
    }

    @Test func `warned only, it goes on`() async throws {
        try await Self.withDirectory { directory in
            let over = (410, Sample.error("revoked", "Revoked by ops."))
            try await withScene(Self.answers(ttl: 0.3, renew: over, once: directory)) { scene in
                let script = "while [ ! -e \(directory)/end ]; do sleep 0.02; done; exit 4"
                let ended = try await scene.run(
                    ["run", "--host", "node1", "--on-lost", "warn", "--ttl", "0.3", "--", "sh", "-c", script],
                    ["PATH": "/usr/bin:/bin"]
                ) {
                    try await eventually("the loss is told") { scene.error.contains("Revoked by ops.") }
                    try Files.replace("\(directory)/end", with: [])
                }
                #expect(ended.code == 4)
            }
        }
    }

    @Test func `a dry run shows the variables and gives back`() async throws {
        try await withScene(Self.answers()) { scene in
            let ended = await scene.run(["run", "--dry-run", "--id", "x"])
            #expect(ended.code == 0)
            #expect(
                ended.output == """
                    CUDA_VISIBLE_DEVICES=GPU-1234
                    LEASEHOLD_FENCING_TOKEN=1764000000000000
                    LEASEHOLD_HOLDER=x
                    LEASEHOLD_LEASE=\(Sample.lease)
                    LEASEHOLD_UNIT=node1/0
                    LEASEHOLD_UNITS=node1/0

                    """)
            #expect(scene.bodies(of: "/v1/gpu/unlock").count == 1)
            #expect(scene.bodies(of: "/v1/gpu/lock").map { $0.integer("timeout") } == [0])
        }
    }
}
