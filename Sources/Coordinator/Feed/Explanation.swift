import LeaseModel
import LeaseStore

/// Why a request waits: who is served before it, which leases are in its way, and what that may take.
struct Explanation {
    /// Those served before it, in order.
    var ahead: [PoolMirror.Waiter]
    /// Requests that compete for its units, itself among them.
    var depth: Int
    /// Leases on units that it would take, the one that ends first in front.
    var blocking: [PoolMirror.Lease]
    /// Milliseconds; nil where too little was observed to say.
    var expectedWait: Int64?
    /// The same for people.
    var sentence: String
}

extension PoolMirror {
    mutating func explanation(of waiter: Waiter, at poolNow: Int64, aging: Aging) -> Explanation {
        let wish = Selector(parsing: waiter.selector) ?? .anyGPU
        let rivals = rivals(of: waiter)
        let ahead = Array(rivals.prefix { $0.ticket != waiter.ticket })
        let wanted = wanted(by: wish)
        let blocking = Set(wanted.compactMap(\.lease)).compactMap { leases[$0] }.sorted {
            ($0.expires ?? .max, $0.lease) < ($1.expires ?? .max, $1.lease)
        }
        let expected = expectedWait(of: wish, behind: ahead, on: wanted, at: poolNow)
        let sentence = sentence(waiter, ahead: ahead, wanted: wanted, blocking: blocking, aging: aging)
        return Explanation(
            ahead: ahead, depth: rivals.count, blocking: blocking, expectedWait: expected, sentence: sentence)
    }

    private func expectedWait(
        of wish: Selector, behind ahead: [Waiter], on wanted: [UnitRecord], at poolNow: Int64
    ) -> Int64? {
        let holds = typicalHolds()
        guard wish.count == 1 else { return ahead.isEmpty ? whole(wish.count, of: wanted, holds, at: poolNow) : nil }
        guard var turns = turns(on: wanted, holds, at: poolNow) else { return nil }
        for waiter in ahead {
            guard let hold = holds[PriorityClass(ofValue: waiter.priority)] else { return nil }
            for _ in 0..<waiter.width { turns.take(hold) }
        }
        return turns.next
    }

    /// When some host has so many units free at once, if they are held back as they come free; nil where too little was
    /// seen to say. Who else is served before cannot be reckoned with.
    private func whole(
        _ count: Int, of wanted: [UnitRecord], _ holds: [PriorityClass: Int64], at poolNow: Int64
    ) -> Int64? {
        var first: Int64?
        for units in Dictionary(grouping: wanted, by: \.properties.unit.host).values where units.count >= count {
            guard let turns = turns(on: units, holds, at: poolNow) else { return nil }
            guard turns.freeAt.count >= count else { continue }
            first = min(first ?? .max, turns.freeAt[count - 1])
        }
        return first
    }

    /// Waiters whose expected wait the status tells; of all others their explanation does.
    static let expectedAtOnce = 100

    /// How long the first in the order of service may wait, in milliseconds, reckoned as in their explanations; those of
    /// whom too little was observed to say are left out.
    mutating func expectedWaits(at poolNow: Int64) -> [TicketID: Int64] {
        let first = queue().prefix(Self.expectedAtOnce)
        guard !first.isEmpty else { return [:] }
        let holds = typicalHolds()
        guard !holds.isEmpty else { return [:] }
        var waits: [TicketID: Int64] = [:]
        for text in Set(first.map(\.selector)) {
            guard let wish = Selector(parsing: text), var turns = turns(on: wanted(by: wish), holds, at: poolNow) else {
                continue
            }
            var competing: [String: Bool] = [text: true]
            var isFirst = true
            for waiter in first {
                let competes =
                    competing[waiter.selector] ?? Selector(parsing: waiter.selector)?.competes(with: wish) ?? false
                competing[waiter.selector] = competes
                guard competes else { continue }
                if waiter.selector == text {
                    if wish.count == 1 {
                        waits[waiter.ticket] = turns.next
                    } else if isFirst {
                        waits[waiter.ticket] = whole(wish.count, of: wanted(by: wish), holds, at: poolNow)
                    }
                }
                isFirst = false
                guard let hold = holds[PriorityClass(ofValue: waiter.priority)] else { break }
                for _ in 0..<waiter.width { turns.take(hold) }
            }
        }
        return waits
    }

    private func wanted(by wish: Selector) -> [UnitRecord] {
        units.values.filter { unit in
            wish.admits(unit.properties, labels: hosts[unit.properties.unit.host]?.labels ?? [:])
        }
    }

    /// The classes of which enough was seen, and how long they typically hold a unit, in milliseconds.
    private func typicalHolds() -> [PriorityClass: Int64] {
        var holds: [PriorityClass: Int64] = [:]
        for kind in PriorityClass.allCases { holds[kind] = self.holds.typical(kind) }
        return holds
    }

    /// When the units that there are come free; nil where there is none, or where too little was seen to say.
    private func turns(on wanted: [UnitRecord], _ holds: [PriorityClass: Int64], at poolNow: Int64) -> Turns? {
        var freeAt: [Int64] = []
        for unit in wanted where !isCordoned(unit) {
            switch unit.state {
            case .free, .reserved: freeAt.append(0)
            case .held, .offered, .ending:
                guard let lease = unit.lease.flatMap({ leases[$0] }),
                    let hold = holds[PriorityClass(ofValue: lease.priority)]
                else { return nil }
                freeAt.append(max(0, hold - (lease.granted.map { poolNow - $0 } ?? 0)))
            case .resting, .unheard: break
            }
        }
        return freeAt.isEmpty ? nil : Turns(freeAt: freeAt.sorted())
    }

    /// Units that are taken in turns: whoever comes next gets the one that is free first.
    private struct Turns {
        /// Milliseconds from now, rising, never empty.
        var freeAt: [Int64]

        var next: Int64 { freeAt[0] }

        /// The next one holds its unit for so long.
        mutating func take(_ hold: Int64) {
            let end = freeAt.removeFirst() + hold
            freeAt.insert(end, at: freeAt.firstIndex { $0 > end } ?? freeAt.count)
        }
    }

    private func sentence(
        _ waiter: Waiter, ahead: [Waiter], wanted: [UnitRecord], blocking: [Lease], aging: Aging
    ) -> String {
        guard !wanted.isEmpty else {
            return
                "No unit of the pool meets \(waiter.selector) at present. Ask for less, or wait for a host that has one."
        }
        var text =
            "\(Self.ordinal(ahead.count + 1)) for \(waiter.selector), which \(wanted.count) unit\(wanted.count == 1 ? "" : "s") meet\(wanted.count == 1 ? "s" : "")."
        if let last = ahead.last {
            switch aging {
            case .strict: text += " Lower priority numbers are served first, then those that came first."
            case .perPoint(let milliseconds):
                text +=
                    " Served in the order of arrival + priority × \(milliseconds / 1000) s; \(last.holder) (priority \(last.priority)) is next before you."
            }
        }
        let reserved = wanted.count { $0.state == .reserved }
        if reserved > 0 {
            text +=
                waiter.width > 1
                ? " \(reserved) of them are held back for a request that takes several, as this one does."
                : " \(reserved) of them are held back for a request that takes several and came before."
        }
        if let first = blocking.first { text += " \(first.holder) holds \(first.lease.unit.text)." }
        if let asked = blocking.first(where: { $0.preemption?.ticket == waiter.ticket }) {
            text += " \(asked.holder) is asked to give \(asked.lease.unit.text) back for it."
        }
        let away = wanted.count { $0.state == .unheard || $0.state == .resting || isCordoned($0) }
        if away > 0 {
            text += " \(away) of them cannot be granted at present: not heard of, resting after a restart, or cordoned."
        }
        return text
    }

    private static func ordinal(_ number: Int) -> String {
        switch (number % 10, number % 100) {
        case (1, let rest) where rest != 11: "\(number)st"
        case (2, let rest) where rest != 12: "\(number)nd"
        case (3, let rest) where rest != 13: "\(number)rd"
        default: "\(number)th"
        }
    }
}

/// How long leases of each priority class have been held, of late.
struct HoldTimes {
    /// Fewer say nothing.
    static let fewest = 3
    private static let kept = 64
    private var observed: [PriorityClass: [Int64]] = [:]

    /// A lease was held for so many milliseconds.
    mutating func note(_ priority: Int, _ milliseconds: Int64) {
        var all = observed[PriorityClass(ofValue: priority), default: []]
        if all.count == Self.kept { all.removeFirst() }
        all.append(milliseconds)
        observed[PriorityClass(ofValue: priority)] = all
    }

    /// The median in milliseconds, nil where too little was seen.
    func typical(_ kind: PriorityClass) -> Int64? {
        guard let all = observed[kind], all.count >= Self.fewest else { return nil }
        return all.sorted()[all.count / 2]
    }
}
