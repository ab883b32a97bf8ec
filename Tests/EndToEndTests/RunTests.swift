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

        @Test func `that runs already is adopted: it ends with the lease`() async throws {
            try await withService { service in
                let training = try await service.script("echo $$ > began; exec sleep 600")
                let process = try await service.processID(in: "began")
                let adopt = try await service.adopt(process, ["--ttl", "600", "--id", "train"])
                try await service.bridge.expectOwner("train")
                try await eventually("it is under the lease") { adopt.said.contains("ends with it") }
                let again = try await service.adopt(process, ["--kind", "model-load"])
                #expect(await again.finish() == .exited(1))
                #expect(again.said.contains("runs under another lease"), "\(again.said)")
                _ = try await service.bridge.post("reset", #"{"holder":"train"}"#)
                #expect(await training.finish() == .signalled(15))
                #expect(await adopt.finish() == .exited(1))
                #expect(try await service.bridge.acquire("next").isAcquired)
            }
        }

        @Test func `that was adopted gives its lease back when it ends, and outlasts who adopted it only by its word`()
            async throws
        {
            try await withService(units: 2) { service in
                let first = try await service.script("echo $$ > first; while [ ! -e end ]; do sleep 0.02; done")
                let adopt = try await service.adopt(try await service.processID(in: "first"), ["--ttl", "600"])
                try await eventually("it is under the lease") { adopt.said.contains("ends with it") }
                try Files.replace("\(service.redis.directory)/end", with: [])
                #expect(await first.finish() == .exited(0))
                #expect(await adopt.finish() == .exited(0))
                // By a signal it goes on, killed it does not.
                let second = try await service.script("echo $$ > second; exec sleep 600")
                let process = try await service.processID(in: "second")
                let left = try await service.adopt(process, ["--ttl", "600"])
                try await eventually("it is under the lease") { left.said.contains("ends with it") }
                #expect(await left.terminate() == .exited(143))
                try await service.bridge.expectOwner(nil)
                #expect(ProcessGroup.startTicks(ofProcess: process) != nil)
                let killed = try await service.adopt(process, ["--ttl", "600"])
                try await eventually("it is under the lease") { killed.said.contains("ends with it") }
                await killed.kill()
                #expect(await second.finish() == .signalled(15))
                try await service.bridge.expectOwner(nil)
            }
        }
    }
}

extension Service {
    /// A program that nobody has put under a lease.
    func script(_ text: String) async throws -> Program {
        try await start("/bin/sh", ["-c", text], log: "script")
    }

    func adopt(_ process: Int32, _ options: [String]) async throws -> Program {
        try await start(
            "leasehold",
            [
                "adopt", "\(process)", "--url", "http://127.0.0.1:\(bridge.port)", "--host", "h1", "--agent-socket",
                "\(redis.directory)/agent/agent.sock",
            ] + options, log: "adopt-\(SecureRandom.randomHex(bytes: 3))")
    }

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
