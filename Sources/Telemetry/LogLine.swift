/// One line, before it is text.
struct LogLine {
    struct Field: Sendable {
        var name: String
        var value: LogField
    }

    let time: Duration
    let level: LogLevel
    let event: String
    let fields: [Field]

    /// Characters of a value that a line shows; the rest is cut, so that no peer fills a disk with one call.
    static let valueLimit = 2048

    /// Both lists; a later field of the same name takes the earlier one's place, since JSON has no doubles.
    static func merged(_ first: [Field], _ second: [Field]) -> [Field] {
        var all = first
        for field in second {
            let field = Field(name: reserved.contains(field.name) ? field.name + "_" : field.name, value: field.value)
            if let position = all.firstIndex(where: { $0.name == field.name }) {
                all[position] = field
            } else {
                all.append(field)
            }
        }
        return all
    }

    private static let reserved: Set<String> = ["time", "level", "event"]

    /// For people: time, level, event, then `name=value`, texts in quotes.
    var human: String {
        var line = "\(Timestamp.text(time)) \(level.name) \(event)"
        for field in fields {
            line += " \(field.name)="
            append(field.value, to: &line)
        }
        return line
    }

    /// For programs: one JSON object.
    var json: String {
        var line = "{\"time\":\"\(Timestamp.text(time))\",\"level\":\"\(level.name)\",\"event\":"
        Escaping.appendQuoted(event, to: &line, limit: Self.valueLimit)
        for field in fields {
            line += ","
            Escaping.appendQuoted(field.name, to: &line, limit: Self.valueLimit)
            line += ":"
            append(field.value, to: &line)
        }
        line += "}"
        return line
    }

    /// As JSON writes it, which people read as well.
    private func append(_ value: LogField, to line: inout String) {
        switch value {
        case .text(let text): Escaping.appendQuoted(text, to: &line, limit: Self.valueLimit)
        case .integer(let number): line += String(number)
        case .number(let number): line += number.isFinite ? "\(number)" : "null"
        case .flag(let flag): line += flag ? "true" : "false"
        }
    }
}

/// Text as a JSON string that no terminal obeys.
package enum Escaping {
    /// `text` without quotes, with everything that steers a terminal or deceives a reader written as `\uXXXX`.
    package static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: mayDeceive) else { return text }
        var line = ""
        for scalar in text.unicodeScalars {
            if mayDeceive(scalar) { appendCode(scalar, to: &line) } else { line.unicodeScalars.append(scalar) }
        }
        return line
    }

    /// Appends `text` in quotes, cut after `limit` characters with an ellipsis.
    ///
    /// Beyond what JSON asks for, everything that moves the cursor, changes the direction of writing or is invisible is
    /// written as `\uXXXX`: C1 controls, line and paragraph separators, bidirectional marks, zero-width characters.
    static func appendQuoted(_ text: String, to line: inout String, limit: Int) {
        line += "\""
        // Most texts are plain, and then go in one piece.
        if text.utf8.count <= limit, text.utf8.allSatisfy(isPlain) {
            line += text
            line += "\""
            return
        }
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < limit else {
                line += "…"
                break
            }
            count += 1
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            default:
                if mayDeceive(scalar) { appendCode(scalar, to: &line) } else { line.unicodeScalars.append(scalar) }
            }
        }
        line += "\""
    }

    /// Whether a byte stands for a character that is written as it is.
    private static func isPlain(_ byte: UInt8) -> Bool {
        0x20..<0x7F ~= byte && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func mayDeceive(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: true  // C0, DEL, C1: ANSI sequences begin here
        case 0xAD, 0x61C, 0x180E, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB: true
        case 0xE0000...0xE007F: true  // invisible tags
        default: false
        }
    }

    private static func appendCode(_ scalar: Unicode.Scalar, to line: inout String) {
        for unit in String(scalar).utf16 {
            let digits = String(unit, radix: 16)
            line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
}
