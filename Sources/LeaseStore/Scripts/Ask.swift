import LeaseModel
import RedisClient

/// A wish for a unit, as a coordinator puts it to the pool.
package struct Ask: Equatable, Sendable {
    package var ticket: TicketID
    package var selector: Selector
    package var holder: HolderID
    package var caller: String
    package var priority: Priority
    package var ttl: Duration
    package var coordinator: InstanceID
    package var token: TokenHash
    /// Compact JSON of at most `Limits.metadataBytes`, or empty.
    package var metadata: String
    package var grace: Duration
    package var age: AskAge
    /// What the unit should still be warm for, of `Limits.affinityBytes` at most; empty where that is all the same.
    package var affinity: String
    /// How long units are held back for it at first, where it takes several; zero for not at all.
    package var gathering: Duration
    /// Number of the coordinator's last heartbeat: the ask is refused where Redis has had a later one.
    package var beat: Int64

    package init(
        ticket: TicketID, selector: Selector, holder: HolderID, caller: String, priority: Priority, ttl: Duration,
        coordinator: InstanceID, token: TokenHash, metadata: String, age: AskAge,
        affinity: String = "", grace: Duration = Limits.standardGrace, gathering: Duration = Limits.gathering,
        beat: Int64 = .max
    ) {
        self.ticket = ticket
        self.selector = selector
        self.holder = holder
        self.caller = caller
        self.priority = priority
        self.ttl = ttl
        self.coordinator = coordinator
        self.token = token
        self.metadata = metadata
        self.grace = grace
        self.age = age
        self.affinity = affinity
        self.gathering = gathering
        self.beat = beat
    }
}

/// What became of an ask. Scores are µs of the pool clock plus priority × aging.
package enum AskOutcome: Equatable, Sendable {
    case queued(score: Int64), offered(score: Int64)
    /// A lease for this ticket stands already: answer it again, as a renewal.
    case held(LeaseID)
    case refused(by: String, why: String)
    /// Another coordinator has the ticket.
    case moved
    case unknownHost, unknownUnit
    /// The ticket exists for another holder or selector.
    case nameTaken
}

extension Ask {
    /// One that says more than a kind or a place may have to look at many units.
    var script: RedisScript {
        selector.text.utf8.contains(UInt8(ascii: "?")) || !affinity.isEmpty
            ? ScriptLibrary.ask.alone : ScriptLibrary.ask
    }

    func words(_ aging: Aging) -> [RedisArgument] {
        let old: RedisArgument =
            switch age {
            case .first: "new"
            case .fresh: ""
            case .again(let score): .integer(score)
            }
        return [
            .text(ticket.text), .text(selector.text), .text(holder.text), .text(caller),
            .integer(Int64(priority.value)), .integer(ttl.milliseconds), .text(coordinator.text),
            .text(token.text), .text(metadata), .integer(aging.microsecondsPerPoint), old,
            .integer(Limits.coordinatorPresence.milliseconds), .text(affinity),
            .integer(grace.milliseconds), .integer(beat), .integer(gathering.milliseconds),
        ]
    }
}

extension Answer {
    func askOutcome() throws(StoreError) -> AskOutcome {
        switch word {
        case "queued": return .queued(score: integer(1))
        case "offered": return .offered(score: integer(1))
        case "held":
            guard let lease = try? LeaseID(text(1)) else { throw notUnderstood }
            return .held(lease)
        case "refused": return .refused(by: text(1), why: text(2))
        case "moved": return .moved
        case "unknown-host": return .unknownHost
        case "unknown-unit": return .unknownUnit
        case "name-taken": return .nameTaken
        default: throw notUnderstood
        }
    }
}

extension LeaseStore {
    /// Queues a ticket, or finds what became of it (design §4.1).
    package func ask(_ ask: Ask) async throws(StoreError) -> AskOutcome {
        try await run(ask.script, ask.words(aging)).askOutcome()
    }
}

extension LeaseCalls {
    /// Queues a ticket, or finds what became of it (design §4.1).
    package func ask(_ ask: Ask, reply: @escaping Reply<AskOutcome>) {
        call(ask.script, ask.words(aging), { (answer) throws(StoreError) in try answer.askOutcome() }, reply)
    }
}
