import Telemetry

/// Text of drivers, made fit for lines and tables.
enum PlainText {
    /// One line of at most `limit` characters, without what would steer a terminal or hide, and without runs of spaces.
    static func line(_ text: String, limit: Int = 200) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(limit) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result.split(separator: " ").joined(separator: " ")
    }

    static func trimmedAtEnd(_ text: String) -> String {
        var rest = Substring(text)
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }

    /// A span in seconds, without a fraction where it has none.
    static func seconds(_ span: Duration) -> String {
        Int64(exactly: span.inSeconds).map(String.init) ?? String(span.inSeconds)
    }

    /// The name of a file without the directories before it.
    static func fileName(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }
}
