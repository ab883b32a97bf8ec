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

    package init(coordinator: InstanceID, number: Int64, count: Int, tickets: [TicketID]) {
        self.coordinator = coordinator
        self.number = number
        self.count = count
        self.tickets = tickets
    }
}

package struct BeatOutcome: Equatable, Sendable {
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

    package init(
        lastEvent: String, firstEvent: String, epoch: String, unknown: [TicketID], moved: [TicketID], held: [Held],
        more: [TicketID]
    ) {
        self.lastEvent = lastEvent
        self.firstEvent = firstEvent
        self.epoch = epoch
        self.unknown = unknown
        self.moved = moved
        self.held = held
        self.more = more
    }
}

extension LeaseStore {
    /// Says that a coordinator lives, compares some of its tickets, and sweeps what has lapsed in the pool.
    package func beat(_ beat: Beat) async throws(StoreError) -> BeatOutcome {
        let answer = try await run(
            ScriptLibrary.beat,
            [
                .text(beat.coordinator.text), .integer(beat.number),
                .integer(Limits.coordinatorPresence.milliseconds),
                .text("\(beat.coordinator.text):\(beat.number)"), .integer(Self.hostRecords.milliseconds),
                .integer(Int64(beat.count)),
            ] + beat.tickets.map { .text($0.text) })
        guard answer.items.count == 7 else { throw answer.notUnderstood }
        let pairs = answer.texts(4)
        let held = stride(from: 0, to: pairs.count - 1, by: 2).compactMap { index in
            (try? LeaseID(pairs[index + 1])).map { BeatOutcome.Held(ticket: TicketID(pairs[index]), lease: $0) }
        }
        return BeatOutcome(
            lastEvent: answer.text(0), firstEvent: answer.text(5), epoch: answer.text(1),
            unknown: answer.texts(2).map { TicketID($0) },
            moved: answer.texts(3).map { TicketID($0) }, held: held, more: answer.texts(6).map { TicketID($0) })
    }
}
