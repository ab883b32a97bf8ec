/// One thing that a program can be told, and how its text becomes a value.
///
/// The same name serves as flag (`--max-ttl 60`), variable (`LEASEHOLD_MAX_TTL=60`) and line of a file (`max-ttl = 60`).
package struct Option<Value: Sendable>: Sendable {
    package let entry: OptionEntry
    let parse: @Sendable (String) throws(WrongValue) -> Value

    /// - Parameters:
    ///   - form: Whether it takes a value, and what that is called in the help.
    ///   - allowed: The values that will do, as an error says it: `want …`.
    ///   - parse: Makes the value, or says what would be right. Must be pure: it runs more than once.
    package init(
        _ name: String, _ form: OptionEntry.Form, allowed: String, standard: OptionEntry.Standard = .none,
        help: String, example: String? = nil, section: String? = nil, places: OptionEntry.Places = .all,
        secrecy: OptionEntry.Secrecy = .open, parse: @escaping @Sendable (String) throws(WrongValue) -> Value
    ) {
        entry = OptionEntry(
            name: name, form: form, allowed: allowed, standard: standard, help: help, example: example,
            section: section, places: places, secrecy: secrecy,
            check: { (text) throws(WrongValue) in _ = try parse(text) })
        self.parse = parse
    }
}

/// A text that is no value of its option, and what would be one.
package struct WrongValue: Error, Equatable, Sendable {
    /// Follows `want` in the message; nil takes the option's own words.
    package let want: String?
    package init(want: String? = nil) { self.want = want }
}

/// What an option is, without its type: a line of the table that parsing, help and documents are made from.
package struct OptionEntry: Sendable {
    package enum Form: Hashable, Sendable {
        /// Present or not; `--name=false` takes a variable's word back.
        case flag
        /// One value; the last one given counts.
        case one(String)
        /// Any number: one a flag; apart by commas in a variable or file, where the key may also come again.
        case many(String)
    }

    /// What holds where nothing is given.
    package enum Standard: Hashable, Sendable {
        case none
        case text(String)
        /// Found at the start, so that only people can be told, such as "the host name". There is no value then.
        case described(String)
    }

    /// Where it may be given.
    package struct Places: OptionSet, Hashable, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }
        package static let flag = Places(rawValue: 1)
        package static let variable = Places(rawValue: 2)
        package static let file = Places(rawValue: 4)
        package static let all: Places = [.flag, .variable, .file]
    }

    package enum Secrecy: Hashable, Sendable {
        case open
        /// No error repeats the value.
        case secret
    }

    package let name: String
    package let form: Form
    package let allowed: String
    package let standard: Standard
    package let help: String
    package let example: String?
    /// The heading under which the help shows it; nil for the first part.
    package let section: String?
    package let places: Places
    package let secrecy: Secrecy
    let check: @Sendable (String) throws(WrongValue) -> Void

    package var flag: String { "--" + name }

    /// Nil where no variable tells it.
    package var variable: String? {
        guard places.contains(.variable) else { return nil }
        return "LEASEHOLD_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
    }

    /// Nil where no file tells it.
    package var key: String? { places.contains(.file) ? name : nil }

    /// What the value is called, nil for a flag.
    package var placeholder: String? {
        switch form {
        case .flag: nil
        case .one(let name), .many(let name): name
        }
    }

    /// The value that holds where nothing is given, nil where there is none.
    package var standardText: String? {
        if case .text(let text) = standard { text } else { nil }
    }
}

extension Option where Value == Bool {
    /// On or off, off where it is not given.
    package static func flag(
        _ name: String, help: String, section: String? = nil, places: OptionEntry.Places = .all
    ) -> Option {
        Option(
            name, .flag, allowed: "true or false", standard: .none, help: help, section: section, places: places
        ) { (text) throws(WrongValue) in
            switch text.lowercased() {
            case "true", "yes", "on", "1": return true
            case "false", "no", "off", "0": return false
            default: throw WrongValue()
            }
        }
    }
}

extension Option where Value == String {
    /// Any text but the empty one.
    package static func text(
        _ name: String, _ placeholder: String, standard: OptionEntry.Standard = .none, help: String,
        example: String? = nil, section: String? = nil, places: OptionEntry.Places = .all,
        secrecy: OptionEntry.Secrecy = .open
    ) -> Option {
        Option(
            name, .one(placeholder), allowed: "a text that is not empty", standard: standard, help: help,
            example: example, section: section, places: places, secrecy: secrecy
        ) { (text) throws(WrongValue) in
            guard !text.isEmpty else { throw WrongValue() }
            return text
        }
    }

    /// Any number of texts.
    package static func list(
        _ name: String, _ placeholder: String, help: String, example: String? = nil, section: String? = nil,
        places: OptionEntry.Places = .all
    ) -> Option {
        Option(
            name, .many(placeholder), allowed: "texts that are not empty", help: help, example: example,
            section: section, places: places
        ) { (text) throws(WrongValue) in
            guard !text.isEmpty else { throw WrongValue() }
            return text
        }
    }
}

extension Option where Value == Int {
    /// A whole number in a range.
    package static func integer(
        _ name: String, _ placeholder: String = "N", in range: ClosedRange<Int>, standard: Int? = nil, help: String,
        example: String? = nil, section: String? = nil, places: OptionEntry.Places = .all
    ) -> Option {
        Option(
            name, .one(placeholder), allowed: "\(range.lowerBound) to \(range.upperBound)",
            standard: standard.map { .text(String($0)) } ?? .none, help: help, example: example, section: section,
            places: places
        ) { (text) throws(WrongValue) in
            guard !text.hasPrefix("+"), let number = Int(text), range.contains(number) else { throw WrongValue() }
            return number
        }
    }
}

extension Option where Value == Duration {
    /// A span of time: a number of seconds, or one with `ms`, `s`, `m` or `h` behind it.
    package static func seconds(
        _ name: String, in range: ClosedRange<Duration>, standard: Duration? = nil, help: String,
        example: String? = nil, section: String? = nil, places: OptionEntry.Places = .all
    ) -> Option {
        let allowed = "\(Seconds.text(range.lowerBound)) to \(Seconds.text(range.upperBound)) seconds"
        return Option(
            name, .one("SECONDS"), allowed: allowed, standard: standard.map { .text(Seconds.text($0)) } ?? .none,
            help: help, example: example, section: section, places: places
        ) { (text) throws(WrongValue) in
            guard let duration = Seconds.parse(text), range.contains(duration) else { throw WrongValue() }
            return duration
        }
    }
}

extension Option {
    /// One of a few words.
    package static func choice(
        _ name: String, _ placeholder: String, _ choices: KeyValuePairs<String, Value>, standard: String? = nil,
        help: String, section: String? = nil, places: OptionEntry.Places = .all
    ) -> Option {
        let choices = choices.map { ($0.key, $0.value) }
        return Option(
            name, .one(placeholder), allowed: Words.either(choices.map(\.0)),
            standard: standard.map { .text($0) } ?? .none, help: help, section: section, places: places
        ) { (text) throws(WrongValue) in
            guard let choice = choices.first(where: { $0.0 == text }) else { throw WrongValue() }
            return choice.1
        }
    }
}
