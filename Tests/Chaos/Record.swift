import EventLoop
import JSON

/// One call as its client saw it.
struct CallRecord {
    var number: String
    var operation: String
    var coordinator: Int64
    var sent: Int64
    /// When its answer came or it was given up; when its process ended where neither is known.
    var ended: Int64
    /// 0 without an answer.
    var status: Int64
    var failure: String
    var facts: JSONObject
    var answer: JSONObject

    var holder: String { facts["h"]?.string ?? "" }
    var request: String { facts["r"]?.string ?? number }
    var lease: String { answer["lease"]?.string ?? facts["lease"]?.string ?? "" }
    /// The process that made it.
    var program: String { Records.program(of: number) }
}

/// All that was written down in a run, in order.
struct Records {
    var calls: [CallRecord] = []
    var others: [(kind: String, at: Int64, facts: JSONObject)] = []
    /// When processes ended, by program.
    private var exits: [String: [Int64]] = [:]
    var first = Int64.max
    var last = Int64.min

    init(_ directory: String) throws {
        var begun: [String: (at: Int64, facts: JSONObject)] = [:]
        var open: Set<String> = []
        for name in try Files.list(directory) {
            let bytes = try Files.read("\(directory)/\(name)", limit: 4 << 30)
            for line in bytes.split(separator: UInt8(ascii: "\n")) {
                // A process that was killed while it wrote leaves a line without an end.
                guard let entry = (try? JSONParser.parse(Array(line)))?.object, let kind = entry["k"]?.string,
                    let at = entry["t"]?.integer
                else { continue }
                first = min(first, at)
                last = max(last, at)
                switch kind {
                case "inv":
                    guard let number = entry["n"]?.string else { continue }
                    begun[number] = (at, entry)
                    open.insert(number)
                case "end":
                    guard let number = entry["n"]?.string, let call = begun.removeValue(forKey: number) else {
                        continue
                    }
                    open.remove(number)
                    calls.append(Self.call(number, call, ended: at, entry))
                default: others.append((kind, at, entry))
                }
            }
        }
        others.sort { $0.at < $1.at }
        for entry in others where entry.kind == "exit" {
            exits[entry.facts["p"]?.string ?? "", default: []].append(entry.at)
        }
        for number in open.sorted() {
            guard let call = begun[number] else { continue }
            let end = death(of: Self.program(of: number), after: call.at) ?? last
            calls.append(Self.call(number, call, ended: end, ["x": "process-ended"]))
        }
        calls.sort { ($0.sent, $0.number) < ($1.sent, $1.number) }
    }

    func all(_ kind: String) -> [(kind: String, at: Int64, facts: JSONObject)] { others.filter { $0.kind == kind } }

    /// When the process ended that a call came from.
    func death(of program: String, after moment: Int64) -> Int64? {
        let base = String(program.prefix { $0 != "x" })
        return exits[base]?.first { $0 >= moment }
    }

    static func program(of number: String) -> String { String(number.prefix { $0 != "." && $0 != "/" }) }

    private static func call(
        _ number: String, _ begun: (at: Int64, facts: JSONObject), ended: Int64, _ answer: JSONObject
    ) -> CallRecord {
        CallRecord(
            number: number, operation: begun.facts["op"]?.string ?? "", coordinator: begun.facts["c"]?.integer ?? 0,
            sent: begun.at, ended: ended, status: answer["s"]?.integer ?? 0, failure: answer["x"]?.string ?? "",
            facts: begun.facts, answer: answer)
    }
}

/// Stretches of time, sorted and apart.
struct Windows {
    private(set) var all: [ClosedRange<Int64>] = []

    init() {}

    /// From the `on` to the `off` entries of this kind; several may be on at one time.
    init(_ records: Records, _ kind: String, before: Int64 = 0, after: Int64 = 0) {
        var depth = 0
        var begin = Int64(0)
        for entry in records.all(kind) {
            if entry.facts["on"]?.bool == true {
                if depth == 0 { begin = entry.at }
                depth += 1
            } else {
                depth -= 1
                if depth == 0 { add((begin - before)...(entry.at + after)) }
            }
        }
        if depth > 0 { add((begin - before)...max(begin, records.last)) }
    }

    mutating func add(_ window: ClosedRange<Int64>) {
        if let last = all.last, last.upperBound >= window.lowerBound {
            all[all.count - 1] = last.lowerBound...max(last.upperBound, window.upperBound)
        } else {
            all.append(window)
        }
    }

    func meets(_ from: Int64, _ to: Int64) -> Bool { all.contains { $0.lowerBound <= to && from <= $0.upperBound } }

    /// The window that holds all of this stretch.
    func around(_ from: Int64, _ to: Int64) -> ClosedRange<Int64>? {
        all.first { $0.lowerBound <= from && to <= $0.upperBound }
    }
}
