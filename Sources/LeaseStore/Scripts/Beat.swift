import LeaseModel
import RedisClient

/// A coordinator's numbered heartbeat with a slice of its waiting tickets (design §5, §6).
package struct Beat: Equatable, Sendable {
    package var coordinator: InstanceID
    package var number: Int64
    /// How many tickets the coordinator has, in whatever state.
    package var count: Int
    /// At most `Limits.ticketsPerBeat`.
    package var tickets: [TicketID]
    package var memory: PoolMemory

    package init(
        coordinator: InstanceID, number: Int64, count: Int, tickets: [TicketID], memory: PoolMemory = PoolMemory()
    ) {
        self.coordinator = coordinator
        self.number = number
        self.count = count
        self.tickets = tickets
        self.memory = memory
    }
}

/// What a coordinator knows of the pool's record: Redis has lost some of it where it does not (docs/decisions/0009).
package struct PoolMemory: Equatable, Sendable {
    /// That of the last answer, or empty.
    package var epoch: String
    /// The newest event, `0-0` for none.
    package var event: String
    /// Hosts that were present.
    package var hosts: Int

    package init(epoch: String = "", event: String = "0-0", hosts: Int = 0) {
        self.epoch = epoch
        self.event = event
        self.hosts = hosts
    }
}

package struct BeatOutcome: Equatable, Sendable {
    /// Whether units are offered, or the record is being filled again.
    package enum Settling: Int64, Equatable, Sendable {
        case settled
        /// Others have yet to speak.
        case waiting
        /// All have spoken: further heartbeats offer what is free.
        case matching
    }

    package struct Held: Equatable, Sendable {
        package var ticket: TicketID
        package var lease: LeaseID
        package init(ticket: TicketID, lease: LeaseID) {
            self.ticket = ticket
            self.lease = lease
        }
    }

    /// The id of the newest event, `0-0` for none.
    package var lastEvent: String
    /// The id of the oldest event that is kept: who has not seen the one before it has missed some.
    package var firstEvent: String
    /// Changes when Redis has lost everything.
    package var epoch: String
    package var unknown: [TicketID]
    package var moved: [TicketID]
    package var held: [Held]
    /// Where Redis knows more tickets of this coordinator than it has: some of those that Redis knows.
    package var more: [TicketID]
    package var settling: Settling
    /// Hosts that are present.
    package var hosts: Int

    package init(
        lastEvent: String, firstEvent: String, epoch: String, unknown: [TicketID], moved: [TicketID], held: [Held],
        more: [TicketID], settling: Settling = .settled, hosts: Int = 0
    ) {
        self.lastEvent = lastEvent
        self.firstEvent = firstEvent
        self.epoch = epoch
        self.unknown = unknown
        self.moved = moved
        self.held = held
        self.more = more
        self.settling = settling
        self.hosts = hosts
    }

    /// What its coordinator knows from now on.
    package var memory: PoolMemory { PoolMemory(epoch: epoch, event: lastEvent, hosts: hosts) }
}

extension Beat {
    var words: [RedisArgument] {
        [
            .text(coordinator.text), .integer(number), .integer(Limits.coordinatorPresence.milliseconds),
            .text("\(coordinator.text):\(number)"), .integer(LeaseStore.hostRecords.milliseconds),
            .integer(Int64(count)), .text(memory.epoch), .text(memory.event), .integer(Int64(memory.hosts)),
        ] + tickets.map { .text($0.text) }
    }
}

extension Answer {
    func beatOutcome() throws(StoreError) -> BeatOutcome {
        guard items.count == 9, let settling = BeatOutcome.Settling(rawValue: integer(7)) else { throw notUnderstood }
        let pairs = texts(4)
        let held = stride(from: 0, to: pairs.count - 1, by: 2).compactMap { index in
            (try? LeaseID(pairs[index + 1])).map { BeatOutcome.Held(ticket: TicketID(pairs[index]), lease: $0) }
        }
        return BeatOutcome(
            lastEvent: text(0), firstEvent: text(5), epoch: text(1), unknown: texts(2).map { TicketID($0) },
            moved: texts(3).map { TicketID($0) }, held: held, more: texts(6).map { TicketID($0) },
            settling: settling, hosts: Int(integer(8)))
    }
}

extension LeaseStore {
    /// Says that a coordinator lives, compares some of its tickets, and sweeps what has lapsed in the pool.
    package func beat(_ beat: Beat) async throws(StoreError) -> BeatOutcome {
        try await run(ScriptLibrary.beat, beat.words).beatOutcome()
    }
}

extension LeaseCalls {
    /// Says that a coordinator lives, compares some of its tickets, and sweeps what has lapsed in the pool.
    package func beat(_ beat: Beat, reply: @escaping Reply<BeatOutcome>) {
        call(ScriptLibrary.beat, beat.words, { (answer) throws(StoreError) in try answer.beatOutcome() }, reply)
    }
}
