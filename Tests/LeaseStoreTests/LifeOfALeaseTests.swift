import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `The life of a lease` {
    @Test func `a free unit is offered to its agent at once, and the confirm is told to the coordinator`() async throws
    {
        try await withPool { pool in
            try await pool.beat(7)
            guard case .offered = try await pool.ask("t1") else { throw NoLease(ticket: "t1") }
            let lease = try await pool.requireLease(of: "t1")
            guard case .offer(let offer) = try await pool.agentMessages("a1", atLeast: 1)[0] else {
                throw NoLease(ticket: "t1")
            }
            #expect(offer.lease == lease)
            #expect(offer.beat == 7)
            #expect(offer.terms.holder.text == "holder-t1")
            #expect(offer.terms.grace == .seconds(7))
            #expect(try await pool.store.confirm(pool.origin(), lease) == .held)
            #expect(
                try await pool.coordinatorMessages("c1", atLeast: 1) == [
                    .granted(
                        Grant(
                            ticket: TicketID("t1"), lease: lease, token: TokenHash("hash-t1"), ttl: .seconds(120),
                            beat: 7))
                ])
            #expect(try await pool.state(of: "h1/0") == .held)
        }
    }

    @Test func `waiters are served by priority, then by age, and never overtaken beyond the aging bound`() async throws
    {
        try await withPool { pool in
            let lease = try await pool.grant("holder")
            _ = try await pool.ask("console", priority: .console)
            _ = try await pool.ask("dream", priority: .dreamer)
            _ = try await pool.ask("mic", priority: .voice)
            _ = try await pool.ask("other", priority: .standard)
            _ = try await pool.ask("mic-later", priority: .voice)
            #expect(try await pool.queue() == ["mic", "mic-later", "console", "other", "dream"])
            // A dreamer that has waited for longer than its points are worth goes first.
            _ = try await pool.ask("old-dream", priority: .dreamer, age: .again(score: 1))
            #expect(try await pool.queue().first == "old-dream")
            var present = lease
            var ticket = "holder"
            var served: [String] = []
            while let next = try await pool.queue().first {
                #expect(
                    try await pool.store.release(present, token: TokenHash("hash-\(ticket)"), by: "") == .released(1))
                let following = try await pool.requireLease(of: next)
                #expect(following.fencing > present.fencing)
                #expect(try await pool.store.confirm(pool.origin(), following) == .held)
                (present, ticket) = (following, next)
                served.append(next)
            }
            #expect(served == ["old-dream", "mic", "mic-later", "console", "other", "dream"])
        }
    }

    @Test func `whoever came first has the unit, however many queues wait for it`() async throws {
        try await withPool { pool in
            let unit = try Selector(scope: .unit(UnitID("h1/0")))
            let own: [Selector] = [
                try Selector(scope: .host(HostID("h1"))), .anyGPU, try Selector(minimumMemoryMB: 1000), unit,
                try Selector(deviceType: "discrete"),
            ]
            // These wait for what h1/0 is not, in queues of their own.
            let others = try [
                Selector(minimumMemoryMB: 99_000), Selector(kind: .modelLoad), Selector(deviceType: "integrated"),
            ]
            for waiting in 1...(own.count + others.count) {
                var present = try await pool.grant("holder-\(waiting)")
                var ticket = "holder-\(waiting)"
                let foreign = Array(others.prefix(max(0, waiting - own.count)))
                for (index, selector) in foreign.enumerated() {
                    _ = try await pool.ask("other-\(waiting)-\(index)", selector: selector)
                }
                let names = (0..<2 * min(waiting, own.count)).map { "t-\(waiting)-\($0)" }
                for (index, name) in names.enumerated() {
                    let selector = own[(index + waiting) % min(waiting, own.count)]
                    guard case .queued = try await pool.ask(name, selector: selector, age: .first) else {
                        throw NoLease(ticket: name)
                    }
                }
                for name in names {
                    let hash = TokenHash("hash-\(ticket)")
                    #expect(try await pool.store.release(present, token: hash, by: "") == .released(1))
                    (present, ticket) = (try await pool.requireLease(of: name), name)
                    #expect(try await pool.store.confirm(pool.origin(), present) == .held)
                }
                #expect(
                    try await pool.store.release(present, token: TokenHash("hash-\(ticket)"), by: "") == .released(1))
                #expect(try await pool.queue() == foreign.indices.map { "other-\(waiting)-\($0)" })
                let queues = try await pool.redis.client.command(["SCARD", "lh:{default}:queues"])
                #expect(queues == .integer(Int64(foreign.count)))
                for index in foreign.indices {
                    let name = "other-\(waiting)-\(index)"
                    try await pool.cancel(name, why: .cancelled)
                }
            }
        }
    }

    @Test func `a ticket that was never asked for is found from its first ask on`() async throws {
        try await withPool { pool in
            guard case .offered(let score) = try await pool.ask("t1", age: .first) else {
                throw NoLease(ticket: "t1")
            }
            #expect(try await pool.ask("t1") == .offered(score: score))
            guard case .queued(let later) = try await pool.ask("t2", age: .first) else {
                throw NoLease(ticket: "t2")
            }
            #expect(later > score)
            #expect(try await pool.ask("t2") == .queued(score: later))
            #expect(try await pool.ask("t2", age: .again(score: 1)) == .queued(score: later))
        }
    }

    @Test func `only the present token releases, once`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            #expect(try await pool.store.release(lease, token: TokenHash("guess"), by: "") == .notHeld)
            #expect(try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "") == .notHeld)
            let second = try await pool.grant("t2")
            #expect(try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "") == .notHeld)
            #expect(try await pool.lease(of: "t2") == second)
        }
    }

    @Test func `a release by holder frees that holder's oldest lease of the kind only`() async throws {
        try await withPool(units: 2) { pool in
            _ = try await pool.ask("t1", holder: "same")
            _ = try await pool.ask("t2", holder: "same")
            let first = try await pool.requireLease(of: "t1")
            let second = try await pool.requireLease(of: "t2")
            for lease in [first, second] { #expect(try await pool.store.confirm(pool.origin(), lease) == .held) }
            let same = try HolderID("same")
            #expect(try await pool.store.release(.oldest(of: same, caller: "x", kind: .gpu, by: "")) == .notHeld)
            #expect(try await pool.store.release(.oldest(of: same, caller: "", kind: .modelLoad, by: "")) == .notHeld)
            #expect(try await pool.store.release(.oldest(of: same, caller: "", kind: .gpu, by: "")) == .released(1))
            #expect(try await pool.lease(of: "t1") == nil)
            #expect(try await pool.lease(of: "t2") == second)
        }
    }

    @Test func `a renewal goes through the agent, whose word goes back to the very call`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            #expect(
                try await pool.store.renew(lease, token: TokenHash("guess"), nonce: "n", coordinator: pool.coordinator)
                    == .wrongToken)
            #expect(
                try await pool.store.renew(
                    lease, token: TokenHash("hash-t1"), nonce: "n1", coordinator: pool.coordinator) == .asked)
            let messages = try await pool.agentMessages("a1", atLeast: 2)
            #expect(
                messages[1]
                    == .renew(
                        lease, token: TokenHash("hash-t1"), newToken: nil, nonce: "n1", coordinator: pool.coordinator))
            #expect(
                try await pool.store.renewed(
                    pool.origin(), lease, nonce: "n1", token: TokenHash("hash-t1"), ttl: .seconds(120),
                    coordinator: pool.coordinator) == .ok)
            #expect(
                try await pool.coordinatorMessages("c1", atLeast: 2)[1]
                    == .renewed(lease, nonce: "n1", ttl: .seconds(120)))
        }
    }

    @Test func `a lease that its agent ended is told to a late renewal, with why`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            #expect(try await pool.store.end(pool.origin(), lease, reason: .expired) == .ended(next: []))
            #expect(try await pool.store.end(pool.origin(), lease, reason: .expired) == .unknownLease)
            #expect(
                try await pool.store.renew(
                    lease, token: TokenHash("hash-t1"), nonce: "n", coordinator: pool.coordinator)
                    == .gone(.expired, by: ""))
        }
    }

    @Test func `the end of a lease brings the next offer in its answer`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            _ = try await pool.ask("t2")
            guard case .ended(let next) = try await pool.store.end(pool.origin(), lease, reason: .expired),
                case .offer(let offer)? = next.first
            else { throw NoLease(ticket: "t2") }
            #expect(offer.terms.ticket.text == "t2")
            #expect(offer.after == nil)
        }
    }

    @Test func `a rejected offer puts its ticket back where it was, and the unit waits for the heartbeat`() async throws
    {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            _ = try await pool.ask("t2", priority: .voice)
            let before = try await pool.requireLease(of: "t1")
            #expect(
                try await pool.store.reject(
                    pool.origin(), before, highest: FencingToken(5_000_000_000_000_000), why: "")
                    == .ok)
            #expect(try await pool.state(of: "h1/0") == .unheard)
            #expect(try await pool.queue() == ["t2", "t1"])
            try await pool.heartbeat([pool.report("h1/0")], first: false)
            let after = try await pool.requireLease(of: "t2")
            #expect(after.fencing.value > 5_000_000_000_000_000)
        }
    }

    @Test func `the same ticket asked for twice is one ticket, also when it holds a lease`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            #expect(try await pool.ask("t1") == .held(lease))
            let first = try await pool.ask("t2")
            #expect(try await pool.ask("t2") == first)
            #expect(try await pool.queue() == ["t2"])
            #expect(try await pool.ask("t2", coordinator: "c2") == first)
            #expect(try await pool.coordinatorMessages("c1", atLeast: 2)[1] == .moved(TicketID("t2")))
            #expect(try await pool.ask("t2", age: .again(score: 1)) == .moved)
        }
    }

    @Test func `a cancel acts only while the ticket is the coordinator's own`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            _ = try await pool.ask("t2")
            let store = pool.store
            let other = InstanceID("c2")
            #expect(
                try await store.cancel(
                    Cancel(TicketID("t2"), coordinator: other, token: TokenHash("x"), why: .cancelled))
                    == .notYours)
            #expect(
                try await store.cancel(
                    Cancel(TicketID("t1"), coordinator: pool.coordinator, token: TokenHash("x"), why: .undelivered))
                    == .notYours)
            #expect(try await pool.cancel("t2", why: .timeout) == .cancelled)
            #expect(try await pool.cancel("t2", why: .timeout) == .unknown)
            #expect(try await pool.lease(of: "t1") == lease)
            #expect(try await pool.cancel("t1", why: .undelivered) == .released)
            #expect(try await pool.state(of: "h1/0") == .free)
        }
    }

    @Test func `an unconfirmed offer that is cancelled goes to the next waiter`() async throws {
        try await withPool { pool in
            _ = try await pool.ask("t1")
            _ = try await pool.ask("t2")
            let lease = try await pool.requireLease(of: "t1")
            #expect(try await pool.cancel("t1", why: .cancelled) == .cancelled)
            #expect(try await pool.store.confirm(pool.origin(), lease) == .gone)
            #expect(try await pool.lease(of: "t2") != nil)
        }
    }

    @Test func `a lease is answered again through the agent with a new token`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            let new = TokenHash("new")
            let c2 = InstanceID("c2")
            #expect(
                try await pool.store.answerAgain(
                    AnswerAgain(TicketID("t1"), coordinator: c2, newToken: new, nonce: "n"))
                    == .notYours)
            #expect(try await pool.ask("t1", coordinator: "c2") == .held(lease))
            #expect(
                try await pool.store.answerAgain(
                    AnswerAgain(TicketID("t1"), coordinator: c2, newToken: new, nonce: "n"))
                    == .asked(lease, ttl: .seconds(120)))
            #expect(
                try await pool.store.renewed(
                    pool.origin(), lease, nonce: "n", token: new, ttl: .seconds(120), coordinator: c2) == .ok)
            // The coordinator that was overtaken cannot give back what the client has got elsewhere.
            #expect(try await pool.cancel("t1", why: .undelivered) == .notYours)
            #expect(try await pool.store.release(lease, token: TokenHash("hash-t1"), by: "") == .notHeld)
            #expect(try await pool.store.release(lease, token: new, by: "") == .released(1))
        }
    }

    @Test func `a ticket is found only by whoever asks for the same`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("r-1")
            #expect(try await pool.ask("r-1") == .held(lease))
            #expect(try await pool.ask("r-1", holder: "another") == .nameTaken)
            #expect(try await pool.ask("r-1", selector: Selector(kind: .modelLoad)) == .nameTaken)
            guard case .queued = try await pool.ask("r-2") else { throw NoLease(ticket: "r-2") }
            #expect(try await pool.ask("r-2", holder: "another") == .nameTaken)
            guard case .queued = try await pool.ask("r-2") else { throw NoLease(ticket: "r-2") }
        }
    }
}
