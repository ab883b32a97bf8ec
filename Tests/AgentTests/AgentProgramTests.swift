import EventLoop
import LeaseModel
import LeaseStore
import TestSupport
import Testing

@testable import Agent

@Suite struct `The program leasehold-agent` {
    @Test func `stops when it is asked, and its leases stand for the next start`() async throws {
        try await withScene { scene in
            let first = try await scene.program("--first-join")
            let lease = try await scene.grant("t1")
            try await scene.redis.loop.run { first.signal(.terminate) }
            #expect(await first.finish().exit == .exited(0))
            #expect(try await scene.store.snapshot().hosts.map(\.isPresent) == [false])
            let second = try await scene.program()
            try await eventually("the host is back", is: [true]) {
                try await scene.store.snapshot().hosts.map(\.isPresent)
            }
            #expect(try await scene.record(of: "t1")?.lease == lease)
            try await scene.redis.loop.run { second.signal(.interrupt) }
            #expect(await second.finish().exit == .exited(0))
        }
    }

    @Test func `goes on after a crash with what its journal says, without waiting for its own presence to lapse`()
        async throws
    {
        try await withScene { scene in
            let first = try await scene.program("--first-join")
            let lease = try await scene.grant("t1")
            let before = try await scene.store.snapshot().hosts.map(\.instance)
            try await scene.redis.loop.run { first.signal(.kill) }
            #expect(await first.finish().exit == .signalled(9))
            let second = try await scene.program()
            try await eventually("the successor speaks") {
                try await scene.store.snapshot().hosts.map(\.instance) != before
            }
            #expect(try await scene.record(of: "t1")?.lease == lease)
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await scene.grant("t2").fencing > lease.fencing)
            try await scene.redis.loop.run { second.signal(.terminate) }
            #expect(await second.finish().exit == .exited(0))
        }
    }

    @Test func `says why it does not start, and tells it by its exit code`() async throws {
        try await withScene { scene in
            let first = try await scene.program("--first-join")
            _ = try await scene.grant("t1")
            let busy = await (try await scene.program()).finish()
            #expect(busy.exit == .exited(1))
            #expect(text(busy).contains("belongs to the agent with process id \(first.processID)"))
            let twin = await (try await scene.program("--first-join", state: "other")).finish()
            #expect(twin.exit == .exited(3))
            #expect(text(twin).contains("The host id h1 is live under another agent"))
            let wrong = await (try await scene.program("--simulate=x")).finish()
            #expect(wrong.exit == .exited(2))
            try await scene.redis.loop.run { first.signal(.kill) }
            _ = await first.finish()
        }
    }

    @Test func `makes the state of a new host and ends`() async throws {
        try await withScene { scene in
            let made = await (try await scene.program(before: ["init"], "--max-ttl=0.1", "--lock-delay=0")).finish()
            #expect(made.exit == .exited(0))
            #expect(String(decoding: made.output, as: UTF8.self).contains("is new"))
            let again = await (try await scene.program(before: ["init"], "--max-ttl=0.1", "--lock-delay=0")).finish()
            #expect(again.exit == .exited(0))
            #expect(String(decoding: again.output, as: UTF8.self).contains("has held a journal before"))
            let agent = try await scene.program()
            // Granted without --first-join, so the unit did not rest.
            _ = try await scene.grant("t1")
            try await scene.redis.loop.run { agent.signal(.terminate) }
            #expect(await agent.finish().exit == .exited(0))
        }
    }

    private func text(_ result: ChildResult) -> String { String(decoding: result.errorOutput, as: UTF8.self) }
}

extension Scene {
    /// The program for host `h1` with one invented GPU.
    fileprivate func program(
        before first: [String] = [], _ more: String..., state: String = "program"
    ) async throws -> ChildProcess {
        let folder = Files.directory(of: Environment.executablePath ?? "")
        let arguments =
            ["\(folder)/leasehold-agent"] + first + [
                "--redis", redis.endpoint.description, "--host-id", "h1", "--state-dir",
                "\(redis.directory)/\(state)", "--simulate", "1",
            ] + more
        return try await redis.loop.run {
            var command = ChildCommand(arguments)
            command.diesWithParent = .kill
            return try ChildProcess.start(command, deadline: .seconds(60), on: self.redis.loop)
        }
    }
}
