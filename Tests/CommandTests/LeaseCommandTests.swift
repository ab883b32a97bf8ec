import JSON
import TestSupport
import Testing

@testable import leasehold

@Suite struct `Taking and giving back leases` {
    @Test func `lock prints the token alone and tells people the rest`() async throws {
        try await withScene { (_, body, _) in
            (200, Sample.granted(body.text("id") ?? "?"))
        } _: { scene in
            let ended = await scene.run([
                "lock", "Root-Mic", "--min-vram-mb", "24000", "--label", "zone=a", "--affinity", "model:qwen",
                "--count", "2",
            ])
            #expect(ended.code == 0)
            #expect(ended.output == Sample.token + "\n")
            #expect(ended.error.contains("Granted node1/0 to Root-Mic after 12ms"))
            #expect(ended.error.contains("CUDA_VISIBLE_DEVICES=GPU-1234"))
            #expect(ended.error.contains("leasehold renew"))
            #expect(!ended.error.contains(Sample.token), "the token is told once")
            let body = try #require(scene.bodies(of: "/v1/gpu/lock").first)
            #expect(body.text("id") == "Root-Mic")
            #expect(body.integer("min_vram_mb") == 24000)
            #expect(body["labels"]?.object?.text("zone") == "a")
            #expect(body.text("affinity") == "model:qwen")
            #expect(body.integer("ttl") == 120)
            #expect(body.integer("count") == 2)
            #expect(body.text("request_id")?.count == 32)
        }
    }

    @Test func `lock keeps its place when the coordinator stops`() async throws {
        try await withScene { (_, body, count) in
            count == 0
                ? (503, Sample.error("shutting_down", "This coordinator stops.")) : (200, Sample.granted("train"))
        } _: { scene in
            let ended = await scene.run(["lock", "train"])
            #expect(ended.code == 0)
            let bodies = scene.bodies(of: "/v1/gpu/lock")
            #expect(bodies.count == 2)
            #expect(bodies[0].text("request_id") == bodies[1].text("request_id"))
            #expect(bodies[1].number("timeout").map { $0 < 120 } == true)
        }
    }

    @Test func `a wait that ends without a lease is told apart from a service that is not there`() async throws {
        let timeout: JSONObject = [
            "status": .string("timeout"), "error": .string("timeout"), "msg": .string("GPU Queue Timeout"),
        ]
        try await withScene { (_, _, _) in
            (503, timeout)
        } _: { scene in
            let ended = await scene.run(["lock", "train", "--timeout", "0", "--json"])
            #expect(ended.code == 1)
            #expect(document(ended.output)?.text("status") == "timeout")
            #expect(ended.error.contains("Nothing that fits is free now. Wait longer with --timeout"))
        }
        try await withScene { scene in
            let ended = await scene.run(["lock", "train"], ["LEASEHOLD_URL": "unix:///tmp/no-such-leasehold.sock"])
            #expect(ended.code == 3)
            #expect(ended.error.contains("Is a coordinator running there?"))
            let program = await scene.run(["status", "--json"], ["LEASEHOLD_URL": "unix:///tmp/no-such.sock"])
            #expect(document(program.output)?.text("error") == "unreachable")
        }
    }

    @Test func `a signal while waiting gives the place up at once`() async throws {
        try await withScene { (path, _, count) in
            guard path == "/v1/gpu/lock" else { return (404, [:]) }
            return count == 0 ? nil : (503, Sample.error("timeout", "GPU Queue Timeout"))
        } _: { scene in
            let ended = try await scene.run(["lock", "train"]) {
                try await eventually("the lock call is under way") { scene.asked.contains("/v1/gpu/lock") }
                await scene.interruptions.heard(.interrupt)
            }
            #expect(ended.code == 130)
            #expect(ended.error.contains("Given up"))
            // A named request outlives its connection for a while, so it is asked again without patience.
            let bodies = scene.bodies(of: "/v1/gpu/lock")
            #expect(bodies.count == 2 && bodies[0].text("request_id") == bodies[1].text("request_id"))
            #expect(bodies[1].number("timeout") == 0.01)
        }
    }

    @Test func `hold renews until a signal and then gives back`() async throws {
        try await withScene { (path, _, _) in
            switch path {
            case "/v1/gpu/lock": (200, Sample.granted("train", ttl: 0.3, expires: 60))
            case "/v1/gpu/renew": (200, ["status": .string("renewed"), "expires_in": .number(0.3)])
            default: (200, ["status": .string("released"), "released": .integer(1)])
            }
        } _: { scene in
            let ended = try await scene.run(["lock", "train", "--hold", "--ttl", "0.3"]) {
                try await eventually("two renewals") { scene.bodies(of: "/v1/gpu/renew").count >= 2 }
                await scene.interruptions.heard(.terminate)
            }
            #expect(ended.code == 0)
            #expect(ended.error.hasSuffix("Given back.\n"))
            #expect(scene.bodies(of: "/v1/gpu/unlock").map { $0.text("token") } == [Sample.token])
        }
    }

    @Test func `hold ends when the lease is over`() async throws {
        try await withScene { (path, _, _) in
            path == "/v1/gpu/lock"
                ? (200, Sample.granted("train", ttl: 0.3, expires: 60))
                : (410, Sample.error("revoked", "Revoked by ops: update."))
        } _: { scene in
            let ended = await scene.run(["lock", "train", "--hold"])
            #expect(ended.code == 1)
            #expect(ended.error.contains("is lost. Revoked by ops: update."))
            #expect(scene.bodies(of: "/v1/gpu/unlock").isEmpty)
        }
    }

    @Test func `unlock and renew find the token where it was put`() async throws {
        try await withScene { (path, _, _) in
            path == "/v1/gpu/renew"
                ? (200, ["status": .string("renewed"), "lease": .string(Sample.lease), "expires_in": .number(119)])
                : (200, ["status": .string("released"), "released": .integer(1)])
        } _: { scene in
            let variable = await scene.run(["renew"], ["LEASEHOLD_LEASE_TOKEN": Sample.token])
            #expect(variable.output.hasPrefix("Renewed \(Sample.lease): it stands for 1m 5"))
            #expect(await scene.run(["unlock", Sample.token]).output == "Given back.\n")
            #expect(await scene.run(["unlock", "-"], input: [Sample.token]).code == 0)
            #expect(await scene.run(["unlock", "--id", "Root-Mic"]).code == 0)
            let bodies = scene.bodies(of: "/v1/gpu/unlock")
            #expect(bodies.map { $0.text("token") } == [Sample.token, Sample.token, nil])
            #expect(bodies[2].text("id") == "Root-Mic")
            let wrong = await scene.run(["unlock", "Root-Mic"])
            #expect(wrong.code == 2)
            #expect(wrong.error.contains("leasehold unlock --id Root-Mic"))
            #expect(await scene.run(["unlock"]).code == 2)
        }
    }

    @Test func `nothing freed is no success`() async throws {
        try await withScene { (_, _, _) in
            (200, ["status": .string("not_held"), "released": .integer(0), "msg": .string("Nothing is held.")])
        } _: { scene in
            let ended = await scene.run(["unlock", "--id", "x"])
            #expect(ended == Ended(code: 1, output: "", error: "leasehold: Nothing is held.\n"))
        }
    }

    @Test(arguments: [
        (400, "bad_request", 2), (401, "Unauthorized. Invalid Token.", 4), (403, "forbidden", 4),
        (404, "unknown_unit", 2), (409, "moved", 1), (410, "expired", 1), (429, "too_many_waiting", 3),
        (503, "force_released", 1), (503, "unanswered", 3), (500, "internal", 3),
    ])
    func `every refusal has its exit code`(_ status: Int, _ word: String, _ code: Int32) async throws {
        try await withScene { (_, _, _) in
            (status, Sample.error(word, "What to do."))
        } _: { scene in
            let ended = await scene.run(["renew", Sample.token])
            #expect(ended.code == code)
            #expect(ended.error.hasPrefix("leasehold: "))
        }
    }
}
