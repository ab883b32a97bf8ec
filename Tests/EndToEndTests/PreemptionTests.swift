import EventLoop
import TestSupport
import Testing

extension EndToEnd {
    /// Voice over dreamer.
    @Suite struct `A waiter that asks for a unit` {
        private static let preempt = #""preempt":true"#

        /// A pool of one unit whose coordinators leave no lease alone for being young.
        private func withPool(bridges: Int = 1, _ body: @Sendable (Service) async throws -> Void) async throws {
            try await withService(bridges: 0) { service in
                for _ in 0..<bridges { try await service.startBridge("--min-run", "0") }
                try await body(service)
            }
        }

        private func voice(_ bridge: Bridge, request: String? = nil) -> Task<Answer, any Error> {
            Task { try await bridge.lock("Root-Mic", timeout: 60, request: request, more: Self.preempt) }
        }

        @Test func `gets it as soon as the program that held it has ended`() async throws {
            try await withPool { service in
                let rounds = Rounds.count(4, "LEASEHOLD_PREEMPTIONS")
                var waits: [Duration] = []
                for round in 0..<rounds {
                    let script = "trap 'date +%s%N > ended-\(round); exit 7' TERM; echo $$ > began-\(round);"
                    let run = try await service.run(
                        "dreamer-\(round)", ["--priority", "20"], script + " while :; do sleep 0.01; done")
                    _ = try await service.processID(in: "began-\(round)")
                    try await eventually("the agent watches the program") {
                        service.agent.said.matches(of: /process_watched/).count > round
                    }
                    let answer = try await self.voice(service.bridge).value
                    let granted = service.loop.wallClock
                    #expect(answer.isAcquired)
                    let ended = try await service.number(in: "ended-\(round)")
                    waits.append(granted - .nanoseconds(ended))
                    #expect(await run.finish() == .exited(7))
                    #expect(run.said.contains("Root-Mic (priority 0) asks for this unit."), "\(run.said)")
                    try await service.bridge.unlock(answer.token)
                }
                waits.sort()
                let (half, most) = (waits[waits.count / 2], waits[waits.count * 99 / 100])
                print("from the dreamer's exit to the voice's grant: p50 \(half), p99 \(most), \(rounds) rounds")
            }
        }

        @Test func `gets it from one that ignores it at the end of its grace, and not before that is dead`()
            async throws
        {
            try await withPool { service in
                let run = try await service.run(
                    "dreamer", ["--priority", "20", "--grace", "0.5"],
                    "trap '' TERM; echo $$ > began; while :; do sleep 0.02; done")
                let program = try await service.processID(in: "began")
                try await eventually("the agent watches the program") { service.hasLogged("process_watched") }
                let answer = try await self.voice(service.bridge).value
                #expect(ProcessGroup.startTicks(ofProcess: program) == nil, "\(service.said)")
                #expect(answer.isAcquired)
                #expect(await run.finish() == .exited(137))
                #expect(try await service.bridge.expectRevocation(of: "dreamer") == "preempted")
            }
        }

        @Test func `lets the holder off when it waits no more`() async throws {
            try await withPool { service in
                let run = try await service.run(
                    "dreamer", ["--priority", "20", "--grace", "2", "--on-preempt", "USR1"],
                    "trap 'echo 1 > told' USR1; echo $$ > began; while [ ! -e end ]; do sleep 0.02; done; exit 3")
                _ = try await service.processID(in: "began")
                try await eventually("the agent watches the program") { service.hasLogged("process_watched") }
                let wire = try service.bridge.bareLock(Bridge.lock("Root-Mic", more: Self.preempt))
                #expect(try await service.number(in: "told") == 1)
                wire.close()
                try await eventually("the holder is let off") { run.said.contains("not asked for any more") }
                // Whoever comes next waits for as long as its grace was, and finds the holder as it was.
                #expect(try await service.bridge.lock("later", timeout: 2.5).status == 503)
                try Files.replace("\(service.redis.directory)/end", with: [])
                #expect(await run.finish() == .exited(3))
            }
        }

        @Test func `is not forgotten when its coordinator dies: the deadline is the agent's`() async throws {
            try await withPool(bridges: 2) { service in
                let held = try await service.bridge(1).lock(
                    "dreamer", ttl: 60, priority: 20, more: #""grace":3"#)
                let lost = self.voice(service.bridge(0), request: "r1")
                try await service.bridge(1).expectWish(of: "Root-Mic", on: held.token)
                await service.bridge(0).program.kill()
                _ = await lost.result
                let again = try await service.bridge(1).lock(
                    "Root-Mic", timeout: 60, request: "r1", more: Self.preempt)
                #expect(again.isAcquired)
                let late = try await service.bridge(1).renew(held.token)
                #expect(late.status == 410 && late.word("error") == "preempted", "\(late)")
            }
        }
    }
}

extension Service {
    /// The number that a script has written into a file.
    func number(in file: String) async throws -> Int64 {
        try await eventually("the program has written \(file)", within: .seconds(20)) {
            let bytes = (try? Files.read("\(self.redis.directory)/\(file)")) ?? []
            return bytes.last == 0x0A ? Int64(String(decoding: bytes.dropLast(), as: UTF8.self)) : nil
        }
    }
}

extension Bridge {
    /// Renews until the answer says that somebody asks for the unit.
    fileprivate func expectWish(of holder: String, on token: String) async throws {
        try await eventually("\(holder) asks for the unit") {
            let answer = try await self.renew(token)
            return answer["preemption"]?.object?["by"]?.string == holder
        }
    }

    /// Why the last lease of a holder ended, as the events tell it.
    fileprivate func expectRevocation(of holder: String) async throws -> String {
        let tail = try await follow(after: "0-0", types: "ending,preempted,released")
        defer { tail.end() }
        return try await eventually("its end is told") {
            tail.events.last { $0.word("holder") == holder && $0.type != "ending" }?.type
        }
    }
}
