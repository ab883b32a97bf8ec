import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

@Suite struct `The agent's words` {
    /// A rejection that a heartbeat overtakes would bring the very offer back.
    @Test func `leave in the order in which they were decided`() async throws {
        try await withLoop { loop in
            let said = Mutex<[String]>([])
            let outbox = Outbox(loop: loop) { script, _, _, reply in
                said.withLock { $0.append(script.name) }
                let answer = RedisReply.array([.bytes(Array((script.name == "Heartbeat" ? "heard" : "ok").utf8))])
                reply(.success(answer))
            }
            let store = LeaseStore(pool: .standard) { (script, keys, arguments) async throws(RedisError) in
                try await outbox.evaluate(script, keys, arguments)
            }
            let voice = Voice(store: store, log: .silent, host: try HostID("h1"), instance: InstanceID("a1"))
            let lease = try Bench.lease(5)
            let words: [AgentMachine.Word] = [
                .reject(lease, highest: FencingToken(5), why: ""), .confirm(lease),
                .renewed(
                    lease, nonce: "n", token: TokenHash("k"), ttl: .seconds(1), coordinator: InstanceID("c1")),
                .end(lease, .expired), .refuseRenewal(lease, nonce: "n", coordinator: InstanceID("c1"), .lost),
            ]
            let answers = Mutex(0)
            try await loop.run {
                let calls = LeaseCalls(pool: .standard, send: outbox.send)
                for word in words {
                    outbox.start {
                        _ = await voice.say(word, session: 1)
                        answers.withLock { $0 += 1 }
                    }
                    outbox.start {
                        _ = await voice.heartbeat(
                            AgentHeartbeat(
                                origin: voice.origin(1), ancestors: [], isFirst: false, address: "", version: "",
                                labels: [:], units: []))
                        answers.withLock { $0 += 1 }
                    }
                    for _ in 0..<2 {
                        voice.confirm(lease, session: 1, through: calls) { _ in answers.withLock { $0 += 1 } }
                    }
                }
            }
            try await eventually("all are answered", is: 4 * words.count) { answers.withLock { $0 } }
            let expected = ["Reject", "Confirm", "Renewed", "End", "Renewed"].flatMap {
                [$0, "Heartbeat", "Confirm", "Confirm"]
            }
            #expect(said.withLock { $0 } == expected)
        }
    }
}
