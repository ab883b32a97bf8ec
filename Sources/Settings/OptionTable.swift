/// Everything that one program, or one of its commands, can be told.
package struct OptionTable: Sendable {
    /// The words that call it, such as `leasehold run`.
    package let program: String
    /// What it does, one or two sentences.
    package let summary: String
    /// What follows the options in the usage line, such as `[--] COMMAND [ARGUMENT...]`; nil takes no words.
    package let operands: String?
    package let options: [OptionEntry]
    /// Whole command lines with what they do.
    package let examples: [(line: String, what: String)]
    /// Paragraphs at the end of the help, such as exit codes.
    package let notes: [String]

    /// What an argument list asks for.
    package enum Reading: Sendable {
        case help
        case version
        case settings(GivenSettings)
    }

    /// - Parameter options: In the order of the help; names must differ. `help` and `version` need not be among them.
    package init(
        program: String, summary: String, operands: String? = nil, options: [OptionEntry],
        examples: KeyValuePairs<String, String> = [:], notes: [String] = []
    ) {
        precondition(Set(options.map(\.name)).count == options.count, "an option's name is taken twice")
        self.program = program
        self.summary = summary
        self.operands = operands
        self.options = options
        self.examples = examples.map { (line: $0.key, what: $0.value) }
        self.notes = notes
    }

    /// Reads what was given: a flag counts before a variable, a variable before a file, a file before what is standard.
    ///
    /// All values are checked, also those that nobody will ask for. `--help` counts before every mistake.
    /// - Parameter arguments: Without the program's name.
    package func read(
        arguments: [String], environment: [String: String], file: ConfigurationFile? = nil
    ) throws(SettingsError) -> Reading {
        let options = arguments.prefix { $0 != "--" }
        if options.contains(where: { $0 == "--help" || $0 == "-h" }) { return .help }
        if options.contains("--version") { return .version }
        var given = GivenSettings(program: program)
        if let file { try read(file, into: &given) }
        try read(environment, into: &given)
        try read(arguments, into: &given)
        if operands == nil, let word = (given.operands + given.rest).first {
            throw SettingsError("\(program) takes no \(SettingsError.quoted(word)). \(more)")
        }
        for option in self.options {
            for text in given.texts(of: option) {
                do throws(WrongValue) {
                    try option.check(text)
                } catch {
                    throw .wrong(text, of: option, from: given.origin(of: option), error)
                }
            }
        }
        return .settings(given)
    }

    /// The text of one option before everything else is read, as a flag or a variable tells it: where the file is.
    package func peek(_ option: Option<String>, arguments: [String], environment: [String: String]) -> String? {
        let words = Array(arguments.prefix { $0 != "--" })
        let flag = option.entry.flag
        if let position = words.lastIndex(where: { $0 == flag || $0.hasPrefix(flag + "=") }) {
            if words[position] != flag { return String(words[position].dropFirst(flag.count + 1)) }
            return position + 1 < words.count ? words[position + 1] : nil
        }
        return option.entry.variable.flatMap { environment[$0] } ?? option.entry.standardText
    }

    private var more: String { "See \(program) --help." }

    private func read(_ arguments: [String], into given: inout GivenSettings) throws(SettingsError) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if word == "--" {
                given.rest = Array(rest)
                return
            }
            guard word.hasPrefix("-"), word != "-" else {
                given.operands.append(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let entry = try known(parts[0])
            switch (entry.form, parts.count) {
            case (.flag, 1): given.note("true", for: entry, from: .flag)
            case (_, 2): given.note(parts[1], for: entry, from: .flag)
            case (.one(let what), _), (.many(let what), _):
                // A value may begin with a dash (a negative number), but not look like another option.
                guard let value = rest.first, !value.hasPrefix("--") else {
                    throw SettingsError("\(entry.flag) needs a value: \(what), \(entry.allowed). \(more)")
                }
                rest.removeFirst()
                given.note(value, for: entry, from: .flag)
            case (.flag, _): preconditionFailure("a word has one or two parts")
            }
        }
    }

    private func known(_ flag: String) throws(SettingsError) -> OptionEntry {
        if let entry = options.first(where: { $0.flag == flag }) {
            guard entry.places.contains(.flag) else {
                let instead = [entry.variable.map { "the variable \($0)" }, entry.key.map { "the file's \($0)" }]
                throw SettingsError(
                    "\(flag) cannot be given here. Use \(Words.either(instead.compactMap(\.self))) instead.")
            }
            return entry
        }
        let flags = options.filter { $0.places.contains(.flag) }.map(\.flag) + ["--help", "--version"]
        let guess = Words.nearest(to: flag, among: flags).map { " Did you mean \($0)?" } ?? ""
        throw SettingsError("\(SettingsError.quoted(flag)) is no option of \(program).\(guess) \(more)")
    }

    private func read(_ environment: [String: String], into given: inout GivenSettings) throws(SettingsError) {
        for entry in options {
            guard let variable = entry.variable, let text = environment[variable] else { continue }
            // Service files and compose files pass on variables that are empty where nothing was set.
            guard !text.isEmpty else { continue }
            given.note(text, for: entry, from: .variable(variable))
        }
    }

    private func read(_ file: ConfigurationFile, into given: inout GivenSettings) throws(SettingsError) {
        for line in file.lines {
            guard let entry = options.first(where: { $0.key == line.name }) else {
                let guess = Words.nearest(to: line.name, among: options.compactMap(\.key))
                throw SettingsError(
                    "\(file.path), line \(line.number): \(SettingsError.quoted(line.name)) is no setting of \(program)."
                        + (guess.map { " Did you mean \($0)?" } ?? " \(more)"))
            }
            given.note(line.value, for: entry, from: .file(path: file.path, line: line.number))
        }
    }
}
