/// What a program was told wrongly: option, value, what would be right, and where to read more.
package struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A whole sentence for people.
    package let description: String

    package init(_ description: String) { self.description = description }

    /// A value that its option does not take.
    static func wrong(_ text: String, of entry: OptionEntry, from origin: Origin, _ wrong: WrongValue) -> SettingsError
    {
        let shown = entry.secrecy == .secret ? "a secret that will not do" : quoted(text)
        let example = entry.example.map { ", as in \($0)" } ?? ""
        return SettingsError(
            "\(place(of: entry, origin)): got \(shown), want \(wrong.want ?? entry.allowed)\(example).")
    }

    /// The option by the name under which it was given.
    static func place(of entry: OptionEntry, _ origin: Origin) -> String {
        switch origin {
        case .flag, .standard: entry.flag
        case .variable(let name): "\(name) (the variable for \(entry.flag))"
        case .file(let path, let line): "\(path), line \(line), \(entry.name)"
        }
    }

    /// In quotes, short, and without characters that steer a terminal.
    static func quoted(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(60).map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: "\u{FFFD}"
            default: String(scalar)
            }
        }
        return "\"" + shown.joined() + (text.unicodeScalars.count > 60 ? "…" : "") + "\""
    }
}

/// Where a value comes from; the first of these that tells it counts.
package enum Origin: Hashable, Sendable {
    case flag
    case variable(String)
    case file(path: String, line: Int)
    case standard
}
