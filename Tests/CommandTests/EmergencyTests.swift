import JSON
import TestSupport
import Testing

@testable import leasehold

@Suite struct `Emergency calls` {
    private static let answers: Scene.Answers = { path, _, _ in
        path == "/v1/gpu/status"
            ? (200, Sample.status())
            : (
                200,
                [
                    "status": .string("reset"), "released": .integer(2), "ending": .integer(1),
                    "refused": .integer(4), "hosts": .object(["node1": .integer(2)]),
                ]
            )
    }

    @Test func `ask before they act`() async throws {
        try await withScene(Self.answers) { scene in
            let no = await scene.run(["force-release", "--reason", "power"], input: ["n"])
            #expect(no.code == 1)
            #expect(no.error.contains("1 lease of the whole pool (Root-Mic) will be ended and every request"))
            #expect(!scene.asked.contains("/v1/gpu/force-release-all"))
            let other = await scene.run(["reset", "--holder", "other"], input: [""])
            #expect(other.code == 1 && other.error.contains("No lease of holder other"))
            let yes = await scene.run(["force-release", "--reason", "power"], input: ["Yes"])
            #expect(yes.code == 0)
            #expect(
                yes.output
                    == "2 leases ended, 1 still being ended by their agents, 4 waiting requests refused (node1: 2).\n")
            #expect(scene.bodies(of: "/v1/gpu/force-release-all").map { $0.text("reason") } == ["power"])
        }
    }

    @Test func `with nobody to ask they want to be told`() async throws {
        try await withScene(Self.answers) { scene in
            let ended = await scene.run(["reset"])
            #expect(ended.code == 2 && ended.error.contains("--yes"))
            #expect(scene.asked.isEmpty)
            #expect(await scene.run(["reset", "--unit", "node1/0", "--yes"]).code == 0)
            #expect(scene.bodies(of: "/v1/gpu/reset").map { $0.text("unit") } == ["node1/0"])
            #expect(await scene.run(["--force-release"]).code == 0, "the former flag, called by a script")
        }
    }

    @Test func `hosts are shown, cordoned and taken back`() async throws {
        try await withScene { (path, body, _) in
            path == "/v1/gpu/status" ? (200, Sample.status()) : (200, ["status": .string("cordoned")])
        } _: { scene in
            let table = await scene.run(["hosts"]).output
            #expect(table.split(separator: "\n").last == "node1  present     2     1")
            #expect(await scene.run(["cordon", "node1", "--reason", "fan"]).output.hasPrefix("node1 is cordoned"))
            #expect(await scene.run(["uncordon", "node1"]).output == "node1 is in service again.\n")
            let bodies = scene.bodies(of: "/v1/gpu/cordon")
            #expect(bodies.map { $0.isTrue("on") } == [true, false])
            #expect(bodies[0].text("reason") == "fan")
        }
    }

    @Test func `waiting for a drain can be left, and ends with it`() async throws {
        try await withScene { (path, _, count) in
            guard path == "/v1/gpu/status" else {
                return (200, ["status": .string("draining"), "host": .string("node1"), "leases": .integer(1)])
            }
            var status = Sample.status()
            status["hosts"] = .array([.object(["host": .string("node1"), "draining": .bool(count == 0)])])
            return (200, status)
        } _: { scene in
            let ended = await scene.run(["drain", "node1", "--deadline", "90", "--reason", "fan"])
            #expect(ended.code == 1 && ended.error.contains("was ended by somebody else"))
            let body = try #require(scene.bodies(of: "/v1/gpu/drain").first)
            #expect(body.number("deadline") == 90 && body.text("reason") == "fan")
            let left = try await scene.run(["drain", "node1"]) { await scene.interruptions.heard(.interrupt) }
            #expect(left.code == 130 && left.error.contains("still being drained"))
        }
    }

    @Test(arguments: [(true, 0), (false, 1)])
    func `verify tells by its exit code`(_ isCurrent: Bool, _ code: Int32) async throws {
        try await withScene { (_, _, _) in
            (200, ["current": .bool(isCurrent), "source": .string("agent")])
        } _: { scene in
            #expect(await scene.run(["verify", Sample.lease]).code == code)
            #expect(await scene.run(["verify", "node1/0", "1764000000000000"]).code == code)
            #expect(
                scene.bodies(of: "/v1/gpu/verify").allSatisfy { $0.integer("fencing_token") == 1_764_000_000_000_000 })
        }
    }
}
