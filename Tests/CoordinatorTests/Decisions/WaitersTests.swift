import LeaseModel
import Testing

@testable import Coordinator

/// A machine whose Redis is there and has had its first heartbeat at second 0.
private func connected(limit: Int = 100) -> Waiters {
    var waiters = Waiters(limit: limit)
    _ = waiters.handle(.redisBack, at: at(0))
    _ = waiters.handle(.beatDue, at: at(0))
    _ = waiters.handle(.beatAnswered(number: 1, BeatAnswer()), at: at(0))
    return waiters
}

/// The same with a ticket `t-1` in its queue, asked by call 1.
private func queued(_ request: LockRequest, at now: BootInstant = at(1)) throws -> Waiters {
    var waiters = connected()
    let asked = waiters.handle(.lockRequested(request), at: now)
    let reference = try #require(asked.asks.first?.reference)
    #expect(waiters.handle(.askAnswered(reference, .queued(score: 77)), at: now).isEmpty)
    return waiters
}

private struct Unexpected: Error { var actions: [Waiters.Action] }

@Suite struct WaitersTests {
    @Test func `a grant is told from the moment its heartbeat was sent`() throws {
        var waiters = try queued(request(1))
        let answers = waiters.handle(.granted(grant("t-1", try lease(5), token: "hash-1", beat: 1)), at: at(3)).answers
        let told = AcquiredLease(
            lease: try lease(5), secret: LeaseSecret("secret-1"), ttl: .seconds(120), expiresIn: .seconds(116),
            waited: .seconds(2))
        #expect(answers.map(\.call) == [1])
        #expect(answers.first?.outcome == .acquired(told))
        #expect(waiters.handle(.delivered(CallID(1)), at: at(3)).isEmpty)
        #expect(waiters.count == 0)
        #expect(waiters.wakeAt == nil)
    }

    @Test func `a new connection begins with a heartbeat, before anything is asked again`() throws {
        var waiters = connected()
        _ = waiters.handle(.redisLost, at: at(1))
        _ = waiters.handle(.lockRequested(try request(1)), at: at(2))
        let actions = waiters.handle(.redisBack, at: at(3))
        guard case .beat(number: 2, _, _) = actions.first else { throw Unexpected(actions: actions) }
        #expect(waiters.lastBeat == 2)
        #expect(actions.asks.map(\.reference.ticket.text) == ["t-1"])
        #expect(waiters.handle(.beatDue, at: at(3)).isEmpty, "one is under way")
    }

    @Test func `goes on beating while the pool has units to match that were kept apart`() {
        var waiters = connected()
        _ = waiters.handle(.beatDue, at: at(1))
        let more = waiters.handle(.beatAnswered(number: 2, BeatAnswer(goesOn: true)), at: at(1))
        #expect(more == [.beat(number: 3, count: 0, naming: [])])
        #expect(waiters.handle(.beatAnswered(number: 3, BeatAnswer()), at: at(1)).isEmpty)
    }

    @Test func `a grant may overtake the answer of its own ask`() throws {
        var waiters = connected()
        let reference = try #require(waiters.handle(.lockRequested(try request(1)), at: at(1)).asks.first?.reference)
        let granted = waiters.handle(.granted(grant("t-1", try lease(5), token: "hash-1", beat: 1)), at: at(1))
        #expect(granted.answers.count == 1)
        #expect(waiters.handle(.delivered(CallID(1)), at: at(1)).isEmpty)
        #expect(waiters.handle(.askAnswered(reference, .offered(score: 1)), at: at(1)).isEmpty)
    }

    @Test(arguments: [nil, 99, 1] as [Int64?])
    func `without a number of its own, or with half the time gone, the lease is renewed before it is told`(
        beat: Int64?
    ) throws {
        var waiters = try queued(request(1, ttl: .seconds(10)))
        let given = grant("t-1", try lease(5), token: "hash-1", beat: beat, ttl: .seconds(10))
        #expect(waiters.handle(.granted(given), at: at(7)) == [.drawToken(TicketID("t-1"))])
        #expect(
            waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("new")), at: at(7))
                == [.answerAgain(TicketID("t-1"), newToken: TokenHash("hash-new"), nonce: "nonce-new")])
        #expect(
            waiters.handle(.againAnswered(TicketID("t-1"), nonce: "nonce-new", .asked(try lease(5))), at: at(7)).isEmpty
        )
        let answers = waiters.handle(.renewed(try lease(5), nonce: "nonce-new", ttl: .seconds(10)), at: at(8)).answers
        let told = AcquiredLease(
            lease: try lease(5), secret: LeaseSecret("secret-new"), ttl: .seconds(10), expiresIn: .seconds(8),
            waited: .seconds(7))
        #expect(answers.first?.outcome == .acquired(told))
    }

    @Test func `the answer of an earlier renewal is not counted from a later sending`() throws {
        var waiters = try queued(request(1))
        _ = waiters.handle(.held(TicketID("t-1")), at: at(2))
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("a")), at: at(2))
        let lapsed = waiters.handle(.clockReached, at: at(4))
        let reference = try #require(lapsed.asks.first)
        #expect(reference.age == .again(score: 77))
        _ = waiters.handle(.askAnswered(reference.reference, .held(try lease(5))), at: at(4))
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("b")), at: at(4))
        #expect(waiters.handle(.renewed(try lease(5), nonce: "nonce-a", ttl: .seconds(120)), at: at(5)).isEmpty)
        #expect(
            waiters.handle(.renewed(try lease(5), nonce: "nonce-b", ttl: .seconds(120)), at: at(5)).answers.count == 1)
    }

    @Test func `a grant that nobody waits for is given back by its lease until Redis has heard it`() throws {
        var waiters = connected()
        let wish = Waiters.Action.giveBack(try lease(5), TicketID("t-9"), TokenHash("hash-9"))
        #expect(
            waiters.handle(.granted(grant("t-9", try lease(5), token: "hash-9", beat: 1)), at: at(1)) == [wish])
        // Also where the client has asked again meanwhile: the word is about a lease that nobody was told of.
        _ = waiters.handle(.lockRequested(try request(1, ticket: "t-9", resumable: true)), at: at(2))
        _ = waiters.handle(.giveBackFailed(try lease(5), TicketID("t-9"), TokenHash("hash-9")), at: at(2))
        _ = waiters.handle(.beatDue, at: at(3))
        #expect(waiters.handle(.beatAnswered(number: 2, BeatAnswer()), at: at(3)) == [wish])
    }

    @Test func `a client that leaves frees its place at once`() throws {
        var waiters = try queued(request(1))
        #expect(
            waiters.handle(.clientGone(CallID(1)), at: at(2))
                == [.cancel(TicketID("t-1"), TokenHash("hash-1"), .cancelled)])
        #expect(waiters.count == 0)
    }

    @Test func `a client that leaves while its ask is under way is given up once more when the ask has run`() throws {
        var waiters = connected()
        let reference = try #require(waiters.handle(.lockRequested(try request(1)), at: at(1)).asks.first?.reference)
        #expect(waiters.handle(.clientGone(CallID(1)), at: at(1)).cancels.count == 1)
        #expect(waiters.handle(.askAnswered(reference, .queued(score: 1)), at: at(1)).cancels.count == 1)
        #expect(waiters.handle(.askAnswered(reference, .queued(score: 1)), at: at(1)).isEmpty)
    }

    @Test func `a cut wait keeps its place for five seconds and is taken up by the same request`() throws {
        var waiters = try queued(request(1, resumable: true))
        #expect(waiters.handle(.clientGone(CallID(1)), at: at(10)).isEmpty)
        #expect(waiters.handle(.clockReached, at: at(14.9)).isEmpty)
        #expect(waiters.handle(.lockRequested(try request(2, resumable: true)), at: at(14.9)).isEmpty)
        let granted = waiters.handle(.granted(grant("t-1", try lease(5), token: "hash-1", beat: 1)), at: at(20))
        #expect(granted == [.drawToken(TicketID("t-1"))])
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("2")), at: at(20))
        let renewed = waiters.handle(.renewed(try lease(5), nonce: "nonce-2", ttl: .seconds(120)), at: at(21))
        #expect(renewed.answers.map(\.call) == [2])
    }

    @Test func `what was under way for a call is not told to the call that took its place`() throws {
        // In between the client may have been at another coordinator, which puts a token of its own in force.
        var waiters = try queued(request(1, resumable: true))
        #expect(waiters.handle(.held(TicketID("t-1")), at: at(2)) == [.drawToken(TicketID("t-1"))])
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("1")), at: at(2))
        let taken = waiters.handle(.lockRequested(try request(2, resumable: true)), at: at(3))
        #expect(taken.contains(.drawToken(TicketID("t-1"))))
        #expect(waiters.handle(.renewed(try lease(5), nonce: "nonce-1", ttl: .seconds(120)), at: at(3)).isEmpty)
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("2")), at: at(3))
        let answers = waiters.handle(.againAnswered(TicketID("t-1"), nonce: "nonce-2", .notYours), at: at(3)).answers
        #expect(answers.map(\.outcome) == [.moved])
    }

    @Test func `a cut wait that nobody takes up is given up after five seconds`() throws {
        var waiters = try queued(request(1, resumable: true))
        _ = waiters.handle(.clientGone(CallID(1)), at: at(10))
        #expect(waiters.wakeAt == at(15))
        #expect(
            waiters.handle(.clockReached, at: at(15))
                == [.cancel(TicketID("t-1"), TokenHash("hash-1"), .cancelled)])
    }

    @Test func `a grant that meets no client waits for it and is answered as a renewal`() throws {
        var waiters = try queued(request(1, resumable: true))
        _ = waiters.handle(.clientGone(CallID(1)), at: at(10))
        #expect(waiters.handle(.granted(grant("t-1", try lease(5), token: "hash-1", beat: 1)), at: at(12)).isEmpty)
        #expect(waiters.wakeAt == at(17))
        #expect(
            waiters.handle(.lockRequested(try request(2, resumable: true)), at: at(16)) == [.drawToken(TicketID("t-1"))]
        )
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("new")), at: at(16))
        let answers = waiters.handle(.renewed(try lease(5), nonce: "nonce-new", ttl: .seconds(120)), at: at(16)).answers
        #expect(answers.map(\.call) == [2])
    }

    @Test func `a grant that meets no client is given back after five seconds`() throws {
        var waiters = try queued(request(1, resumable: true))
        _ = waiters.handle(.clientGone(CallID(1)), at: at(10))
        _ = waiters.handle(.granted(grant("t-1", try lease(5), token: "hash-1", beat: 1)), at: at(12))
        #expect(
            waiters.handle(.clockReached, at: at(17))
                == [.cancel(TicketID("t-1"), TokenHash("hash-1"), .undelivered)])
    }

    @Test func `an answer that could not be handed over gives the lease back`() throws {
        var waiters = try queued(request(1))
        _ = waiters.handle(.granted(grant("t-1", try lease(5), token: "hash-1", beat: 1)), at: at(2))
        #expect(
            waiters.handle(.undelivered(CallID(1)), at: at(2))
                == [.cancel(TicketID("t-1"), TokenHash("hash-1"), .undelivered)])
    }

    @Test func `a second call with the same request takes the first one's place`() throws {
        var waiters = try queued(request(1, resumable: true))
        let answers = waiters.handle(.lockRequested(try request(2, resumable: true)), at: at(5)).answers
        #expect(answers.map(\.call) == [1])
        #expect(answers.first?.outcome == .replaced)
        #expect(waiters.handle(.clientGone(CallID(1)), at: at(5)).isEmpty)
        #expect(waiters.wakeAt == at(125))
    }

    @Test func `a waiter is answered when its own time is over`() throws {
        var waiters = try queued(request(1, timeout: .seconds(3)))
        #expect(waiters.wakeAt == at(4))
        #expect(waiters.handle(.clockReached, at: at(3.9)).isEmpty)
        #expect(
            waiters.handle(.clockReached, at: at(4)) == [
                .answer(CallID(1), .timedOut(waited: .seconds(3), isDegraded: false)),
                .cancel(TicketID("t-1"), TokenHash("hash-1"), .timeout),
            ])
        #expect(waiters.wakeAt == nil)
    }

    @Test func `a call that waits for nothing is answered as soon as it would have to wait`() throws {
        var waiters = connected()
        let asked = waiters.handle(.lockRequested(try request(1, timeout: .zero)), at: at(1))
        let reference = try #require(asked.asks.first?.reference)
        let answers = waiters.handle(.askAnswered(reference, .queued(score: 1)), at: at(1)).answers
        #expect(answers.first?.outcome == .timedOut(waited: .zero, isDegraded: false))
    }

    @Test func `without Redis new requests wait, and are asked in the order of their arrival when it is back`() throws {
        var waiters = Waiters(limit: 10)
        for call in 1...5 as ClosedRange<UInt64> {
            #expect(
                waiters.handle(.lockRequested(try request(call, ticket: "t-\(call)")), at: at(Double(call))).isEmpty)
        }
        #expect(
            waiters.handle(.redisBack, at: at(9)).asks.map(\.reference.ticket.text) == [
                "t-1", "t-2", "t-3", "t-4", "t-5",
            ])
    }

    @Test func `a wait that ends without Redis says so`() throws {
        var waiters = Waiters(limit: 10)
        _ = waiters.handle(.lockRequested(try request(1, timeout: .seconds(2))), at: at(1))
        #expect(
            waiters.handle(.clockReached, at: at(3))
                == [.answer(CallID(1), .timedOut(waited: .seconds(2), isDegraded: true))])
    }

    @Test func `a ticket that Redis has lost is asked again with its age`() throws {
        var waiters = try queued(request(1))
        #expect(
            waiters.handle(.beatDue, at: at(2)) == [.beat(number: 2, count: 1, naming: [TicketID("t-1")])])
        let asks = waiters.handle(.beatAnswered(number: 2, BeatAnswer(unknown: [TicketID("t-1")])), at: at(2)).asks
        #expect(asks.map(\.age) == [.again(score: 77)])
    }

    @Test func `an ask that failed is made again`() throws {
        var waiters = connected()
        let reference = try #require(waiters.handle(.lockRequested(try request(1)), at: at(1)).asks.first?.reference)
        #expect(waiters.handle(.askAnswered(reference, .failed), at: at(1)).isEmpty)
        #expect(waiters.handle(.clockReached, at: at(1.25)).asks.map(\.age) == [.fresh])
    }

    @Test func `only a ticket that its client did not name can be new to Redis, and only once`() throws {
        var waiters = connected()
        let unnamed = waiters.handle(.lockRequested(try request(1)), at: at(1)).asks
        #expect(unnamed.map(\.age) == [.first])
        let named = waiters.handle(.lockRequested(try request(2, ticket: "t-2", resumable: true)), at: at(1)).asks
        #expect(named.map(\.age) == [.fresh])
        // It may have run before the connection broke.
        _ = waiters.handle(.redisLost, at: at(2))
        for ask in unnamed + named { _ = waiters.handle(.askAnswered(ask.reference, .failed), at: at(2)) }
        #expect(waiters.handle(.redisBack, at: at(3)).asks.map(\.age) == [.fresh, .fresh])
    }

    @Test func `a cancel that was not heard is said again with the next heartbeat that is`() throws {
        var waiters = try queued(request(1))
        _ = waiters.handle(.clientGone(CallID(1)), at: at(2))
        _ = waiters.handle(.cancelFailed(TicketID("t-1"), TokenHash("hash-1"), .cancelled), at: at(2))
        _ = waiters.handle(.beatDue, at: at(3))
        #expect(
            waiters.handle(.beatAnswered(number: 2, BeatAnswer()), at: at(3))
                == [.cancel(TicketID("t-1"), TokenHash("hash-1"), .cancelled)])
    }

    @Test func `a lease whose host is silent is waited for no longer`() throws {
        var waiters = try queued(request(1))
        _ = waiters.handle(.held(TicketID("t-1")), at: at(2))
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("b")), at: at(2))
        let answer = Waiters.Event.againAnswered(TicketID("t-1"), nonce: "nonce-b", .givenUp(score: 7))
        #expect(waiters.handle(answer, at: at(2)).isEmpty)
        let asks = waiters.handle(.clockReached, at: at(2)).asks
        #expect(asks.map(\.age) == [.again(score: 7)])
        // What was asked for anew is told without another detour: no token is in doubt.
        let reference = try #require(asks.first?.reference)
        _ = waiters.handle(.askAnswered(reference, .offered(score: 7)), at: at(2))
        let told = waiters.handle(.granted(grant("t-1", try lease(6), token: "hash-1", beat: 1)), at: at(3))
        #expect(told.answers.count == 1)
    }

    @Test func `a resumable call that may be old is not started`() throws {
        var waiters = connected()
        var late = try request(1, ticket: "r-1", resumable: true)
        late.mayBeOld = true
        #expect(waiters.handle(.lockRequested(late), at: at(1)) == [.answer(CallID(1), .ofUnknownAge)])
        // One without a request_id takes nothing over.
        var plain = try request(2)
        plain.mayBeOld = true
        #expect(waiters.handle(.lockRequested(plain), at: at(1)).asks.count == 1)
    }

    @Test func `calls may be old where no heartbeat was due for long, and for a moment after`() {
        var standstill = Standstill()
        #expect(!standstill.mayBeOld(at: at(100)))
        standstill.tick(at: at(100))
        #expect(!standstill.mayBeOld(at: at(102)))
        #expect(standstill.mayBeOld(at: at(102.1)))
        standstill.tick(at: at(102.2))
        #expect(standstill.mayBeOld(at: at(102.6)))
        #expect(!standstill.mayBeOld(at: at(102.7)))
        standstill.tick(at: at(102.7))
        #expect(!standstill.mayBeOld(at: at(102.7)))
    }

    @Test func `a ticket that Redis has and this coordinator does not is given up`() throws {
        var waiters = try queued(request(1))
        #expect(waiters.handle(.beatDue, at: at(2)) == [.beat(number: 2, count: 1, naming: [TicketID("t-1")])])
        let answer = BeatAnswer(more: [TicketID("t-1"), TicketID("r-2")])
        let cancel = Waiters.Action.cancel(TicketID("r-2"), TokenHash(""), .forgotten)
        #expect(waiters.handle(.beatAnswered(number: 2, answer), at: at(2)) == [cancel])
        // What could not be said is found again, and is no doubt about a later wait of the same request.
        _ = waiters.handle(.cancelFailed(TicketID("r-2"), TokenHash(""), .forgotten), at: at(3))
        _ = waiters.handle(.beatDue, at: at(3))
        #expect(waiters.handle(.beatAnswered(number: 3, BeatAnswer()), at: at(3)).isEmpty)
    }

    @Test func `each waiting ticket is named every five seconds`() throws {
        var waiters = connected()
        for call in 1...25 as ClosedRange<UInt64> {
            let asked = waiters.handle(.lockRequested(try request(call, ticket: "t-\(call)")), at: at(1))
            let reference = try #require(asked.asks.first?.reference)
            _ = waiters.handle(.askAnswered(reference, .queued(score: Int64(call))), at: at(1))
        }
        var named: Set<TicketID> = []
        for index in 0..<10 {
            let moment = at(2 + Double(index) / 2)
            for case .beat(let number, _, let tickets) in waiters.handle(.beatDue, at: moment) {
                #expect(tickets.count <= 3)
                named.formUnion(tickets)
                _ = waiters.handle(.beatAnswered(number: number, BeatAnswer()), at: moment)
            }
        }
        #expect(named.count == 25)
    }

    @Test func `a heartbeat waits for the answer of the one before`() {
        var waiters = connected()
        #expect(waiters.handle(.beatDue, at: at(1)).count == 1)
        #expect(waiters.handle(.beatDue, at: at(2)).isEmpty)
        _ = waiters.handle(.beatFailed(number: 2), at: at(3))
        #expect(waiters.handle(.beatDue, at: at(3)) == [.beat(number: 3, count: 0, naming: [])])
    }

    @Test func `force and another coordinator end a wait`() throws {
        var waiters = try queued(request(1))
        #expect(
            waiters.handle(.refused(TicketID("t-1"), by: "root", why: "maintenance"), at: at(2))
                == [.answer(CallID(1), .forceReleased(by: "root", why: "maintenance"))])
        waiters = try queued(request(1, resumable: true))
        #expect(waiters.handle(.moved(TicketID("t-1")), at: at(2)) == [.answer(CallID(1), .moved)])
        #expect(waiters.count == 0)
    }

    @Test func `an unknown place is the client's mistake only in a settled pool`() throws {
        var waiters = connected()
        var asked = waiters.handle(.lockRequested(try request(1, namesItsPlace: true)), at: at(1))
        var reference = try #require(asked.asks.first?.reference)
        #expect(waiters.handle(.askAnswered(reference, .unknownHost), at: at(1)).isEmpty)
        asked = waiters.handle(.clockReached, at: at(7))
        reference = try #require(asked.asks.first?.reference)
        #expect(waiters.handle(.askAnswered(reference, .unknownHost), at: at(7)) == [.answer(CallID(1), .unknownHost)])
    }

    @Test func `beyond the limit a request is refused`() throws {
        var waiters = connected(limit: 1)
        _ = waiters.handle(.lockRequested(try request(1, ticket: "t-1")), at: at(1))
        #expect(
            waiters.handle(.lockRequested(try request(2, ticket: "t-2")), at: at(1))
                == [.answer(CallID(2), .tooManyWaiting(limit: 1))])
    }

    @Test func `a request's name leads to no other wish`() throws {
        var waiters = try queued(request(1, ticket: "r-1", resumable: true))
        var other = try request(2, ticket: "r-1", resumable: true)
        other.holder = try HolderID("another")
        #expect(waiters.handle(.lockRequested(other), at: at(2)) == [.answer(CallID(2), .nameTaken)])
        let third = waiters.handle(.lockRequested(try request(3, ticket: "r-1", resumable: true)), at: at(3))
        #expect(third == [.answer(CallID(1), .replaced)])

        var elsewhere = connected()
        let asked = elsewhere.handle(.lockRequested(try request(1, ticket: "r-1", resumable: true)), at: at(1))
        let reference = try #require(asked.asks.first?.reference)
        #expect(
            elsewhere.handle(.askAnswered(reference, .nameTaken), at: at(1)) == [.answer(CallID(1), .nameTaken)])
    }

    @Test func `a shutdown answers everybody and lets nobody in`() throws {
        var waiters = connected()
        for call in 1...3 as ClosedRange<UInt64> {
            _ = waiters.handle(.lockRequested(try request(call, ticket: "t-\(call)")), at: at(1))
        }
        let actions = waiters.handle(.shutdown, at: at(2))
        #expect(actions.answers.map(\.call) == [1, 2, 3])
        #expect(actions.answers.allSatisfy { $0.outcome == .shuttingDown })
        #expect(actions.cancels.count == 3)
        #expect(waiters.handle(.lockRequested(try request(4)), at: at(3)) == [.answer(CallID(4), .shuttingDown)])
    }

    @Test func `a shutdown leaves places that clients can take up elsewhere to them`() throws {
        var waiters = try queued(request(1, ticket: "r-1", resumable: true))
        let actions = waiters.handle(.shutdown, at: at(2))
        #expect(actions == [.answer(CallID(1), .shuttingDown)])
        #expect(waiters.keepsTickets)
    }

    @Test func `a call that waits no longer gives its waiting ticket up at once`() throws {
        var waiters = try queued(request(1, ticket: "r-1", resumable: true))
        let actions = waiters.handle(
            .lockRequested(try request(2, ticket: "r-1", resumable: true, timeout: .zero)), at: at(2))
        #expect(
            actions == [
                .answer(CallID(1), .replaced), .answer(CallID(2), .timedOut(waited: .zero, isDegraded: false)),
                .cancel(TicketID("r-1"), TokenHash("hash-1"), .timeout),
            ])
    }

    @Test func `a client that leaves during a renewal gives back the lease with the token it then has`() throws {
        var waiters = try queued(request(1))
        _ = waiters.handle(.held(TicketID("t-1")), at: at(2))
        _ = waiters.handle(.tokenDrawn(TicketID("t-1"), drawn("new")), at: at(2))
        #expect(waiters.handle(.clientGone(CallID(1)), at: at(2.5)).isEmpty)
        #expect(
            waiters.handle(.renewed(try lease(5), nonce: "nonce-new", ttl: .seconds(120)), at: at(3))
                == [.cancel(TicketID("t-1"), TokenHash("hash-new"), .undelivered)])
    }
}
