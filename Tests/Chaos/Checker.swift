import JSON

/// Judges a history. Knows what was promised, and nothing of how the product keeps it.
struct Checker {
    let records: Records
    let calm: Windows
    /// Faults in which Redis loses records.
    let loss: Windows
    /// No server was the only master: what one knew may be unknown to the next.
    let doubt: Windows
    /// A server ended, or began to follow another one: its last events may have been read by nobody.
    let turns: Windows
    var violations: [String] = []
    var counts: [String: Int] = [:]

    /// A lease as its holder knew it.
    struct Belief {
        var lease: String
        var unit: String
        /// The same and, where the lease spans several, the others.
        var units: [String]
        var fencing: Int64
        var holder: String
        var request: String
        /// When the lock call was sent that it was first told by.
        var asked: Int64
        /// From when to when the holder may have believed that it holds.
        var from: Int64
        var until: Int64
        /// The same as told, whatever the holder did.
        var told: Int64
    }

    private(set) var beliefs: [Belief] = []
    /// Losses of a journal after the clock of Redis had been ahead.
    private let forgetful: [(agent: String, at: Int64)]
    private let admins: [CallRecord]
    /// Calls a request.
    private var attempts: [String: Int] = [:]
    /// Units a request, where it asked for several.
    private var asked: [String: Int] = [:]

    init(_ records: Records) {
        self.records = records
        calm = Windows(records, "calm")
        loss = Windows(records, "loss", before: 2_000_000, after: 2_000_000)
        doubt = Windows(records, "doubt", before: Self.looking, after: Self.looking)
        var turns = Windows()
        for entry in records.all("role") { turns.add((entry.at - Self.looking)...(entry.at + Self.looking)) }
        self.turns = turns
        admins = records.calls.filter { $0.operation == "admin" }
        // One that goes back leaves the pool clock ahead as well: it does not follow, and runs on when it returns.
        let ahead =
            records.all("fault").first { $0.facts["name"]?.string?.hasPrefix("clock-") == true }?.at ?? .max
        forgetful = (records.all("journal-lost") + records.all("twin") + records.all("twin-over"))
            .filter { $0.at > ahead }
            .compactMap { entry in
                (entry.facts["p"]?.string).map { (String($0.split(separator: "-").last ?? ""), entry.at) }
            }
    }

    /// How far what the servers show may be behind, in microseconds.
    private static let looking: Int64 = 1_000_000

    mutating func check() {
        for call in records.calls where call.operation == "lock" {
            attempts[call.request, default: 0] += 1
            if call.facts["sel"]?.string == "count=2" { asked[call.request] = 2 }
        }
        believe()
        checkAnswers()
        checkExclusivity()
        checkEarlyLoss()
        checkSilence()
        checkLiveness()
        checkOrder()
        checkOperations()
        checkAudit()
        checkFinal()
        count()
    }

    mutating func fail(_ rule: String, _ text: String) {
        violations.append("\(rule): \(text)")
        counts["violations of \(rule)", default: 0] += 1
    }

    static func seconds(_ moment: Int64) -> String {
        let whole = moment / 1000
        return "\(whole / 1000).\(String(whole % 1000 + 1000).dropFirst())"
    }

    // MARK: What holders believed

    private mutating func believe() {
        var byLease: [String: Belief] = [:]
        for call in records.calls where call.operation == "lock" && call.status == 200 {
            guard let unit = call.answer["unit"]?.string, let fencing = call.answer["fencing_token"]?.integer,
                let left = call.answer["left"]?.integer, let waited = call.answer["waited"]?.integer
            else {
                fail("answers", "\(call.number) was granted without unit, fencing token or times")
                continue
            }
            let until = call.sent + waited + left
            let units = call.answer["units"]?.array?.compactMap(\.string) ?? [unit]
            let belief = Belief(
                lease: call.lease, unit: unit, units: units, fencing: fencing, holder: call.holder,
                request: call.request,
                asked: call.sent, from: call.ended, until: until, told: until)
            guard var known = byLease[call.lease] else {
                byLease[call.lease] = belief
                continue
            }
            if known.holder != call.holder || known.request != call.request {
                fail("answers", "\(call.lease) was told to \(known.holder) and to \(call.holder) by \(call.number)")
            }
            known.from = min(known.from, belief.from)
            known.until = max(known.until, until)
            known.told = known.until
            byLease[call.lease] = known
        }
        for call in records.calls where call.operation == "renew" && call.status == 200 {
            // Who let a lease run out and renews it all the same does not use it again.
            guard let left = call.answer["left"]?.integer, var belief = byLease[call.lease],
                call.facts["late"]?.bool != true
            else { continue }
            belief.until = max(belief.until, call.sent + left)
            belief.told = belief.until
            byLease[call.lease] = belief
        }
        for call in records.calls where byLease[call.lease] != nil {
            switch call.operation {
            case "unlock":
                byLease[call.lease]?.end(at: call.sent)
                // By its holder's id: the oldest goes, which may be one that its holder had left behind.
                guard call.facts["by"]?.string == "id" else { break }
                for (lease, belief) in byLease where belief.holder == call.holder && belief.from < call.sent {
                    byLease[lease]?.end(at: call.sent)
                }
            case "renew" where call.status == 410: byLease[call.lease]?.end(at: call.ended)
            default: break
            }
        }
        // Who asks again by the same name while the lease's host is silent has it given up, and another one in its place.
        for event in records.all("event")
        where event.facts["type"]?.string == "cancelled" && event.facts["by"]?.string == "its host is silent" {
            guard let lease = event.facts["lease"]?.string, let belief = byLease[lease],
                attempts[belief.request, default: 0] > 1
            else { continue }
            byLease[lease]?.end(at: max(belief.from, event.at))
            counts["leases given up for a repeated call", default: 0] += 1
        }
        beliefs = byLease.values.sorted { ($0.from, $0.lease) < ($1.from, $1.lease) }
        endByDeath()
        endByForce()
    }

    /// A dead process believes nothing.
    private mutating func endByDeath() {
        for index in beliefs.indices {
            let program = Records.program(of: beliefs[index].holder)
            if let death = records.death(of: program, after: beliefs[index].from) { beliefs[index].end(at: death) }
        }
    }

    /// An admin's word ends what stood when it may have been carried out: from when the call was sent until it was
    /// answered, or 15 s later where its answer was lost.
    private mutating func endByForce() {
        for call in admins {
            let latest = call.status == 200 ? call.ended : call.ended + 15_000_000
            for index in beliefs.indices {
                let belief = beliefs[index]
                guard call.covers(belief), belief.asked < latest, belief.told > call.sent else { continue }
                beliefs[index].end(at: max(call.sent, belief.from))
            }
        }
    }

    /// Whether the order of the fencing tokens may break between these moments: an agent that lost its journal has only
    /// Redis and its own wall clock to go by, which is not enough where the clock of Redis was ahead and Redis forgot, too.
    private func mayForget(_ unit: String, _ earlier: Int64, _ later: Int64) -> Bool {
        let agent = "a" + unit.prefix { $0 != "/" }.dropFirst()
        return forgetful.contains { $0.agent == agent && earlier < $0.at && $0.at <= later }
    }

    // MARK: Rules

    private mutating func checkAnswers() {
        // A call that repeats another and outlives its lease gets another one.
        var latest: [String: Belief] = [:]
        for belief in beliefs {
            if let known = latest[belief.request], belief.from < known.until,
                loss.meets(known.from, belief.from) || doubt.meets(known.from, belief.from)
            {
                counts["requests told another lease when Redis had lost the first", default: 0] += 1
            } else if let known = latest[belief.request], belief.from < known.until {
                fail("answers", "the request \(belief.request) held \(known.lease) and \(belief.lease)")
            }
            if belief.until > latest[belief.request]?.until ?? 0 { latest[belief.request] = belief }
        }
        for belief in beliefs {
            let hosts = Set(belief.units.map { $0.prefix { $0 != "/" } })
            let number = asked[belief.request] ?? 1
            if belief.units.first != belief.unit || Set(belief.units).count != number || hosts.count != 1 {
                fail("answers", "\(belief.lease) has \(belief.units) for a request of \(number)")
            }
            counts["leases of several units", default: 0] += number > 1 ? 1 : 0
        }
        for belief in beliefs where belief.lease != "\(belief.unit)#\(belief.fencing)" {
            fail("answers", "\(belief.lease) names another unit or fencing token than \(belief.unit) \(belief.fencing)")
        }
    }

    private mutating func checkExclusivity() {
        var byUnit: [String: [Belief]] = [:]
        for belief in beliefs where belief.from < belief.until {
            for unit in belief.units { byUnit[unit, default: []].append(belief) }
        }
        for (unit, beliefs) in byUnit.sorted(by: { $0.key < $1.key }) {
            var latest: Belief?
            var highest: Belief?
            for belief in beliefs {
                if let latest, belief.from < latest.until {
                    fail(
                        "exclusivity",
                        "\(unit) was held by \(latest.holder) with \(latest.lease) until \(Self.seconds(latest.until)) and by \(belief.holder) with \(belief.lease) from \(Self.seconds(belief.from))"
                    )
                }
                if let known = highest, mayForget(unit, known.from, belief.from) { highest = nil }
                if let highest, belief.fencing <= highest.fencing {
                    fail("fencing", "\(unit): \(belief.lease) was granted after \(highest.lease)")
                }
                if belief.until > latest?.until ?? 0 { latest = belief }
                if belief.fencing > highest?.fencing ?? 0 { highest = belief }
                counts["intervals compared", default: 0] += 1
            }
        }
    }

    /// Nobody loses a lease before the time that was told, unless by force, by their own hand, or with the agent's journal.
    private mutating func checkEarlyLoss() {
        let byLease = Dictionary(uniqueKeysWithValues: beliefs.map { ($0.lease, $0) })
        let journals = records.all("journal-lost") + records.all("twin")
        var ended: Set<String> = []
        var ends: [String: Int64] = [:]
        for event in records.all("event") {
            guard ["expired", "duplicate", "withdrawn", "cancelled"].contains(event.facts["type"]?.string ?? ""),
                let lease = event.facts["lease"]?.string
            else { continue }
            ends[lease] = min(ends[lease] ?? .max, event.at)
        }
        for call in records.calls where call.operation == "renew" || call.operation == "unlock" {
            guard let belief = byLease[call.lease] else { continue }
            let isOver =
                call.operation == "renew"
                ? call.status == 410 : call.status == 200 && call.answer["status"]?.string == "not_held"
            // What is given back more than once is over for good reason.
            let isFirst = call.operation == "renew" ? !ended.contains(call.lease) : ended.insert(call.lease).inserted
            guard isOver, isFirst, call.ended < belief.told else { continue }
            // Where Redis has lost the lease nothing is freed there, and the agent hears of it later: that is no loss.
            if call.operation == "unlock", ends[call.lease] ?? .max > call.sent { continue }
            let host = belief.unit.prefix { $0 != "/" }
            let isForced = admins.contains {
                $0.covers(belief) && $0.sent < call.ended
                    && $0.ended + 15_000_000 > belief.asked
            }
            let hasLostJournal = journals.contains {
                $0.at < call.ended && $0.at > belief.asked - 25_000_000
                    && $0.facts["p"]?.string?.hasSuffix("a\(host.dropFirst())") == true
            }
            if isForced || hasLostJournal { continue }
            if attempts[belief.request, default: 0] > 1 {
                counts["leases over early after repeated calls", default: 0] += 1
            } else {
                fail(
                    "early loss",
                    "\(call.number) at \(Self.seconds(call.ended)): \(belief.lease) is over (\(call.answer["error"]?.string ?? "not held")), but was told until \(Self.seconds(belief.told))"
                )
            }
        }
    }

    /// When nothing has been wrong for 10 s, every call is answered.
    private mutating func checkSilence() {
        for call in records.calls where call.status == 0 && call.failure != "cancelled" {
            guard let window = calm.around(call.sent, call.ended), call.sent > window.lowerBound + 10_000_000 else {
                continue
            }
            fail("silence", "\(call.number) (\(call.operation)) at \(Self.seconds(call.sent)): \(call.failure)")
        }
    }

    /// Within 10 s of the last fault, leases are granted on every host again.
    private mutating func checkLiveness() {
        let hosts = Set(beliefs.map { String($0.unit.prefix { $0 != "/" }) }).sorted()
        var slowest = 0
        for window in calm.all where window.upperBound - window.lowerBound > 10_500_000 {
            for host in hosts {
                let first = beliefs.first {
                    $0.asked > 0 && $0.from > window.lowerBound && $0.unit.hasPrefix("\(host)/")
                }
                let after = (first?.from ?? .max) &- window.lowerBound
                if after > 10_000_000 {
                    fail("liveness", "\(host) granted nothing within 10 s of \(Self.seconds(window.lowerBound))")
                } else {
                    slowest = max(slowest, Int(after / 1000))
                    counts["recoveries timed", default: 0] += 1
                }
            }
        }
        counts["slowest recovery in ms"] = slowest
    }

    /// In quiet times nobody is served before somebody who came earlier and is not less urgent.
    private mutating func checkOrder() {
        let plain = records.calls.filter {
            $0.operation == "lock" && attempts[$0.request] == 1 && $0.failure != "cancelled"
                && $0.facts["sel"]?.string == "any"
        }
        for window in calm.all {
            let inside = plain.filter { $0.sent > window.lowerBound + 2_000_000 && $0.ended < window.upperBound }
            for later in inside where later.status == 200 && later.sent > window.lowerBound + 10_000_000 {
                for earlier in inside where earlier.ended > later.ended + 500_000 {
                    // A point of priority is worth 6 s of waiting.
                    let points = (earlier.facts["p"]?.integer ?? 0) - (later.facts["p"]?.integer ?? 0)
                    guard later.sent > earlier.sent + max(0, points) * 6_000_000 + 500_000 else { continue }
                    fail("order", "\(later.number) was served before \(earlier.number), which waited longer")
                }
                counts["grants whose order was checked", default: 0] += 1
            }
        }
    }

    /// No agent calls a fencing token current once a higher one has been at work.
    private mutating func checkOperations() {
        var highest: [String: (fencing: Int64, at: Int64)] = [:]
        for entry in records.all("op") {
            guard let unit = entry.facts["u"]?.string, let fencing = entry.facts["f"]?.integer,
                let asked = entry.facts["asked"]?.integer
            else { continue }
            let isTaken = entry.facts["ok"]?.bool == true
            counts[isTaken ? "operations accepted" : "operations refused", default: 0] += 1
            if let known = highest[unit], mayForget(unit, known.at, entry.at) { highest[unit] = nil }
            let top = highest[unit]
            if entry.facts["v"]?.string == "current", let top, fencing < top.fencing, asked > top.at {
                fail("operations", "\(unit): \(fencing) is called current after \(top.fencing) has been")
            }
            if isTaken, let top, fencing < top.fencing {
                fail("operations", "\(unit): accepted \(fencing) after \(top.fencing)")
            }
            if isTaken, fencing > top?.fencing ?? 0 { highest[unit] = (fencing, entry.at) }
        }
    }

    /// Every lease that a client was told stands in the stream of events, where that was not lost.
    private mutating func checkAudit() {
        let events = records.all("event")
        guard !events.isEmpty else { return }
        var granted: Set<String> = []
        counts["events read"] = events.count
        for event in events {
            guard let lease = event.facts["lease"]?.string, let type = event.facts["type"]?.string else { continue }
            if type == "granted" || type == "restored" { granted.insert(lease) }
        }
        checkStreams()
        for belief in beliefs where !loss.meets(belief.asked, belief.from) && !turns.meets(belief.asked, belief.from) {
            counts["grants looked up in the stream", default: 0] += 1
            if !granted.contains(belief.lease) {
                fail("audit", "\(belief.lease), told to \(belief.holder), is not in the stream")
            }
        }
    }

    /// The order of grants in the stream of each server, until that takes over another one's.
    private mutating func checkStreams() {
        var last: [String: [String: (fencing: Int64, at: Int64)]] = [:]
        for entry in records.others {
            let server = entry.facts["r"]?.string ?? ""
            if entry.kind == "role", entry.facts["of"] != nil { last[server] = nil }
            guard entry.kind == "event" || entry.kind == "event-again", entry.facts["type"]?.string == "granted",
                entry.facts["taken"] == nil, let lease = entry.facts["lease"]?.string
            else { continue }
            let parts = lease.split(separator: "#")
            guard parts.count == 2, let fencing = Int64(parts[1]) else { continue }
            let others = entry.facts["also"]?.string?.split(separator: " ").map(String.init) ?? []
            for unit in [String(parts[0])] + others {
                var known = last[server]?[unit]
                if let earlier = known, mayForget(unit, earlier.at, entry.at) { known = nil }
                if let known, fencing <= known.fencing {
                    fail("fencing", "the stream of \(server) grants \(lease) of \(unit) after #\(known.fencing)")
                } else {
                    last[server, default: [:]][unit] = (fencing, entry.at)
                }
            }
        }
    }

    private mutating func checkFinal() {
        for entry in records.all("final") { fail("end", entry.facts["what"]?.string ?? "") }
        for entry in records.all("fault-failed") {
            fail("tool", "\(entry.facts["name"]?.string ?? ""): \(entry.facts["why"]?.string ?? "")")
        }
    }

    private mutating func count() {
        counts["calls"] = records.calls.count
        counts["leases told"] = beliefs.count
        counts["leases that ran out"] = records.all("ran-out").count
        for call in records.calls where call.operation == "lock" {
            counts[
                call.status == 0 ? "lock calls without an answer" : "lock calls answered \(call.status)", default: 0] +=
                1
        }
        counts["admin calls"] = admins.count
        let promotions = records.all("promoted").count
        if promotions > 0 { counts["replicas promoted"] = promotions }
        counts["clients"] = Set(records.calls.map(\.holder)).count
    }

    var faults: [(name: String, count: Int)] {
        Dictionary(grouping: records.all("fault"), by: { $0.facts["name"]?.string ?? "" })
            .map { ($0.key, $0.value.count) }.sorted { $0.0 < $1.0 }
    }
}

extension Checker.Belief {
    mutating func end(at moment: Int64) { until = min(until, moment) }
}

extension CallRecord {
    /// Whether an admin's call concerns this lease.
    fileprivate func covers(_ belief: Checker.Belief) -> Bool {
        if let unit = facts["unit"]?.string { return belief.units.contains(unit) }
        if let host = facts["host"]?.string { return belief.unit.hasPrefix(host + "/") }
        if let holder = facts["holder"]?.string { return holder == belief.holder }
        return true
    }
}
