import LeaseModel
import Testing

@testable import Coordinator

/// Redis and the agents as far as one coordinator sees them: commands and replies in order on one connection,
/// messages in order on another, all of it lost together when the connection breaks.
private struct ToyPool {
    struct Standing {
        var token: TokenHash
        var lease: LeaseID?
    }

    var numbers: SeededNumbers
    var machine = Waiters(limit: 40)
    var now = at(0)
    var isUp = false
    var isHealing = false
    var tickets: [TicketID: Standing] = [:]
    var commands: [Waiters.Action] = []
    var replies: [Waiters.Event] = []
    var messages: [Waiters.Event] = []
    var lastFencing: Int64 = 0
    var lastDrawn = 0
    var lastBeat: Int64 = 0
    /// Calls that wait, those that have their answer, and the tokens that clients were told.
    var open: [CallID: TicketID] = [:]
    var resumable: Set<TicketID> = []
    var answered: Set<CallID> = []
    var told: Set<TokenHash> = []
    var deliveries: [CallID] = []
    var lastCall: UInt64 = 0
    var trace: [Waiters.Action] = []

    init(seed: UInt64) { numbers = SeededNumbers(seed: seed) }

    mutating func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &numbers) }

    mutating func feed(_ event: Waiters.Event) {
        var events = [event]
        while let next = events.popLast() {
            for action in machine.handle(next, at: now) {
                trace.append(action)
                switch action {
                case .drawToken(let ticket):
                    lastDrawn += 1
                    events.append(.tokenDrawn(ticket, drawn("d\(lastDrawn)")))
                case .answer(let call, let outcome): take(outcome, for: call)
                case .ask, .answerAgain, .cancel, .giveBack, .beat:
                    if isUp { commands.append(action) } else { events.append(contentsOf: failure(of: action)) }
                }
            }
        }
    }

    mutating func take(_ outcome: LockOutcome, for call: CallID) {
        #expect(open.removeValue(forKey: call) != nil, "answered though it did not wait: \(call)")
        #expect(answered.insert(call).inserted, "answered twice: \(call)")
        if case .acquired(let lease) = outcome {
            #expect(lease.expiresIn > .zero && lease.expiresIn < lease.ttl)
            deliveries.append(call)
            told.insert(TokenHash("hash-" + lease.secret.text.dropFirst("secret-".count)))
        }
    }

    func failure(of action: Waiters.Action) -> [Waiters.Event] {
        switch action {
        case .ask(let reference, _, _): [.askAnswered(reference, .failed)]
        case .answerAgain(let ticket, _, let nonce): [.againAnswered(ticket, nonce: nonce, .failed)]
        case .cancel(let ticket, let token, let cause): [.cancelFailed(ticket, token, cause)]
        case .giveBack(let lease, let ticket, let token): [.giveBackFailed(lease, ticket, token)]
        case .beat(let number, _, _): [.beatFailed(number: number)]
        case .drawToken, .answer: []
        }
    }

    mutating func execute(_ action: Waiters.Action) -> Waiters.Event? {
        switch action {
        case .ask(let reference, _, _):
            guard let standing = tickets[reference.ticket] else {
                tickets[reference.ticket] = Standing(token: reference.token, lease: nil)
                return .askAnswered(reference, .queued(score: 1))
            }
            if let lease = standing.lease { return .askAnswered(reference, .held(lease)) }
            tickets[reference.ticket]?.token = reference.token
            return .askAnswered(reference, .queued(score: 1))
        case .answerAgain(let ticket, let token, let nonce):
            guard let lease = tickets[ticket]?.lease else { return .againAnswered(ticket, nonce: nonce, .unknown) }
            if isHealing || roll(4) > 0 {
                tickets[ticket]?.token = token
                messages.append(.renewed(lease, nonce: nonce, ttl: .seconds(60)))
            } else if roll(2) == 0 {
                messages.append(.renewalRefused(nonce: nonce))
            }
            return .againAnswered(ticket, nonce: nonce, .asked(lease))
        case .cancel(let ticket, let token, _):
            if let standing = tickets[ticket], standing.lease == nil || standing.token == token {
                tickets[ticket] = nil
            }
            return nil
        case .giveBack(let lease, let ticket, let token):
            if let standing = tickets[ticket], standing.lease == lease, standing.token == token {
                tickets[ticket] = nil
            }
            return nil
        case .beat(let number, let count, let named):
            lastBeat = number
            var answer = BeatAnswer()
            for ticket in named {
                if tickets[ticket] == nil { answer.unknown.append(ticket) }
                if tickets[ticket]?.lease != nil { answer.held.append(ticket) }
            }
            let waiting = tickets.filter { $0.value.lease == nil }.keys
            if waiting.count > count { answer.more = waiting.sorted { $0.text < $1.text } }
            return .beatAnswered(number: number, answer)
        case .drawToken, .answer: return nil
        }
    }

    mutating func step() throws {
        switch roll(24) {
        case 0...3: try call()
        case 4...9: if !commands.isEmpty { replies += [execute(commands.removeFirst())].compactMap { $0 } }
        case 10...13: if !replies.isEmpty { feed(replies.removeFirst()) }
        case 14...16: if !messages.isEmpty { feed(messages.removeFirst()) }
        case 17: try grantOne()
        case 18: clientLeaves()
        case 19: feed(.beatDue)
        case 20: deliver()
        case 21, 22: advance(by: .milliseconds(roll(1500)))
        default: connectionChanges()
        }
    }

    mutating func call() throws {
        lastCall += 1
        let isResumable = roll(2) == 0
        let ticket = isResumable ? "r-\(roll(6))" : "t-\(lastCall)"
        let timeout = [Duration.zero, .seconds(1), .seconds(20)][roll(3)]
        open[CallID(lastCall)] = TicketID(ticket)
        feed(.lockRequested(try request(lastCall, ticket: ticket, resumable: isResumable, timeout: timeout)))
    }

    mutating func grantOne() throws {
        let free = tickets.filter { $0.value.lease == nil }.keys.sorted()
        guard !free.isEmpty else { return }
        let ticket = free[roll(free.count)]
        lastFencing += 1
        let lease = try lease(lastFencing)
        tickets[ticket]?.lease = lease
        let token = tickets[ticket]?.token.text ?? ""
        messages.append(.granted(grant(ticket.text, lease, token: token, beat: roll(3) > 0 ? lastBeat : nil)))
    }

    mutating func clientLeaves() {
        let calls = open.keys.sorted { $0.number < $1.number }
        guard !calls.isEmpty else { return }
        let call = calls[roll(calls.count)]
        open[call] = nil
        feed(.clientGone(call))
    }

    mutating func deliver() {
        while !deliveries.isEmpty {
            let call = deliveries.removeFirst()
            feed(isHealing || roll(4) > 0 ? .delivered(call) : .undelivered(call))
        }
    }

    mutating func advance(by time: Duration) {
        now = now + time
        if let due = machine.wakeAt, due <= now { feed(.clockReached) }
        #expect(machine.wakeAt.map { $0 > now } ?? true)
    }

    mutating func connectionChanges() {
        if !isUp {
            isUp = true
            feed(.redisBack)
        } else if roll(5) == 0 {
            isUp = false
            // What was under way has run or not; nobody is told which.
            let lost = commands
            commands = []
            let ran = roll(lost.count + 1)
            for (index, action) in lost.enumerated() where index < ran { _ = execute(action) }
            let unheard = replies.compactMap { reply -> Waiters.Event? in
                switch reply {
                case .askAnswered(let reference, _): .askAnswered(reference, .failed)
                case .againAnswered(let ticket, let nonce, _): .againAnswered(ticket, nonce: nonce, .failed)
                case .beatAnswered(let number, _): .beatFailed(number: number)
                default: nil
                }
            }
            replies = []
            messages = []
            feed(.redisLost)
            for event in unheard + lost.flatMap(failure) { feed(event) }
        } else if roll(4) == 0 {
            // A flush: the queues are gone, the agents restore what is held.
            tickets = tickets.filter { $0.value.lease != nil }
        }
    }

    mutating func heal() {
        isHealing = true
        if !isUp {
            isUp = true
            feed(.redisBack)
        }
        for _ in 0..<400 {
            while !commands.isEmpty || !replies.isEmpty || !messages.isEmpty {
                if !commands.isEmpty { replies += [execute(commands.removeFirst())].compactMap { $0 } }
                if !replies.isEmpty { feed(replies.removeFirst()) }
                if !messages.isEmpty { feed(messages.removeFirst()) }
            }
            deliver()
            feed(.beatDue)
            advance(by: .milliseconds(500))
        }
    }
}

@Suite struct WaitersRandomTests {
    @Test(arguments: 1...120 as ClosedRange<UInt64>)
    func `whatever happens, each call has one answer and no lease is left with nobody`(seed: UInt64) throws {
        var pool = ToyPool(seed: seed)
        for _ in 0..<1500 { try pool.step() }
        pool.heal()
        #expect(pool.open.isEmpty, "never answered: \(pool.open)")
        #expect(pool.machine.count == 0)
        #expect(pool.machine.wakeAt == nil)
        for (ticket, standing) in pool.tickets {
            #expect(standing.lease != nil, "\(ticket) still waits")
            #expect(pool.told.contains(standing.token), "\(ticket) is held by nobody: \(standing)")
        }
    }

    @Test func `a sequence of events decides the same in each run`() throws {
        var first = ToyPool(seed: 7)
        var second = ToyPool(seed: 7)
        for _ in 0..<1500 {
            try first.step()
            try second.step()
        }
        #expect(first.trace == second.trace)
        #expect(first.trace.count > 300)
    }
}
