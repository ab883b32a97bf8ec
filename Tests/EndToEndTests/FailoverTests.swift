import EventLoop
import HTTP
import TestSupport
import Testing

extension Faults {
    /// Real programs behind real sentinels.
    @Suite struct `What survives a failover` {
        @Test func `to a replica that lacks the last writes, nothing is granted twice and grants go on`() async throws {
            let rounds = Rounds.count(1, "LEASEHOLD_FAILOVERS")
            var pauses: [Duration] = []
            for _ in 0..<rounds { pauses.append(try await failOver()) }
            pauses.sort()
            print(
                "from the master's death to the next grant: median \(pauses[pauses.count / 2]), "
                    + "at most \(pauses[pauses.count - 1]), \(rounds) rounds")
        }

        /// How long nobody was granted anything.
        private func failOver() async throws -> Duration {
            try await withSentinels { sentinels in
                let loop = sentinels.loop
                let client = HTTPClient(loop: loop)
                var programs: [Program] = []
                func start(_ name: String, _ arguments: [String]) async throws -> Program {
                    let program = try await Program.start(
                        name, ["--redis", sentinels.endpoint.description] + arguments,
                        log: "\(sentinels.directory)/\(name).log", directory: sentinels.directory, on: loop)
                    programs.append(program)
                    return program
                }
                do {
                    _ = try await start(
                        "leasehold-agent",
                        [
                            "--host-id", "h1", "--state-dir", "\(sentinels.directory)/agent", "--simulate", "2",
                            "--first-join",
                        ])
                    let bridge = try await Bridge(
                        start("leasehold-coordinator", ["--listen", "127.0.0.1:0"]), client: client)
                    try await bridge.waitUntilReady()
                    let pause = try await self.failOver(sentinels, bridge)
                    client.close()
                    for program in programs { await program.kill() }
                    return pause
                } catch {
                    let said = programs.map { "--- \($0.log)\n\($0.said.suffix(2000))" }.joined(separator: "\n")
                    client.close()
                    for program in programs { await program.kill() }
                    throw Failed(error: error, said: said)
                }
            }
        }

        private func failOver(_ sentinels: TestSentinels, _ bridge: Bridge) async throws -> Duration {
            let loop = sentinels.loop
            try await eventually("both units are free", within: .seconds(20), is: 2) {
                try await bridge.status().units.count { $0.key != "h1/model-load" && $0.value == "free" }
            }
            try await sentinels.holdUpReplication()
            // The replica will never hear of this one.
            let held = try await bridge.acquire("holder")
            await sentinels.servers[0].kill()
            sentinels.servers[1].resume()
            let since = loop.now
            var answer = try await bridge.lock("next", timeout: 60, request: "next")
            while !answer.isAcquired {
                await loop.sleep(for: .milliseconds(20))
                answer = try await bridge.lock("next", timeout: 60, request: "next")
            }
            let pause = loop.now - since
            #expect(answer.word("unit") != held.word("unit"))
            #expect(try await bridge.unlock(answer.token).word("status") == "released")
            try await eventually("the first lease stands", is: "renewed") {
                try await bridge.renew(held.token).word("status")
            }
            // The coordinator's copy hears of it by the stream, on a connection of its own.
            try await eventually("it alone is shown", is: ["holder"]) { try await bridge.status().holders }
            return pause
        }
    }
}
