import Coordinator
import EventLoop
import JSON
import LeaseModel
import Settings
import Telemetry

extension Command {
    static let audit = Command(
        "audit", .pool, "Prints a coordinator's audit file, or verifies its chain.",
        operands: "[FILE...]",
        options: [AuditOptions.since.entry, AuditOptions.verify.entry, ServiceOptions.json.entry], callsService: false,
        examples: [
            "leasehold audit --since 2026-11-24": "What happened since that day began, in UTC.",
            "leasehold audit --verify old.jsonl audit.jsonl": "Whether anything was changed; files in their order.",
        ],
        notes: [
            "Without FILE that of LEASEHOLD_AUDIT_FILE, else \(AuditOptions.standardPath).",
            "A chain begins with the oldest entry that was kept: nothing tells what stood before it.",
        ],
        exits: "Exit codes: 0 printed or intact, 1 the chain is broken, 2 wrong option or file."
    ) { (given, surroundings) throws(Failure) in
        let words = given.operands + given.rest
        let standard = surroundings.environment["LEASEHOLD_AUDIT_FILE"] ?? AuditOptions.standardPath
        var report = AuditReport(
            surroundings, since: try given.optional(AuditOptions.since) ?? "",
            isVerifying: try given.isOn(AuditOptions.verify), isJSON: try given.isOn(ServiceOptions.json))
        for path in words.isEmpty ? [standard] : words { try report.take(path) }
        return try report.end()
    }
}

enum AuditOptions {
    static let standardPath = "/var/lib/leasehold/coordinator/audit.jsonl"
    static let since = Option<String>(
        "since", .one("TIME"), allowed: "a time in UTC, as in 2026-11-24 or 2026-11-24T16:13",
        help: "Only what happened at this time or later.", places: .flag
    ) { (text) throws(WrongValue) in
        let pattern = Array("0000-00-00T00:00:00.000Z".utf8)
        let bytes = Array(text.utf8)
        let isTime =
            bytes.count >= 10 && bytes.count <= pattern.count
            && zip(bytes, pattern).allSatisfy { byte, wanted in
                wanted == UInt8(ascii: "0") ? (0x30...0x39).contains(byte) : byte == wanted || byte == UInt8(ascii: "Z")
            }
        guard isTime else { throw WrongValue() }
        return text.hasSuffix("Z") ? String(text.dropLast()) : text
    }
    static let verify = Option.flag(
        "verify", help: "Print no entries, but whether the chain is whole and what its last hash is.", places: .flag)
}

/// Reads audit files, one after the other.
private struct AuditReport {
    private let surroundings: Surroundings
    private let since: String
    private let isVerifying: Bool
    private let isJSON: Bool
    private var check = AuditCheck()
    private var broken: AuditCheck.Break?

    init(_ surroundings: Surroundings, since: String, isVerifying: Bool, isJSON: Bool) {
        self.surroundings = surroundings
        self.since = since
        self.isVerifying = isVerifying
        self.isJSON = isJSON
    }

    mutating func take(_ path: String) throws(Failure) {
        var rest: [UInt8] = []
        do throws(LoopError) {
            try Files.read(path) { piece in
                rest += piece
                guard let end = rest.lastIndex(of: 0x0A) else { return }
                for line in rest[..<end].split(separator: 0x0A, omittingEmptySubsequences: false) { take(line: line) }
                rest.removeFirst(end + 1)
            }
        } catch {
            throw Failure(.usage, Texts.auditUnreadable(path, error.description))
        }
        // The coordinator removes it when it starts; no event was taken for written by it.
        if !rest.isEmpty { surroundings.error.line("leasehold: " + Texts.auditTorn(path)) }
    }

    private mutating func take(line: ArraySlice<UInt8>) {
        if isVerifying {
            guard broken == nil else { return }
            do throws(AuditCheck.Break) { _ = try check.take(line) } catch { broken = error }
            return
        }
        guard let read = AuditLine(line) else {
            return surroundings.error.line("leasehold: " + Texts.auditNoLine)
        }
        let time = read.entry.text("time") ?? Timestamp.text(.milliseconds(read.entry.integer("at") ?? 0))
        guard time >= since else { return }
        if isJSON {
            surroundings.output.line(Words.visible(String(decoding: line, as: UTF8.self)))
        } else if let marker = read.entry.text("marker") {
            surroundings.output.line("\(Words.visible(time))  -- \(Texts.auditMarker(marker))")
        } else {
            surroundings.output.line(EventLine.text(read.entry, Style(surroundings.output)))
        }
    }

    func end() throws(Failure) -> ExitCode {
        guard isVerifying else { return .done }
        if let broken { throw Failure(.negative, Texts.auditBroken(broken.description)) }
        guard let first = check.first else {
            surroundings.output.line(Texts.auditEmpty)
            return .done
        }
        for marker in check.markers where marker.word != "continued" {
            surroundings.output.line("Entry \(marker.number): \(Texts.auditMarker(marker.word))")
        }
        surroundings.output.line(Texts.auditIntact(first, check.last, check.hash))
        return .done
    }
}
