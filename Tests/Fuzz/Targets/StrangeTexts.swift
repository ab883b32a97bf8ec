import JSON
import LeaseModel

@testable import Coordinator
@testable import HTTP
@testable import Telemetry

/// Whatever strangers call themselves, an event stays one event, a log line one line, a metric one series, a header one field.
enum StrangeTexts {
    static func look(at bytes: [UInt8]) throws {
        let texts = bytes.split(separator: 0xFF, maxSplits: 3, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        try lookAtEvent(texts)
        for text in texts {
            try lookAtLog(text)
            try lookAtMetrics(text)
            try lookAtHeader(text)
        }
    }

    private static func lookAtEvent(_ texts: [String]) throws {
        let names = ["holder", "why", "by", "selector"]
        let fields = zip(names, texts).map { EventFields.Field(name: $0, value: $1) }
        let event = PoolEvent(id: "7-1", kind: .granted, at: 7, fields: EventFields(fields))
        var parser = EventStreamParser(eventBytes: 1 << 20)
        let read = parser.read(EventFeed.text(of: event)) ?? []
        try kept(read.count == 1 && read[0].id == "7-1" && read[0].kind == "message", "it reads as \(read)")
        let object = try JSONParser.parse(Array(read[0].data.utf8)).object ?? [:]
        try kept(object.count == 3 + fields.count, "it has the members \(object.members.map(\.name))")
        for field in fields {
            try kept(
                object[field.name]?.string?.utf8.elementsEqual(field.value.utf8) ?? false, "\(field.name) has changed")
        }
    }

    private static func lookAtLog(_ text: String) throws {
        let line = LogLine(
            time: .seconds(1), level: .info, event: "event", fields: [.init(name: "text", value: .text(text))])
        for written in [line.human, line.json] {
            try kept(
                !written.unicodeScalars.contains {
                    $0.value < 0x20 || 0x7F..<0xA0 ~= $0.value || 0x2028...0x202E ~= $0.value
                },
                "a line obeys \(text.debugDescription)")
        }
        let object = try JSONParser.parse(Array(line.json.utf8)).object ?? [:]
        try kept(object.count == 4, "a line has other fields: \(line.json)")
        let shown = object["text"]?.string ?? ""
        try kept(
            shown.unicodeScalars.elementsEqual(text.unicodeScalars) || text.unicodeScalars.count > LogLine.valueLimit,
            "a line tells \(shown.debugDescription)")
    }

    private static func lookAtMetrics(_ text: String) throws {
        var registry = MetricRegistry([Catalogue.httpRequests.metric])
        registry.count(Catalogue.httpRequests, text, "200")
        let lines = registry.text.utf8.split(separator: 0x0A)
        try kept(lines.count == 3, "\(text.debugDescription) makes \(lines.count) lines of metrics")
        // The quotes that are not escaped are those around the two values.
        var quotes = 0
        var isEscaped = false
        for byte in lines[lines.count - 1] {
            if byte == UInt8(ascii: "\""), !isEscaped { quotes += 1 }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
        }
        try kept(quotes == 4, "\(text.debugDescription) leaves its label")
    }

    private static func lookAtHeader(_ text: String) throws {
        let response = HTTPResponse(status: 200, headers: ["X-Text": text], body: Array("body".utf8))
        try Answers.hold(response, AnswerForm(), isWhole: text.debugDescription)
    }
}
