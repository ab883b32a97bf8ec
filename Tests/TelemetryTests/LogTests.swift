import Foundation
import Synchronization
import Telemetry
import Testing

/// A log that keeps its lines.
private final class Lines: Sendable {
    private let kept = Mutex<[String]>([])
    var all: [String] { kept.withLock { $0 } }

    func log(_ format: Log.Format, level: LogLevel = .debug, at time: Duration = .zero) -> Log {
        Log(level: level, format: format, sink: { line in self.kept.withLock { $0.append(line) } }, clock: { time })
    }
}

@Suite struct `A log` {
    @Test func `writes time, level, event and fields for people`() {
        let lines = Lines()
        let log = lines.log(.human, at: .milliseconds(1_764_000_809_123)).with(["host": "node1"])
        log.info("lease_granted", ["lease": "node1/0#17", "waited_s": .seconds(.milliseconds(1500)), "again": false])
        #expect(
            lines.all == [
                #"2025-11-24T16:13:29.123Z info lease_granted host="node1" lease="node1/0#17" waited_s=1.5 again=false"#
            ])
    }

    @Test func `writes one JSON object a line for programs`() throws {
        let lines = Lines()
        lines.log(.json).with(["host": "n\u{1F600}"]).error("journal_failed", ["count": 3, "ratio": 0.5])
        let line = try #require(lines.all.first)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["time"] as? String == "1970-01-01T00:00:00.000Z")
        #expect(object?["level"] as? String == "error")
        #expect(object?["event"] as? String == "journal_failed")
        #expect(object?["host"] as? String == "n\u{1F600}")
        #expect(object?["count"] as? Int == 3)
        #expect(object?["ratio"] as? Double == 0.5)
    }

    /// In a loop, since the arguments of a test are printed as they are.
    private static let nasty = [
        "a\n2026-11-24T16:13:29.123Z error forged", "\u{1B}[2J\u{1B}[1;31mred", "\u{9B}31m", "bell\u{7}", "a\r\nb",
        "\u{0}",
        "\u{85}\u{2028}\u{2029}", "gnp.\u{202E}exe", "zero\u{200B}width", "\" forged=\"yes", "back\\slash", "\u{7F}",
        "tag\u{E0041}",
    ]

    @Test func `lets no value begin a line, steer a terminal or end its quotes`() throws {
        for nasty in Self.nasty {
            for format in Log.Format.allCases { try expectHarmless(nasty, in: format) }
        }
    }

    private func expectHarmless(_ nasty: String, in format: Log.Format) throws {
        let lines = Lines()
        lines.log(format).info("event", ["value": .text(nasty), "after": 1])
        let line = try #require(lines.all.first)
        let controls = line.unicodeScalars.filter {
            [.control, .format, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
        }
        #expect(controls.isEmpty, "\(line.debugDescription)")
        if format == .json {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["value"] as? String == nasty)
            #expect(object?["after"] as? Int == 1)
        } else {
            #expect(line.hasSuffix(" after=1"))
            #expect(line.components(separatedBy: " forged=\"").count == 1)
        }
    }

    @Test func `is silent below its level`() {
        let lines = Lines()
        let log = lines.log(.human, level: .warning)
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
        #expect(lines.all.map { $0.split(separator: " ")[2] } == ["c", "d"])
        Log.silent.error("nothing")
    }

    @Test func `names each field once, and none like the line's own`() throws {
        let lines = Lines()
        lines.log(.json).with(["lease": "old", "time": "forged"]).info("event", ["lease": "new", "level": "forged"])
        let line = try #require(lines.all.first)
        #expect(line.components(separatedBy: "\"lease\":").count == 2)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["lease"] as? String == "new")
        #expect(object?["level"] as? String == "info")
        #expect(object?["time_"] as? String == "forged")
        #expect(object?["level_"] as? String == "forged")
    }

    @Test func `cuts a value that would fill the disk`() throws {
        let lines = Lines()
        lines.log(.human).info("event", ["value": .text(String(repeating: "x", count: 1_000_000))])
        #expect(try #require(lines.all.first).count < 3000)
    }

    @Test func `names are shown without what would steer a terminal`() {
        #expect(Escaping.visible("Root-Mic \u{1F3A4} \u{540D}") == "Root-Mic \u{1F3A4} \u{540D}")
        #expect(Escaping.visible("a\u{1B}[2J\u{202E}b\n\u{9B}") == "a\\u001b[2J\\u202eb\\u000a\\u009b")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400, "2000-02-29T00:00:00.000Z"),
        (1_709_251_199, "2024-02-29T23:59:59.000Z"), (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (-5, "1970-01-01T00:00:00.000Z"), (1_798_761_600, "2027-01-01T00:00:00.000Z"),
    ])
    func `knows the calendar`(_ seconds: Int64, _ text: String) {
        #expect(Timestamp.text(.seconds(seconds)) == text)
    }
}

@Suite struct `A secret` {
    private struct Settings { var token = Secret("hunter2") }

    @Test func `shows itself nowhere but where it is asked for`() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(Settings(), to: &dumped)
        for text in ["\(secret)", secret.debugDescription, String(reflecting: secret), "\(Settings())", dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect("\([secret])\(Optional(secret) as Any)".contains("hunter2") == false)
        #expect(secret.revealed == "hunter2")
        #expect(secret == Secret("hunter2"))
    }
}
