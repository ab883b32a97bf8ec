import LeaseModel

/// Everything that a seed decides before the world begins: who there is, what they want, what breaks and when.
struct Plan {
    struct Host {
        var id: HostID
        var units: [UnitProperties]
    }

    var hosts: [Host] = []
    var coordinators = 1
    var aging = Aging.standard
    var lockDelay = Limits.lockDelay
    /// How long units are held back at first for a request that takes several.
    let gathering = Duration.seconds(1)
    /// The longest lease of this pool.
    var longestTTL = Duration.seconds(30)
    var clients: [(sessions: [Session], gaps: [Duration])] = []
    var faults: [(at: Duration, fault: Fault)] = []
    var delays: ClosedRange<Duration> = .microseconds(100) ... .milliseconds(3)

    private static let zones = ["a", "b"]

    func labels(of host: HostID) -> [String: String] {
        ["zone": Self.zones[(hosts.firstIndex { $0.id == host } ?? 0) % 2]]
    }

    init(_ numbers: inout RandomNumbers) {
        let hostCount = numbers.element(of: [1, 1, 1, 2, 2, 3])
        for index in 0..<hostCount {
            guard let host = try? HostID("h\(index)") else { continue }
            let count = hostCount == 3 ? 1 : numbers.within(1...2)
            let units = (0..<count).compactMap { number in
                (try? UnitID("h\(index)/\(number)")).map { unit in
                    UnitProperties(
                        unit: unit, kind: .gpu, memoryMB: numbers.element(of: [8000, 16000, 24000]),
                        deviceType: "discrete", details: "{}")
                }
            }
            hosts.append(Host(id: host, units: units))
        }
        coordinators = numbers.within(1...2)
        aging = .perPoint(milliseconds: Int64(numbers.element(of: [200, 1000, 6000])))
        longestTTL = .seconds(numbers.element(of: [2, 5, 10, 30]))
        if numbers.chance(percent: 20) { delays = .milliseconds(1) ... .milliseconds(120) }
        let clientCount = numbers.element(of: [3, 3, 4, 5, 6, 8, 12, 20])
        var next = 0
        for client in 0..<clientCount {
            var sessions: [Session] = []
            var gaps: [Duration] = []
            for _ in 0..<numbers.within(1...(clientCount > 8 ? 2 : 4)) {
                next += 1
                sessions.append(session(next, client, &numbers))
                let isLong = !gaps.isEmpty && numbers.chance(percent: 40)
                gaps.append(
                    numbers.duration(isLong ? .seconds(20) ... .seconds(4000) : .milliseconds(200) ... .seconds(8)))
            }
            clients.append((sessions, gaps))
        }
        guard numbers.chance(percent: 80) else {
            // In calm weather nobody loses a place, so that the order of serving can be judged.
            for client in clients { for session in client.sessions { session.severs = 0 } }
            return
        }
        var moment = numbers.duration(.seconds(1) ... .seconds(8))
        for _ in 0..<numbers.within(1...7) {
            faults.append((moment, numbers.element(of: Fault.allCases)))
            // Often a fault comes before the one before has healed.
            moment += numbers.duration(
                numbers.chance(percent: 15) ? .seconds(20) ... .seconds(600) : .milliseconds(100) ... .seconds(7))
        }
    }

    private func session(_ id: Int, _ client: Int, _ numbers: inout RandomNumbers) -> Session {
        let isResumable = numbers.chance(percent: 60)
        let ttl = numbers.duration(.seconds(1)...longestTTL)
        let (selector, wish) = selector(&numbers)
        let ending: Session.Ending
        switch numbers.below(20) {
        case 0..<12: ending = .release
        case 12..<14: ending = .releaseByHolder
        case 14..<17: ending = .vanish
        default: ending = .oversleep
        }
        let isRenewing = numbers.chance(percent: 40)
        let hold =
            isRenewing ? numbers.duration(.seconds(1) ... .seconds(12)) : numbers.duration(.milliseconds(10)...ttl)
        let ticket = isResumable ? "r-\(id)" : "t-\(id)"
        guard let holder = try? HolderID("holder-\(id)"),
            let priority = try? Priority(numbers.element(of: [0, 10, 15, 15, 20]))
        else { preconditionFailure("these are names and priorities") }
        return Session(
            id: id, ticket: TicketID(ticket), holder: holder, isResumable: isResumable, selector: selector, wish: wish,
            priority: priority, ttl: ttl,
            timeout: numbers.chance(percent: 10) ? .zero : numbers.duration(.seconds(1) ... .seconds(60)),
            hold: hold, isRenewing: isRenewing, ending: ending,
            patience: numbers.chance(percent: 12) ? numbers.duration(.milliseconds(5) ... .seconds(10)) : nil,
            isDoubled: isResumable && numbers.chance(percent: 20),
            severs: isResumable && numbers.chance(percent: 25) ? numbers.within(1...3) : 0)
    }

    private func selector(_ numbers: inout RandomNumbers) -> (Selector, Wish) {
        let host = numbers.element(of: hosts)
        do throws(InvalidName) {
            switch numbers.below(10) {
            case 0: return (try Selector(scope: .host(host.id)), .host(host.id.text))
            case 1:
                let unit = numbers.element(of: host.units).unit
                return (try Selector(scope: .unit(unit)), .unit(unit.text))
            case 2:
                let most = hosts.flatMap(\.units).map(\.memoryMB).max() ?? 0
                let least = min(most, numbers.element(of: [12000, 20000]))
                return (try Selector(minimumMemoryMB: least), .memory(least))
            case 3 where host.units.count > 1: return (try Selector(count: 2), .several(2))
            default: return (.anyGPU, .any)
            }
        } catch {
            preconditionFailure("\(error)")
        }
    }
}
