import EventLoop
import TestSupport
import Testing

extension EndToEnd {
    /// `leasehold run` beside an agent and a coordinator.
    @Suite struct `A program under a lease` {
        @Test func `ends as soon as leasehold itself is killed, and its unit is free then`() async throws {
            try await withService { service in
                let run = try await service.run("train", ["--ttl", "600"], "echo $$ > began; exec sleep 600")
                let program = try await service.processID(in: "began")
                try await service.bridge.expectOwner("train")
                let next = service.bridge.waiting("next")
                try await service.bridge.expectQueueDepth(1)
                try await eventually("the agent watches the program") { service.hasLogged("process_watched") }
                #expect(await run.kill() == .signalled(9))
                #expect(try await next.value.isAcquired, "long before its time is over")
                #expect(ProcessGroup.startTicks(ofProcess: program) == nil)
            }
        }

        @Test func `outlasts an agent that is started again`() async throws {
            try await withService { service in
                let run = try await service.run(
                    "train", ["--ttl", "600"], "echo $$ > began; while [ ! -e end ]; do sleep 0.02; done; exit 7")
                _ = try await service.processID(in: "began")
                try await eventually("the agent watches the program") { service.hasLogged("process_watched") }
                await service.agent.terminate()
                try await service.startAgent()
                try await eventually("the next agent is told of it") { service.hasLogged("process_watched") }
                try Files.replace("\(service.redis.directory)/end", with: [])
                #expect(await run.finish() == .exited(7))
                #expect(try await service.bridge.acquire("next").isAcquired)
            }
        }
    }
}

extension Service {
    /// `leasehold run` with a shell script, which runs in the directory of the test's Redis.
    func run(_ id: String, _ options: [String], _ script: String) async throws -> Program {
        try await start(
            "leasehold",
            [
                "run", "--url", "http://127.0.0.1:\(bridge.port)", "--agent-socket",
                "\(redis.directory)/agent/agent.sock", "--id", id,
            ] + options + ["--", "/bin/sh", "-c", script], log: id)
    }

    /// The process id that a script has written into a file.
    func processID(in file: String) async throws -> Int32 {
        try await eventually("the program has written \(file)", within: .seconds(20)) {
            let bytes = (try? Files.read("\(self.redis.directory)/\(file)")) ?? []
            return bytes.last == 0x0A ? Int32(String(decoding: bytes.dropLast(), as: UTF8.self)) : nil
        }
    }

    /// Whether the agent that was started last has said this.
    func hasLogged(_ word: String) -> Bool { agent.said.contains(word) }
}
