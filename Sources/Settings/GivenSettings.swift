/// What a program was told, after checking.
package struct GivenSettings: Sendable {
    private struct Value {
        var origin: Origin
        var texts: [String]
    }

    private let program: String
    private var values: [String: Value] = [:]
    /// The words between the options.
    package internal(set) var operands: [String] = []
    /// The words after `--`.
    package internal(set) var rest: [String] = []

    init(program: String) { self.program = program }

    /// The value of an option.
    /// - Throws: `SettingsError` where it was not given and nothing is standard.
    package func value<V>(_ option: Option<V>) throws(SettingsError) -> V {
        guard let value = try optional(option) else {
            let variable = option.entry.variable.map { " or \($0)" } ?? ""
            throw SettingsError(
                "\(program) needs \(option.entry.flag)\(variable): \(option.entry.allowed). See \(program) --help.")
        }
        return value
    }

    /// The value of an option, nil where it was not given and nothing is standard.
    package func optional<V>(_ option: Option<V>) throws(SettingsError) -> V? {
        try list(option).last
    }

    /// All values of an option that may be given several times.
    package func list<V>(_ option: Option<V>) throws(SettingsError) -> [V] {
        var list: [V] = []
        for text in texts(of: option.entry) {
            do throws(WrongValue) {
                list.append(try option.parse(text))
            } catch {
                throw .wrong(text, of: option.entry, from: origin(of: option.entry), error)
            }
        }
        return list
    }

    /// Whether a flag is on.
    package func isOn(_ option: Option<Bool>) throws(SettingsError) -> Bool { try optional(option) ?? false }

    /// Where an option's value comes from.
    package func origin<V>(_ option: Option<V>) -> Origin { origin(of: option.entry) }

    /// A mistake that shows only when several options are looked at, told in the words of this one.
    package func refuse<V>(_ option: Option<V>, want: String) -> SettingsError {
        let got = texts(of: option.entry).last ?? ""
        return .wrong(got, of: option.entry, from: origin(of: option.entry), WrongValue(want: want))
    }

    func origin(of entry: OptionEntry) -> Origin { values[entry.name]?.origin ?? .standard }

    func texts(of entry: OptionEntry) -> [String] {
        values[entry.name]?.texts ?? entry.standardText.map { [$0] } ?? []
    }

    /// Takes a value from a place that counts no less than those before it.
    mutating func note(_ text: String, for entry: OptionEntry, from origin: Origin) {
        let texts: [String]
        switch (entry.form, origin) {
        case (.many, .variable), (.many, .file):
            texts = text.split(separator: ",").map { part in
                String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        default: texts = [text]
        }
        if case .many = entry.form, let old = values[entry.name], old.origin.isSamePlace(as: origin) {
            values[entry.name]?.texts += texts
        } else {
            values[entry.name] = Value(origin: origin, texts: texts)
        }
    }
}

extension Origin {
    /// Lines of a file are one place.
    fileprivate func isSamePlace(as other: Origin) -> Bool {
        switch (self, other) {
        case (.file(let path, _), .file(let otherPath, _)): path == otherPath
        default: self == other
        }
    }
}
