/// A file of settings: lines of `name = value`, empty ones, and comments that begin with `#`.
///
/// A `#` after a blank begins a comment as well; a value in double quotes keeps it, with `\"` and `\\` inside.
package struct ConfigurationFile: Equatable, Sendable {
    struct Line: Equatable, Sendable {
        let number: Int
        let name: String
        let value: String
    }

    package let path: String
    let lines: [Line]

    /// - Throws: `SettingsError` with the number of the first line that cannot be read.
    package init(_ text: String, path: String) throws(SettingsError) {
        var lines: [Line] = []
        // Swift takes CR LF for one character, so that both kinds of line ends part here.
        let parts = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, part) in parts.enumerated() {
            let content = Self.trimmed(part)
            guard let first = content.first, first != "#" else { continue }
            guard let equals = content.firstIndex(of: "="), equals != content.startIndex else {
                throw SettingsError(
                    "\(path), line \(index + 1): got \(SettingsError.quoted(String(content))), want name = value.")
            }
            let name = Self.trimmed(content[..<equals]).map { $0 == "_" ? "-" : $0 }
            guard let value = Self.value(Self.trimmed(content[content.index(after: equals)...])) else {
                throw SettingsError(
                    "\(path), line \(index + 1): the closing quote is missing, or something follows it.")
            }
            lines.append(Line(number: index + 1, name: String(name), value: value))
        }
        self.path = path
        self.lines = lines
    }

    private static func value(_ text: Substring) -> String? {
        guard text.first == "\"" else {
            var end = text.startIndex
            while end != text.endIndex {
                let isComment =
                    text[end] == "#" && (end == text.startIndex || text[text.index(before: end)].isWhitespace)
                if isComment { break }
                end = text.index(after: end)
            }
            return String(trimmed(text[..<end]))
        }
        var value = ""
        var rest = text.dropFirst()
        while let character = rest.popFirst() {
            switch character {
            case "\"":
                let after = trimmed(rest)
                return after.isEmpty || after.first == "#" ? value : nil
            case "\\":
                guard let escaped = rest.popFirst() else { return nil }
                value.append(escaped)
            default: value.append(character)
            }
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return start.prefix(0) }
        return start[...last]
    }
}
