import LeaseModel
import LeaseStore
import Synchronization
import TestSupport
import Testing

@Suite struct `What Redis forgets, the others tell it again` {
    @Test func `a held lease is restored from the agent's heartbeat, and nothing is granted before`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            _ = try await pool.ask("t2")
            try await pool.redis.flushAll()
            #expect(try await pool.beat(tickets: ["t2"]).unknown == [TicketID("t2")])
            #expect(try await pool.store.confirm(pool.origin(), lease) == .unknownHost)
            guard case .queued = try await pool.ask("t2", age: .again(score: 7)) else { throw NoLease(ticket: "t2") }
            try await pool.heartbeat([pool.report("h1/0", .held(pool.held(lease, ticket: "t1")))], first: false)
            #expect(try await pool.lease(of: "t1") == lease)
            #expect(try await pool.store.snapshot().leases.map(\.terms.grace) == [.seconds(9)])
            #expect(try await pool.queue() == ["t2"])
            #expect(try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            let next = try await pool.requireLease(of: "t2")
            #expect(next.fencing > lease.fencing)
        }
    }

    @Test func `a ticket that is asked for again after a loss finds its lease when the agent has spoken`() async throws
    {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            try await pool.redis.flushAll()
            _ = try await pool.ask("t1", age: .again(score: 7))
            try await pool.heartbeat([pool.report("h1/0", .held(pool.held(lease, ticket: "t1")))], first: false)
            #expect(try await pool.queue() == [])
            #expect(try await pool.coordinatorMessages("c1", atLeast: 2).last == .held(TicketID("t1"), lease))
            let beat = try await pool.beat(tickets: ["t1"])
            #expect(beat.held == [BeatOutcome.Held(ticket: TicketID("t1"), lease: lease)])
        }
    }

    @Test func `a release that Redis could not place ends the lease at its agent's next heartbeat`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            try await pool.redis.flushAll()
            #expect(try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "") == .marked)
            let held = try pool.held(lease, ticket: "t1")
            #expect(
                try await pool.heartbeat([pool.report("h1/0", .held(held))], first: false)
                    == .heard([.end(lease, TokenHash("hash-t1"), .released)]))
        }
    }

    @Test func `a lease that its agent was ending by itself is over for a reason, where word of its end was lost`()
        async throws
    {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            let held = try pool.held(lease, ticket: "t1")
            try await pool.heartbeat([pool.report("h1/0", .ending(held))], first: false)
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            let events = try await pool.store.history(after: "0-0", limit: 1000).events
            #expect(events.map(\.kind).filter { $0 != .unitState }.suffix(2) == [.ending, .lost])
            let renewal = try await pool.store.renew(
                lease, token: TokenHash("hash-t1"), nonce: "1", coordinator: InstanceID("c1"))
            #expect(renewal == .gone(.lost, by: ""))
        }
    }

    @Test func `a mark given with an earlier token ends nothing`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            try await pool.redis.flushAll()
            _ = try await pool.store.release(lease, token: TokenHash("earlier"), by: "")
            let held = try pool.held(lease, ticket: "t1")
            #expect(try await pool.heartbeat([pool.report("h1/0", .held(held))], first: false) == .heard([]))
            #expect(try await pool.lease(of: "t1") == lease)
        }
    }

    @Test func `the release of a lease is repeated to an agent that missed it`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            _ = try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "")
            let held = try pool.held(lease, ticket: "t1")
            #expect(
                try await pool.heartbeat([pool.report("h1/0", .held(held))], first: false)
                    == .heard([.end(lease, TokenHash("hash-t1"), .released)]))
            #expect(try await pool.heartbeat([pool.report("h1/0")], first: false) == .heard([]))
            #expect(try await pool.state(of: "h1/0") == .free)
        }
    }

    @Test func `a unit that its agent calls free is free`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            #expect(try await pool.state(of: "h1/0") == .free)
            #expect(
                try await pool.store.renew(
                    lease, token: TokenHash("hash-t1"), nonce: "n", coordinator: pool.coordinator)
                    == .gone(.lost, by: ""))
        }
    }

    @Test func `a resting unit is offered to nobody`() async throws {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            try await pool.heartbeat([pool.report("h1/0", .resting)], origin: pool.origin(session: 2))
            #expect(try await pool.queue() == ["t1"])
            #expect(try await pool.state(of: "h1/0") == .resting)
            try await pool.heartbeat([pool.report("h1/0")], origin: pool.origin(session: 2), first: false)
            #expect(try await pool.lease(of: "t1") != nil)
        }
    }

    @Test func `a confirm that was taken but not answered is told to the next session`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            let confirming = try pool.report("h1/0", .confirming(pool.held(lease, ticket: "t1")))
            #expect(
                try await pool.heartbeat([confirming], origin: pool.origin(session: 2)) == .heard([.confirmed(lease)]))
            #expect(try await pool.store.confirm(pool.origin(), lease) == .staleSession)
        }
    }

    @Test func `a confirm that was not taken is taken by the next session, since another copy may have taken it`()
        async throws
    {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            _ = try await pool.ask("t2")
            let lease = try await pool.requireLease(of: "t1")
            let confirming = try pool.report("h1/0", .confirming(pool.held(lease, ticket: "t1")))
            #expect(
                try await pool.heartbeat([confirming], origin: pool.origin(session: 2)) == .heard([.confirmed(lease)]))
            #expect(try await pool.lease(of: "t1") == lease)
            #expect(try await pool.state(of: "h1/0") == .held)
            #expect(try await pool.queue() == ["t2"])
            #expect(try await pool.coordinatorMessages("c1", atLeast: 1) == [.held(TicketID("t1"), lease)])
            #expect(try await pool.store.confirm(pool.origin(), lease) == .staleSession)
        }
    }

    @Test func `an offer that lapsed in an older copy ends no lease that its agent has confirmed elsewhere`()
        async throws
    {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            let lease = try await pool.requireLease(of: "t1")
            try await eventually("the offer lapses") {
                try await pool.beat()
                return try await pool.queue() == ["t1"]
            }
            let held = try pool.report("h1/0", .held(pool.held(lease, ticket: "t1")))
            #expect(try await pool.heartbeat([held], origin: pool.origin(session: 2)) == .heard([]))
            #expect(try await pool.lease(of: "t1") == lease)
            #expect(try await pool.queue() == [])
        }
    }

    @Test func `an offer that its coordinator gave up ends where its confirm was not heard of`() async throws {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            let lease = try await pool.requireLease(of: "t1")
            let token = TokenHash("hash-t1")
            #expect(
                try await pool.store.cancel(
                    Cancel(TicketID("t1"), coordinator: pool.coordinator, token: token, why: .cancelled)) == .cancelled)
            let confirming = try pool.report("h1/0", .confirming(pool.held(lease, ticket: "t1")))
            #expect(
                try await pool.heartbeat([confirming], origin: pool.origin(session: 2))
                    == .heard([.end(lease, token, .withdrawn)]))
            #expect(try await pool.lease(of: "t1") == nil)
        }
    }

    @Test func `a record that is behind the agent's token is the coordinator's that the agent knows`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            var held = try pool.held(lease, ticket: "t1", coordinator: "c2")
            held.token = TokenHash("later")
            try await pool.heartbeat([pool.report("h1/0", .held(held))], first: false)
            let again = try await pool.store.answerAgain(
                AnswerAgain(TicketID("t1"), coordinator: pool.coordinator, newToken: TokenHash("new"), nonce: "n"))
            #expect(again == .notYours)
        }
    }

    @Test func `a confirm that Redis has lost is held, since it may have been taken`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            try await pool.redis.flushAll()
            let confirming = try pool.report("h1/0", .confirming(pool.held(lease, ticket: "t1")))
            #expect(
                try await pool.heartbeat([confirming], origin: pool.origin(session: 2)) == .heard([.confirmed(lease)]))
            #expect(try await pool.lease(of: "t1") == lease)
        }
    }

    @Test func `of two leases for one ticket neither ends the other`() async throws {
        try await withPool(units: 2) { pool in
            let lease = try await pool.grant("t1")
            try await pool.forget()
            try await pool.heartbeat([pool.report("h1/1")], first: false)
            let second = try await pool.grant("t1")
            #expect(second != lease)
            let held = try pool.held(lease, ticket: "t1")
            guard
                case .heard(let mail) = try await pool.heartbeat(
                    [
                        pool.report("h1/0", .held(held)), pool.report("h1/1", .held(pool.held(second, ticket: "t1"))),
                    ], first: false)
            else { throw NoLease(ticket: "t1") }
            #expect(mail.isEmpty)
            for token in [lease, second] {
                #expect(try await pool.store.release(token, token: TokenHash("hash-t1"), by: "") == .released(1))
            }
        }
    }

    @Test func `a grant that nobody waits for takes no other lease of its ticket`() async throws {
        try await withPool(units: 2) { pool in
            let undelivered = try await pool.grant("t1")
            try await pool.forget()
            try await pool.heartbeat([pool.report("h1/1")], first: false)
            let told = try await pool.grant("t1")
            let token = TokenHash("hash-t1")
            func giveBack() async throws -> CancelOutcome {
                try await pool.store.cancel(
                    Cancel(
                        TicketID("t1"), lease: undelivered, coordinator: pool.coordinator, token: token,
                        why: .undelivered))
            }
            // Unknown here, so a mark is left for its agent.
            #expect(try await giveBack() == .unknown)
            let reports = [
                try pool.report("h1/0", .held(pool.held(undelivered, ticket: "t1"))),
                try pool.report("h1/1", .held(pool.held(told, ticket: "t1"))),
            ]
            #expect(
                try await pool.heartbeat(reports, first: false) == .heard([.end(undelivered, token, .cancelled)]))
            #expect(try await pool.lease(of: "t1") == told)
        }
    }

    @Test func `words about leases of hosts that there are not are bounded, and of those that there are stand`()
        async throws
    {
        try await withPool { pool in
            func marks(_ host: String) async throws -> Int64? {
                guard
                    case .integer(let count) = try await pool.redis.client.command([
                        "EXISTS", .text("lh:{default}:ended:\(host)"),
                    ])
                else { return nil }
                return count
            }
            func giveBack(_ lease: String) async throws {
                let outcome = try await pool.store.release(try LeaseID(lease), token: TokenHash("made-up"), by: "")
                #expect(outcome == (lease.hasPrefix("h1/") ? .notHeld : .marked), "\(lease)")
            }
            try await pool.heartbeat([pool.report("h1/0")])
            try await giveBack("nowhere/0#5")
            #expect(try await marks("nowhere") == 1)
            // As many as there may be, all but one of now.
            _ = try await pool.redis.client.command([
                "EVAL",
                "for i = 1, 10000 do redis.call('ZADD', KEYS[1], i == 1 and 5 or ARGV[1], 'x' .. i .. '/0#1') end", "1",
                "lh:{default}:strangers", "9000000000000",
            ])
            try await giveBack("elsewhere/0#5")
            #expect(try await marks("elsewhere") == 0)
            try await giveBack("h1/0#5")
            #expect(try await marks("h1") == 1)
            // One is 15 minutes old; with it the first of these leaves, so that there is room again.
            _ = try await pool.redis.client.command(["ZREM", "lh:{default}:strangers", "x2/0#1"])
            try await giveBack("elsewhere/0#6")
            #expect(try await marks("elsewhere") == 1)
            try await pool.heartbeat([pool.report("h1/0")])
            #expect(try await marks("h1") == 0, "its agent has heard it")
        }
    }

    @Test func `a host id that is live is refused to another instance, but not to its successor`() async throws {
        try await withPool { pool in
            let other = try pool.origin("h1", "a2")
            let report = try pool.report("h1/0")
            #expect(try await pool.heartbeat([report], origin: other) == .hostInUse(InstanceID("a1")))
            #expect(try await pool.heartbeat([report], origin: other, predecessor: "a1") == .heard([]))
            let lease = try LeaseID("h1/0#1")
            #expect(try await pool.store.confirm(pool.origin(), lease) == .staleSession)
            #expect(try await pool.heartbeat([report]) == .staleSession)
        }
    }

    @Test func `who speaks for a host with another journal than the last one's is told so, and changes nothing`()
        async throws
    {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            _ = try await pool.store.depart(pool.origin())
            let other = try pool.origin("h1", "a2")
            let report = try pool.report("h1/0", .resting)
            #expect(
                try await pool.heartbeat([report], origin: other)
                    == .succeedsAnother(InstanceID("a1"), highest: lease.fencing))
            #expect(try await pool.lease(of: "t1") == lease)
            // Once it has taken note of that one it may speak, also where it knows more before it.
            let origin = AgentHeartbeat(
                origin: other, ancestors: [InstanceID("a1"), InstanceID("a0")], isFirst: true, address: "",
                version: "test", labels: [:], units: [report])
            #expect(try await pool.store.heartbeat(origin) == .heard([]))
            #expect(try await pool.lease(of: "t1") == nil)
            // The one before, with the journal that it had.
            _ = try await pool.store.depart(other)
            guard
                case .succeedsAnother(InstanceID("a2"), _) = try await pool.heartbeat(
                    [pool.report("h1/0")], origin: pool.origin("h1", "a3"), predecessor: "a1")
            else { throw NoLease(ticket: "t1") }
        }
    }

    @Test func `an offer that nobody confirms lapses, and its host is offered nothing until it speaks`() async throws {
        try await withPool(units: 2) { pool in
            try await pool.beat()
            _ = try await pool.ask("t1")
            let lease = try await pool.requireLease(of: "t1")
            try await eventually("the offer lapses") {
                try await pool.beat()
                return try await pool.queue() == ["t1"]
            }
            #expect(try await pool.state(of: "h1/0") == .unheard)
            #expect(try await pool.state(of: "h1/1") == .unheard)
            #expect(try await pool.agentMessages("a1", atLeast: 3).last == .speak)
            #expect(try await pool.store.confirm(pool.origin(), lease) == .gone)
            try await pool.heartbeat([pool.report("h1/0"), pool.report("h1/1")], first: false)
            #expect(try await pool.lease(of: "t1") != nil)
        }
    }

    @Test func `the tickets of a coordinator that fell silent go, its leases stand`() async throws {
        try await withPool { pool in
            try await pool.beat(coordinator: "c2")
            let lease = try await pool.grant("t1")
            _ = try await pool.ask("t2")
            try await eventually("the tickets are dropped", within: .seconds(20)) {
                try await pool.beat(coordinator: "c2")
                return try await pool.queue().isEmpty
            }
            #expect(try await pool.lease(of: "t1") == lease)
        }
    }

    @Test func `a lease that cannot be answered again, since its host is silent, makes room for another host`()
        async throws
    {
        try await withPool(units: 1) { pool in
            let lease = try await pool.grant("t1")
            func again() async throws -> AnswerAgainOutcome {
                try await pool.store.answerAgain(
                    AnswerAgain(
                        TicketID("t1"), coordinator: pool.coordinator, newToken: TokenHash("hash-new"), nonce: "n"))
            }
            #expect(try await again() == .asked(lease, ttl: .seconds(120)))
            // Its agent stops; the leases stand.
            _ = try await pool.store.depart(pool.origin())
            guard case .givenUp(let score) = try await again() else { throw NoLease(ticket: "t1") }
            #expect(try await again() == .unknown)
            try await pool.heartbeat([pool.report("h2/0")], origin: pool.origin("h2", "a2"))
            #expect(try await pool.ask("t1", age: .again(score: score)) == .offered(score: score))
            // When it is back its lease ends: nobody was told of it.
            let report = try pool.report("h1/0", .held(pool.held(lease, ticket: "t1")))
            #expect(
                try await pool.heartbeat([report], first: false)
                    == .heard([.end(lease, TokenHash("hash-t1"), .cancelled)]))
        }
    }

    @Test func `a coordinator hears of tickets that it no longer has, and can give them up`() async throws {
        try await withPool(units: 1) { pool in
            _ = try await pool.grant("t0")
            for ticket in ["t1", "t2"] { _ = try await pool.ask(ticket) }
            #expect(try await pool.beat(1, count: 2, tickets: ["t1", "t2"]).more.isEmpty)
            let more = try await pool.beat(2, count: 1, tickets: ["t1"]).more
            #expect(Set(more.map(\.text)) == ["t1", "t2"])
            #expect(
                try await pool.store.cancel(
                    Cancel(TicketID("t2"), coordinator: pool.coordinator, token: TokenHash(""), why: .forgotten))
                    == .cancelled)
            // A lease with its own token is no ticket that was forgotten.
            #expect(
                try await pool.store.cancel(
                    Cancel(TicketID("t0"), coordinator: pool.coordinator, token: TokenHash(""), why: .forgotten))
                    == .notYours)
            #expect(try await pool.beat(3, count: 1, tickets: ["t1"]).more.isEmpty)
        }
    }

    @Test func `nothing is left of finished work but the record of hosts and units`() async throws {
        try await withPool { pool in
            for number in 0..<20 {
                let lease = try await pool.grant("t\(number)")
                _ = try await pool.store.release(lease, token: TokenHash("hash-t\(number)"), by: "")
            }
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            try await pool.store.leave(pool.coordinator)
            let reply = try await pool.redis.client.command(["KEYS", "*"])
            guard case .array(let keys) = reply else { throw NoLease(ticket: "") }
            #expect(keys.count == 7, "\(keys)")
        }
    }
}

@Suite struct `A record that Redis has lost is filled before anything is offered` {
    /// What a coordinator knows after its last heartbeat.
    private static func memory(_ pool: Pool, coordinator: String = "c1") async throws -> PoolMemory {
        try await pool.beat(1, coordinator: coordinator).memory
    }

    @Test func `after a flush nothing is offered before coordinators and agents have spoken`() async throws {
        try await withPool { pool in
            let memory = try await Self.memory(pool)
            #expect(memory.hosts == 1)
            try await pool.redis.flushAll()
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            guard case .queued = try await pool.ask("later", priority: Priority(50)) else {
                throw NoLease(ticket: "later")
            }
            let lost = try await pool.beat(2, memory: memory)
            #expect(lost.epoch != memory.epoch)
            #expect(lost.settling == .waiting)
            guard case .queued = try await pool.ask("first", age: .again(score: 7)) else {
                throw NoLease(ticket: "first")
            }
            #expect(try await pool.lease(of: "first") == nil)
            // Its agent has yet to say so in this settling.
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            let number = Mutex<Int64>(2)
            try await eventually("it has settled") {
                let beat = number.withLock { number in
                    number += 1
                    return number
                }
                return try await pool.beat(beat, memory: lost.memory).settling == .settled
            }
            #expect(try await pool.lease(of: "first") != nil)
            #expect(try await pool.queue() == ["later"])
        }
    }

    @Test func `a request that is repeated after a flush finds its lease`() async throws {
        try await withPool(units: 2) { pool in
            let lease = try await pool.grant("t1")
            let memory = try await Self.memory(pool)
            try await pool.redis.flushAll()
            let held = try pool.held(lease, ticket: "t1")
            // A unit of an agent that speaks first is not taken for it.
            try await pool.heartbeat([pool.report("h2/0")], origin: pool.origin("h2", "a2"))
            guard case .queued = try await pool.ask("t1") else { throw NoLease(ticket: "t1") }
            #expect(try await pool.beat(2, memory: memory).settling == .waiting)
            try await pool.heartbeat([pool.report("h1/0", .held(held)), pool.report("h1/1")], first: false)
            #expect(try await pool.ask("t1") == .held(lease))
            #expect(try await pool.queue() == [])
        }
    }

    @Test func `an older copy is known by the event that it lacks, once`() async throws {
        try await withPool(units: 2) { pool in
            try await pool.copy(to: "old")
            let lease = try await pool.grant("t1")
            let memory = try await Self.memory(pool)
            #expect(try await pool.beat(2, memory: memory).epoch == memory.epoch)
            try await pool.restore(from: "old")
            let lost = try await pool.beat(3, memory: memory)
            #expect(lost.epoch != memory.epoch)
            #expect(lost.settling == .waiting)
            // Free there; but its agent has yet to speak.
            guard case .queued = try await pool.ask("t2") else { throw NoLease(ticket: "t2") }
            #expect(try await pool.beat(1, coordinator: "c2", memory: memory).epoch == lost.epoch)
            #expect(try await pool.beat(4, memory: lost.memory).epoch == lost.epoch)
            try await pool.heartbeat(
                [pool.report("h1/0", .held(pool.held(lease, ticket: "t1"))), pool.report("h1/1")], first: false)
            #expect(try await pool.lease(of: "t1") == lease)
        }
    }

    @Test func `a coordinator that notices late has its waiters queued before more is offered`() async throws {
        try await withPool { pool in
            let memory = try await Self.memory(pool)
            try await pool.forget()
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            let late = try await pool.beat(2, memory: memory)
            #expect(late.settling == .waiting)
            guard case .queued = try await pool.ask("t1") else { throw NoLease(ticket: "t1") }
            #expect(try await pool.beat(3, memory: late.memory).settling == .waiting)
        }
    }

    @Test func `a coordinator's script changes nothing once its next connection has opened with a heartbeat`()
        async throws
    {
        try await withPool { pool in
            let c1 = pool.coordinator
            let lease = try await pool.grant("t1")
            try await pool.beat(5)
            let token = TokenHash("hash-t1")
            await #expect(throws: StoreError.self) {
                try await pool.store.answerAgain(
                    AnswerAgain(TicketID("t1"), coordinator: c1, newToken: TokenHash("late"), nonce: "n", beat: 4))
            }
            await #expect(throws: StoreError.self) {
                try await pool.store.cancel(
                    Cancel(TicketID("t1"), coordinator: c1, token: token, why: .cancelled, beat: 4))
            }
            await #expect(throws: StoreError.self) {
                try await pool.store.release(
                    .oldest(of: HolderID("holder-t1"), caller: "", kind: .gpu, by: "", coordinator: c1, beat: 4))
            }
            await #expect(throws: StoreError.self) { try await pool.beat(4) }
            await #expect(throws: StoreError.self) { try await pool.ask("t2", beat: 4) }
            #expect(try await pool.lease(of: "t1") == lease)
            #expect(try await pool.queue() == [])
            guard case .queued = try await pool.ask("t2", beat: 5) else { throw NoLease(ticket: "t2") }
        }
    }
}
