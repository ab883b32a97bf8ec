import LeaseModel

/// Whose turn it is to be named in a heartbeat: each waiting ticket every 5 s (design §6), oldest naming first.
struct NamingOrder {
    enum Turn { case gone, kept, named }

    /// A ticket is named in every tenth heartbeat.
    static let round = Int64(Limits.heartbeat / Limits.beat)

    private var entries: [(ticket: TicketID, order: Int64)] = []
    private var head = 0
    /// Tickets still to be named as fast as heartbeats carry them, after Redis came back.
    private var hurried = 0

    mutating func append(_ ticket: TicketID, order: Int64) {
        entries.append((ticket, order))
    }

    /// Names everybody again, as many a heartbeat as it carries.
    mutating func nameAll() { hurried = entries.count - head }

    /// The tickets of the next heartbeat; those that are gone leave the order.
    mutating func next(_ turn: (TicketID, Int64) -> Turn) -> [TicketID] {
        let count = entries.count - head
        let share = (count + Int(Self.round) - 1) / Int(Self.round)
        let limit = min(Limits.ticketsPerBeat, hurried > 0 ? Limits.ticketsPerBeat : max(share, 1))
        var named: [TicketID] = []
        var looked = 0
        while looked < count, named.count < limit {
            let entry = entries[head]
            head += 1
            looked += 1
            switch turn(entry.ticket, entry.order) {
            case .gone: break
            case .kept: entries.append(entry)
            case .named:
                named.append(entry.ticket)
                entries.append(entry)
            }
        }
        hurried = max(0, hurried - looked)
        if head > 1024, head > entries.count / 2 {
            entries.removeFirst(head)
            head = 0
        }
        return named
    }
}
