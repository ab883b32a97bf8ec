import LeaseModel
import Testing

@testable import Agent

/// A lease that spans several units of the host: decided as one, by the unit that it is named by.
@Suite struct `A lease of several units` {
    private static let three = ["h1/0", "h1/1", "h1/2"]

    private static func held(also: [String] = ["h1/1"]) throws -> Bench {
        var bench = try Bench.open(three)
        try bench.grant(5, also: also)
        return bench
    }

    private static func states(_ bench: Bench) -> [String] { three.map { bench.state($0) } }

    private static func isCurrent(_ bench: Bench, _ unit: String, _ fencing: Int64) throws -> Bool {
        bench.machine.verify(try UnitID(unit), FencingToken(fencing), at: bench.now) == .current
    }

    @Test func `begins by one confirm, and all its units answer for it`() throws {
        let bench = try Self.held()
        #expect(Self.states(bench) == ["held 5", "bound 5", "free"])
        #expect(try Self.isCurrent(bench, "h1/0", 5))
        #expect(try Self.isCurrent(bench, "h1/1", 5))
        #expect(try !Self.isCurrent(bench, "h1/2", 5))
        #expect(bench.machine.reports(at: bench.now).map(\.highestFencing.value) == [5, 5, 0])
    }

    @Test func `is refused whole where one of its units is another's, rests, is gone or has had a higher token`() throws
    {
        var bench = try Bench.open(Self.three)
        try bench.grant(5, on: "h1/1")
        #expect(bench.hear(.offer(try Bench.offer(6, also: ["h1/1"]))).rejections == [[6, 5]])
        #expect(bench.hear(.offer(try Bench.offer(7, on: "h1/1", also: ["h1/2"]))).rejections == [[7, 5]])
        #expect(bench.hear(.offer(try Bench.offer(8, also: ["h1/9"]))).rejections == [[8, 0]])
        #expect(Self.states(bench) == ["free", "held 5", "free"])
        bench.hear(.end(try Bench.lease(5, on: "h1/1"), TokenHash("k5"), .released))
        #expect(bench.hear(.offer(try Bench.offer(5, also: ["h1/1"]))).rejections == [[5, 5]])
        bench.handle(.inventory([try Bench.unit("h1/0")]))
        #expect(bench.hear(.offer(try Bench.offer(9, also: ["h1/1"]))).rejections.count == 1)
        #expect(bench.state() == "free")
    }

    @Test func `has each of its units, whichever is asked for`() throws {
        var bench = try Self.held()
        #expect(bench.hear(.offer(try Bench.offer(6, on: "h1/1"))).rejections == [[6, 5]])
        #expect(bench.hear(.offer(try Bench.offer(7, on: "h1/1", also: ["h1/2"]))).rejections == [[7, 5]])
        #expect(bench.hear(.offer(try Bench.offer(5, also: ["h1/1"]))) == [])
        #expect(Self.states(bench) == ["held 5", "bound 5", "free"])
    }

    @Test(arguments: ["released", "expired", "revoked", "gone"])
    func `ends at all of them at once, and the whole journal is written`(_ how: String) throws {
        var bench = try Bench.open(Self.three)
        let actions: [AgentMachine.Action]
        if how == "gone" {
            bench.hear(.offer(try Bench.offer(5, also: ["h1/1"])))
            actions = try bench.answerConfirm(5, .gone)
        } else {
            try bench.grant(5, also: ["h1/1"])
            actions =
                switch how {
                case "released": bench.hear(.end(try Bench.lease(5), TokenHash("k5"), .released))
                case "expired": bench.handle(.clockReached, after: .seconds(62))
                default: bench.hear(.revoke(try Bench.lease(5), .revoked, by: "ada", why: ""))
                }
        }
        #expect(actions.contains(.writeJournal))
        #expect(Self.states(bench) == ["free", "free", "free"])
        #expect(try !Self.isCurrent(bench, "h1/1", 5))
        #expect(bench.hear(.offer(try Bench.offer(5, on: "h1/1"))).rejections == [[5, 5]])
    }

    @Test func `makes room for the next on any of its units by its release, and for no other word`() throws {
        var bench = try Self.held()
        let wrong = ReleasedLease(lease: try Bench.lease(5), token: TokenHash("k4"))
        #expect(bench.hear(.offer(try Bench.offer(6, on: "h1/1", after: wrong))).rejections == [[6, 5]])
        let after = ReleasedLease(lease: try Bench.lease(5), token: TokenHash("k5"))
        let actions = bench.hear(.offer(try Bench.offer(7, on: "h1/1", after: after, also: ["h1/2"])))
        #expect(actions.first == .writeJournal)
        #expect(actions.contains(try bench.confirm(7, on: "h1/1")))
        #expect(Self.states(bench) == ["free", "confirming 7", "bound 7"])
    }

    @Test func `is taken up once the confirm before it is answered, on whichever of its units that is`() throws {
        for answer in [AgentMachine.ConfirmAnswer.gone, .held] {
            var bench = try Bench.open(Self.three)
            bench.hear(.offer(try Bench.offer(5, on: "h1/1")))
            #expect(bench.hear(.offer(try Bench.offer(6, also: ["h1/1"]))) == [])
            #expect(bench.state() == "free")
            let actions = try bench.answerConfirm(5, answer, on: "h1/1")
            if answer == .gone {
                #expect(actions.contains(try bench.confirm(6)))
                #expect(Self.states(bench) == ["confirming 6", "bound 6", "free"])
            } else {
                #expect(actions.rejections == [[6, 5]])
                #expect(Self.states(bench) == ["free", "held 5", "free"])
            }
        }
        var bench = try Bench.open(Self.three)
        bench.hear(.offer(try Bench.offer(5, also: ["h1/1", "h1/2"])))
        #expect(bench.hear(.offer(try Bench.offer(6, on: "h1/2"))) == [])
        #expect(try bench.answerConfirm(5, .gone).contains(try bench.confirm(6, on: "h1/2")))
        #expect(Self.states(bench) == ["free", "free", "confirming 6"])
    }

    @Test func `is not begun where the journal cannot be written: all its units rest`() throws {
        var bench = try Bench.open(Self.three)
        bench.hear(.offer(try Bench.offer(5, also: ["h1/1"])))
        bench.handle(.journalFailed(.confirm(try Bench.lease(5))))
        #expect(Self.states(bench) == ["resting", "resting", "free"])
    }

    @Test func `is renewed as one, and keeps a device that goes until it ends`() throws {
        var bench = try Self.held()
        bench.handle(.inventory([try Bench.unit("h1/0"), try Bench.unit("h1/2")]))
        #expect(Self.states(bench) == ["held 5", "bound 5", "free"])
        let actions = try bench.renew(5, after: .seconds(50))
        #expect(
            actions == [
                .journalThenSay(
                    .renewed(
                        try Bench.lease(5), nonce: "n", token: TokenHash("k5"), ttl: .seconds(60),
                        coordinator: InstanceID("c1"), also: [try UnitID("h1/1")]), session: bench.machine.session)
            ])
        bench.handle(.clockReached, after: .seconds(61))
        #expect(Self.states(bench) == ["held 5", "bound 5", "free"])
        bench.handle(.clockReached, after: .seconds(1))
        #expect(Self.states(bench) == ["free", "no unit", "free"])
    }

    @Test func `goes on after a restart, also where a device comes late`() throws {
        var before = try Self.held()
        before.now = before.now + .seconds(10)
        let past = AgentPast.remembered(before.machine.memory)
        let bench = try Bench(Self.three, past: past, at: before.now)
        #expect(Self.states(bench) == ["held 5", "bound 5", "free"])
        // Its further unit comes later.
        var late = try Bench(["h1/0", "h1/2"], past: past, at: before.now)
        late.connect()
        late.handle(.inventory(try Self.three.map(Bench.unit)))
        #expect(Self.states(late) == ["held 5", "bound 5", "free"])
        // The unit that it is named by comes later: until then nothing can prolong it.
        var headless = try Bench(["h1/1", "h1/2"], past: past, at: before.now)
        headless.connect()
        #expect(Self.states(headless) == ["no unit", "resting", "free"])
        #expect(headless.hear(.offer(try Bench.offer(6, on: "h1/1"))).rejections == [[6, 5]])
        var back = headless
        back.handle(.inventory(try Self.three.map(Bench.unit)))
        #expect(Self.states(back) == ["held 5", "bound 5", "free"])
        headless.handle(.clockReached, after: .seconds(52))
        #expect(Self.states(headless) == ["no unit", "free", "free"])
    }

    @Test func `is no other agent's to forget: what is bound does not rest with what is free`() throws {
        var bench = try Self.held()
        bench.handle(.connected)
        bench.answerHeartbeat(.succeedsAnother(InstanceID("a9"), highest: FencingToken(50)))
        #expect(Self.states(bench) == ["held 5", "bound 5", "resting"])
    }
}
