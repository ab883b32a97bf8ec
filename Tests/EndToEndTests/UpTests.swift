import EventLoop
import HTTP
import TestSupport
import Testing

extension EndToEnd {
    /// `leasehold up`, with its private Redis.
    @Suite struct `Everything on one machine` {
        private struct Up: Sendable {
            let program: Program
            let bridge: Bridge
            let directory: String
            let client: HTTPClient
            let loop: EventLoop

            /// The process id of the Redis that it says it has.
            var redis: Int32 {
                get throws {
                    let said = program.said
                    let range = try #require(said.firstRange(of: "a private one, process "))
                    return try #require(Int32(said[range.upperBound...].prefix { $0.isNumber }))
                }
            }

            func start(_ more: String...) async throws -> Up {
                try await Up.start(directory, client, loop, more)
            }

            static func start(
                _ directory: String, _ client: HTTPClient, _ loop: EventLoop, _ more: [String] = []
            ) async throws -> Up {
                let log = "\(directory)/up-\(SecureRandom.randomHex(bytes: 4)).log"
                let program = try await Program.start(
                    "leasehold",
                    [
                        "up", "--state", "\(directory)/state", "--listen", "127.0.0.1:0", "--simulate", "2",
                        "--host-id", "h1",
                    ]
                        + more, log: log, on: loop)
                do {
                    let bridge = try await Bridge(program, client: client)
                    try await bridge.waitUntilReady()
                    return Up(program: program, bridge: bridge, directory: directory, client: client, loop: loop)
                } catch {
                    await program.kill()
                    throw error
                }
            }
        }

        /// A folder of the test's own, which goes with it.
        private func withDirectory(
            _ body: @Sendable (_ directory: String, _ client: HTTPClient, _ loop: EventLoop) async throws -> Void
        ) async throws {
            try await withLoop { loop in
                let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
                try Files.makeDirectory(directory)
                let client = HTTPClient(loop: loop)
                defer {
                    client.close()
                    try? Files.removeTree(directory)
                }
                try await body(directory, client, loop)
            }
        }

        private func withUp(_ body: @Sendable (Up) async throws -> Void) async throws {
            try await withDirectory { directory, client, loop in
                let up = try await Up.start(directory, client, loop)
                do {
                    try await body(up)
                } catch {
                    await up.program.kill()
                    throw Failed(error: error, said: up.program.said)
                }
                await up.program.kill()
            }
        }

        private func isAlive(_ process: Int32) -> Bool { ProcessGroup.startTicks(ofProcess: process) != nil }

        @Test func `its end ends all of it, and a second one on the same directory is refused`() async throws {
            try await withUp { up in
                let second = try await Program.start(
                    "leasehold", ["up", "--state", "\(up.directory)/state", "--listen", "127.0.0.1:0"],
                    log: "\(up.directory)/second.log", on: up.loop)
                #expect(await second.finish() == .exited(1))
                #expect(
                    second.said
                        == "leasehold up: Another `leasehold up` runs on \(up.directory)/state, as process \(up.program.processID). "
                        + "Stop that one, or name another directory with --state.\n")
                #expect(try await up.bridge.acquire("works").isAcquired)
                #expect(up.program.said.hasPrefix("Leasehold "), "the banner comes first: \(up.program.said)")
                let redis = try up.redis
                #expect(isAlive(redis))
                #expect(await up.program.terminate() == .exited(0))
                #expect(!isAlive(redis))
            }
        }

        @Test func `a start that failed does not make the next one's units rest`() async throws {
            try await withUp { up in
                let directory = "\(up.directory)/other"
                try Files.makeDirectory(directory)
                let options = ["up", "--state", "relative", "--simulate", "1", "--host-id", "h2", "--listen"]
                let failed = try await Program.start(
                    "leasehold", options + ["127.0.0.1:\(up.bridge.port)"], log: "\(directory)/failed.log",
                    directory: directory, on: up.loop)
                #expect(await failed.finish() == .exited(1))
                #expect(failed.said.contains("cannot listen at 127.0.0.1:\(up.bridge.port)"))
                let second = try await Program.start(
                    "leasehold", options + ["127.0.0.1:0"], log: "\(directory)/second.log", directory: directory,
                    on: up.loop)
                do {
                    let bridge = try await Bridge(second, client: up.client)
                    try await bridge.waitUntilReady()
                    #expect(try await bridge.lock("first", timeout: 5).isAcquired)
                } catch {
                    await second.kill()
                    throw Failed(error: error, said: second.said)
                }
                #expect(await second.terminate() == .exited(0))
            }
        }

        @Test func `killed, it leaves no Redis behind and its leases stand when it is back`() async throws {
            try await withUp { up in
                let held = try await up.bridge.acquire("holder")
                let redis = try up.redis
                await up.program.kill()
                try await eventually("Redis has ended") { !self.isAlive(redis) }
                let again = try await up.start()
                do {
                    #expect(try await again.bridge.renewedSoon(held.token))
                    try await eventually("the lease is shown", is: [held.word("lease"): "holder"]) {
                        try await again.bridge.status().leases
                    }
                    let other = try await again.bridge.acquire("other")
                    #expect(other.word("unit") != held.word("unit"))
                    #expect(other.fencing > held.fencing)
                    #expect(try await again.bridge.unlock(held.token).word("status") == "released")
                    #expect(await again.program.terminate() == .exited(0))
                } catch {
                    await again.program.kill()
                    throw error
                }
            }
        }

        @Test func `a Redis that is killed is started again, nothing is granted twice and waiters are served`()
            async throws
        {
            try await withUp { up in
                let bridge = up.bridge
                var held = [try await bridge.acquire("a"), try await bridge.acquire("b")]
                let calls = (0..<20).map { bridge.waiting("w\($0)") }
                try await bridge.expectQueueDepth(20)
                let order = try await bridge.status().queued
                #expect(kill(try up.redis) == 0)
                var fencing: Int64 = held.map(\.fencing).max() ?? 0
                for holder in held { #expect(try await bridge.renewedSoon(holder.token)) }
                try await bridge.expectQueued(order)
                // One unit is handed through the queue while the other one stays with its holder.
                for holder in order {
                    #expect(try await bridge.unlock(held[0].token).word("status") == "released")
                    let call = try #require(Int(holder.dropFirst()))
                    let next = try await calls[call].value
                    #expect(next.isAcquired && next.word("unit") == held[0].word("unit"))
                    #expect(next.fencing > fencing)
                    (held[0], fencing) = (next, next.fencing)
                }
                #expect(try await bridge.renew(held[1].token).status == 200)
            }
        }

        @Test func `it is ready when its own GPUs are there, and what came earlier finds its agent all the same`()
            async throws
        {
            try await withDirectory { directory, client, loop in
                let up = try await Program.start(
                    "leasehold",
                    [
                        "up", "--state", "\(directory)/state", "--listen", "127.0.0.1:0", "--simulate", "2",
                        "--host-id", "h1", "--log-level", "info",
                    ], log: "\(directory)/up.log", on: loop)
                do {
                    let bridge = try await Bridge(up, client: client)
                    // Before anybody knows of a host.
                    let run = try await Program.start(
                        "leasehold",
                        [
                            "run", "--url", "http://127.0.0.1:\(bridge.port)", "--ttl", "600", "--", "/bin/sh", "-c",
                            "echo $$ > began; exec sleep 600",
                        ], log: "\(directory)/run.log", directory: directory, on: loop)
                    try await bridge.waitUntilReady()
                    #expect(try await bridge.status().units["h1/0"] != nil, "ready, and its GPUs are not there")
                    let process = try await eventually("the program runs", within: .seconds(30)) {
                        let bytes = (try? Files.read("\(directory)/began")) ?? []
                        return bytes.last == 0x0A ? Int32(String(decoding: bytes.dropLast(), as: UTF8.self)) : nil
                    }
                    try await eventually("the agent watches the program") { up.said.contains("process_watched") }
                    #expect(!run.said.contains("agent"), "\(run.said)")
                    await run.kill()
                    try await eventually("the program has ended with it") { !self.isAlive(process) }
                } catch {
                    await up.kill()
                    throw Failed(error: error, said: up.said)
                }
                #expect(await up.terminate() == .exited(0))
            }
        }

        private func kill(_ process: Int32) -> Int { ProcessGroup.signal(process, .kill) ? 0 : 1 }
    }
}
