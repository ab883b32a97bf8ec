import EventLoop
import LeaseModel
import LeaseStore
import Synchronization
import TestSupport
import Testing

/// Calls of one turn run in one script, one after the other.
@Suite struct `Several calls in one script` {
    /// All of these in one turn of the loop; their outcomes in their order.
    private func together<Outcome: Sendable>(
        _ pool: Pool, _ names: [String], _ call: @escaping @Sendable (String) async throws -> Outcome
    ) async throws -> [Outcome] {
        let loop = pool.redis.loop
        return try await Task(executorPreference: loop) {
            try await withThrowingTaskGroup(of: (Int, Outcome).self) { group in
                for (index, name) in names.enumerated() {
                    group.addTask(executorPreference: loop) { (index, try await call(name)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
            }
        }.value
    }

    /// Since the last look.
    private func scriptsRun(_ pool: Pool) async throws -> Int {
        let count = try await pool.redis.calls(of: "eval") + pool.redis.calls(of: "evalsha")
        _ = try await pool.redis.client.command(["CONFIG", "RESETSTAT"])
        return count
    }

    @Test func `serve as the same calls do one after the other, each at a moment of its own`() async throws {
        try await withPool(units: 4) { pool in
            // Each script is known to the server from here on.
            let first = try await pool.grant("first")
            #expect(try await pool.store.release(first, token: TokenHash("hash-first"), by: "") == .released(1))
            _ = try await scriptsRun(pool)

            let names = (10...19).map { "t\($0)" }
            let asked = try await together(pool, names) { try await pool.ask($0) }
            #expect(try await scriptsRun(pool) == 1)
            var scores: [Int64] = []
            for (index, outcome) in asked.enumerated() {
                switch outcome {
                case .offered(let score) where index < 4: scores.append(score)
                case .queued(let score) where index >= 4: scores.append(score)
                default: Issue.record("\(names[index]) was answered \(outcome)")
                }
            }
            #expect(zip(scores, scores.dropFirst()).allSatisfy { $0 < $1 })
            #expect(try await pool.queue() == Array(names.dropFirst(4)))

            var leases: [String: LeaseID] = [:]
            for name in names.prefix(4) { leases[name] = try await pool.requireLease(of: name) }
            let offered = leases
            #expect(Set(leases.values.map(\.fencing)).count == 4)
            _ = try await scriptsRun(pool)
            let origin = try pool.origin()
            let confirmed = try await together(pool, Array(names.prefix(5))) { name in
                try await pool.store.confirm(origin, offered[name] ?? LeaseID("h1/0#1"))
            }
            #expect(confirmed == [.held, .held, .held, .held, .gone])
            #expect(try await scriptsRun(pool) == 1)
            let grants = try await pool.coordinatorMessages("c1", atLeast: 5).dropFirst()
            #expect(
                grants.map { message in
                    if case .granted(let grant) = message { grant.ticket.text } else { "\(message)" }
                } == Array(names.prefix(4)))

            _ = try await scriptsRun(pool)
            let released = try await together(pool, Array(names.prefix(4))) { name in
                let token = TokenHash(name == "t11" ? "guess" : "hash-\(name)")
                return try await pool.store.release(offered[name] ?? LeaseID("h1/0#1"), token: token, by: "")
            }
            #expect(released == [.released(1), .notHeld, .released(1), .released(1)])
            #expect(try await scriptsRun(pool) == 1)
            // Those who waited have them, in their order and with fencing tokens of their own, higher ones.
            var highest = offered.values.map(\.fencing).max() ?? FencingToken(0)
            for name in names[4...6] {
                let lease = try await pool.requireLease(of: name)
                #expect(lease.fencing > highest)
                highest = lease.fencing
            }
            #expect(try await pool.queue() == Array(names.dropFirst(7)))
            // The next script's moment lies behind all of theirs.
            guard case .queued(let score) = try await pool.ask("later") else { throw NoLease(ticket: "later") }
            #expect(score > (scores.last ?? 0))
        }
    }

    @Test func `renew each its own lease`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("t1")
            let second = try await pool.grant("t2")
            let tokens = ["t1": first, "t2": second, "other": first]
            let asked = try await together(pool, ["t1", "other", "t2"]) { name in
                try await pool.store.renew(
                    tokens[name] ?? first, token: TokenHash("hash-\(name)"), nonce: "n-\(name)",
                    coordinator: pool.coordinator)
            }
            #expect(asked == [.asked, .wrongToken, .asked])
            let told = try await pool.agentMessages("a1", atLeast: 4).suffix(2)
            #expect(told.map { "\($0)" }.joined().contains("n-t1"))
            #expect(told.map { "\($0)" }.joined().contains("n-t2"))
        }
    }

    @Test func `fail for the one that meets a broken record, and not for the others`() async throws {
        try await withPool(units: 2) { pool in
            let first = try await pool.grant("first")
            #expect(try await pool.store.release(first, token: TokenHash("hash-first"), by: "") == .released(1))
            _ = try await pool.redis.client.command(["SET", "lh:{default}:ticket:broken", "no ticket"])
            let asked = try await together(pool, ["t1", "broken", "t2"]) { name in
                do {
                    return "\(try await pool.ask(name))".prefix { $0 != "(" }
                } catch let error as StoreError {
                    return "\(error.kind)".prefix { $0 != "(" }
                }
            }
            #expect(asked == ["offered", "failed", "offered"])
            for name in ["t1", "t2"] {
                #expect(try await pool.store.confirm(pool.origin(), pool.requireLease(of: name)) == .held)
            }
            // The offers were told: first's, the word of its end, and these two.
            _ = try await pool.agentMessages("a1", atLeast: 4)
        }
    }

    @Test func `are all refused where the server takes no writes`() async throws {
        try await withPool(units: 2) { pool in
            let lease = try await pool.grant("first")
            _ = try await pool.redis.client.command(["CONFIG", "SET", "maxmemory", "1"])
            let asked = try await together(pool, ["t1", "t2"]) { name in
                do {
                    _ = try await pool.ask(name)
                    return "made"
                } catch let error as StoreError {
                    return error.message
                }
            }
            #expect(asked.allSatisfy { $0.contains("maxmemory") }, "\(asked)")
            _ = try await pool.redis.client.command(["CONFIG", "SET", "maxmemory", "0"])
            #expect(try await pool.queue() == [])
            #expect(try await pool.store.release(lease, token: TokenHash("hash-first"), by: "") == .released(1))
        }
    }

    /// A heartbeat first of all on a new connection (docs/protocol.md), and a cancel before the next ask for its ticket.
    @Test func `leave in the order in which they were decided, where others come between`() async throws {
        try await withPool(units: 1) { pool in
            let client = pool.redis.client
            let said = Mutex<[String]>([])
            try await pool.redis.loop.run {
                let calls = LeaseCalls(pool: pool.store.pool) { script, keys, words, reply in
                    client.evaluate(script, keys: keys, arguments: words, reply: reply)
                }
                func ask(_ ticket: String, beat: Int64 = .max) throws {
                    let ask = Ask(
                        ticket: TicketID(ticket), selector: .anyGPU, holder: try HolderID(ticket), caller: "",
                        priority: .standard, ttl: .seconds(120), coordinator: InstanceID("c1"),
                        token: TokenHash("hash-\(ticket)"), metadata: "", age: .fresh, beat: beat)
                    calls.ask(ask) { outcome in
                        let word =
                            switch outcome {
                            case .success(.offered): "offered"
                            case .success(.queued): "queued"
                            case .success: "else"
                            case .failure: "late"
                            }
                        said.withLock { $0.append("\(ticket) \(word)") }
                    }
                }
                try ask("t1", beat: 7)
                calls.beat(Beat(coordinator: InstanceID("c1"), number: 8, count: 1, tickets: [])) { outcome in
                    said.withLock { $0.append("beat \((try? outcome.get()) != nil)") }
                }
                try ask("t2", beat: 7)
                try ask("t3", beat: 8)
                calls.cancel(
                    Cancel(
                        TicketID("t1"), coordinator: InstanceID("c1"), token: TokenHash("hash-t1"), why: .timeout)
                ) { outcome in said.withLock { $0.append("cancel \((try? outcome.get()) == .cancelled)") } }
                try ask("t1")
            }
            let expected = ["t1 offered", "beat true", "t2 late", "t3 queued", "cancel true", "t1 queued"]
            try await eventually("all are answered", is: expected) { said.withLock { $0 } }
        }
    }
}
