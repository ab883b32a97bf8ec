import Telemetry

/// Numbers, times and lists as people read them.
enum Words {
    /// `850ms`, `12s`, `3m 05s`, `2h 10m`, `4d 3h`.
    static func span(_ span: Duration) -> String {
        let milliseconds = Int64(span / .milliseconds(1))
        if milliseconds < 1000 { return "\(max(0, milliseconds))ms" }
        let seconds = milliseconds / 1000
        switch seconds {
        case ..<60: return "\(seconds)s"
        case ..<3600: return "\(seconds / 60)m \(twoDigits(seconds % 60))s"
        case ..<86_400: return "\(seconds / 3600)h \(twoDigits(seconds / 60 % 60))m"
        default: return "\(seconds / 86_400)d \(seconds / 3600 % 24)h"
        }
    }

    /// How long a wait may be: `soon` below a second, `unknown` where nobody can say.
    static func expected(_ milliseconds: Double?) -> String {
        guard let milliseconds else { return "unknown" }
        return milliseconds < 1000 ? "soon" : span(.milliseconds(milliseconds))
    }

    /// Seconds with at most one digit behind the point.
    static func seconds(_ seconds: Double) -> String {
        guard seconds.isFinite, abs(seconds) < 1e12 else { return "?" }
        let tenths = Int64((seconds * 10).rounded())
        return tenths % 10 == 0
            ? String(tenths / 10) : "\(tenths < 0 ? "-" : "")\(abs(tenths / 10)).\(abs(tenths % 10))"
    }

    /// `1st`, `2nd`, `3rd`, `11th`.
    static func ordinal(_ number: Int64) -> String {
        let suffix =
            switch (number % 10, number % 100) {
            case (1, let rest) where rest != 11: "st"
            case (2, let rest) where rest != 12: "nd"
            case (3, let rest) where rest != 13: "rd"
            default: "th"
            }
        return "\(number)\(suffix)"
    }

    /// `1 lease`, `2 leases`.
    static func count(_ number: Int64, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// `a`, `a and b`, `a, b and 3 more`.
    static func list(_ words: [String], limit: Int = 3) -> String {
        let shown = words.prefix(limit).map { visible($0) }
        let more = words.count - shown.count
        let parts = more > 0 ? shown + ["\(more) more"] : shown
        guard let last = parts.last, parts.count > 1 else { return parts.first ?? "" }
        return parts.dropLast().joined(separator: ", ") + " and " + last
    }

    /// What a selector asks for, in a sentence: `a GPU`, `a GPU of node1 (vram=24000)`, `node1/0`, `model loading on node1`.
    static func wish(_ selector: String?) -> String {
        guard let selector else { return "a unit" }
        let parts = selector.split(separator: "?", maxSplits: 1)
        let place = parts.first?.split(separator: "/", maxSplits: 1) ?? []
        guard place.count == 2 else { return visible(selector) }
        let isLoad = place[0] == "model-load"
        let words: String
        switch place[1] {
        case "any": words = isLoad ? "model loading" : "a GPU"
        case let scope where scope.hasPrefix("host="):
            words = (isLoad ? "model loading on " : "a GPU of ") + scope.dropFirst(5)
        case let scope where scope.hasPrefix("unit="): words = String(scope.dropFirst(5))
        default: return visible(selector)
        }
        return visible(parts.count == 1 ? words : "\(words) (\(parts[1].replacing("&", with: ", ")))")
    }

    /// A text from outside, fit for a terminal.
    static func visible(_ text: String) -> String { Escaping.visible(text) }

    /// In lines of at most `width` columns, the later ones indented.
    static func wrapped(_ text: String, width: Int, indent: Int = 0, hanging: Int = 0) -> String {
        var lines: [String] = []
        var line = String(repeating: " ", count: indent)
        var isEmpty = true
        for word in text.split(separator: " ") {
            if !isEmpty, Columns.of(line) + 1 + Columns.of(String(word)) > width {
                lines.append(line)
                line = String(repeating: " ", count: indent + hanging)
                isEmpty = true
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return (lines + [line]).joined(separator: "\n")
    }

    private static func twoDigits(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// How wide texts are on a terminal.
enum Columns {
    static func of(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + of($1) }
    }

    /// The beginning of a text that fits, with an ellipsis where something is left out.
    static func fitted(_ text: String, _ width: Int) -> String {
        guard of(text) > width else { return text }
        var result = ""
        var used = 0
        for character in text {
            let columns = of(String(character))
            guard used + columns < width else { break }
            result.append(character)
            used += columns
        }
        return width > 0 ? result + "…" : ""
    }

    private static func of(_ scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch scalar.value {
        // East Asian Wide and Fullwidth of Unicode's table, in whole blocks, and the pictures that terminals draw wide.
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
            0x1F900...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
