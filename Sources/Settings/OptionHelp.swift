extension OptionTable {
    /// What `--help` says, in lines of at most 80 characters.
    package var help: String {
        var lines = Words.wrapped("Usage: \(program) [OPTION...]\(operands.map { " " + $0 } ?? "")", indent: 0)
        lines += [""] + Words.wrapped(summary, indent: 0)
        var sections: [String?] = [nil]
        for option in options where !sections.contains(option.section) { sections.append(option.section) }
        for section in sections {
            lines += ["", "\(section ?? "Options"):"]
            for option in options where option.section == section { lines += Self.paragraph(of: option) }
            if section == nil {
                lines += ["  -h, --help", "      Show this.", "  --version", "      Show the version."]
            }
        }
        if !examples.isEmpty {
            lines += ["", "Examples:"]
            for example in examples {
                lines += ["  \(example.line)"] + Words.wrapped(example.what, indent: 6)
            }
        }
        for note in notes { lines += [""] + Words.wrapped(note, indent: 0) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func paragraph(of option: OptionEntry) -> [String] {
        let head =
            option.places.contains(.flag)
            ? option.flag + (option.placeholder.map { " " + $0 } ?? "") : option.variable ?? option.name
        var text = option.help
        if let range = option.range { text += " From \(range)." }
        switch option.standard {
        case .none: break
        case .text(let standard), .described(let standard): text += " Default: \(standard)."
        }
        if case .many = option.form { text += " May be given several times." }
        if let example = option.example { text += " Example: \(example)." }
        if option.places.contains(.flag), let variable = option.variable { text += " [\(variable)]" }
        return ["  " + head] + Words.wrapped(text, indent: 6)
    }

    /// The option lines as a table for documents, in Markdown.
    package var markdown: String {
        var text = "| option | variable | default | meaning |\n| --- | --- | --- | --- |\n"
        for option in options {
            let flag =
                option.places.contains(.flag) ? "`\(option.flag)\(option.placeholder.map { " " + $0 } ?? "")`" : ""
            let variable = option.variable.map { "`\($0)`" } ?? ""
            let standard =
                switch option.standard {
                case .none: ""
                case .text(let text): "`\(text)`"
                case .described(let text): text
                }
            let meaning = option.help + (option.range.map { " From \($0)." } ?? "")
            let cells = [flag, variable, standard, meaning].map { cell in
                cell.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
            }
            text += "| " + cells.joined(separator: " | ") + " |\n"
        }
        return text
    }

    /// One line an option for programs that write completions or documents, its parts set apart by tabs: flag, what
    /// follows it, variable, key of a file, default, allowed values, meaning. Parts that there are not are empty.
    package var listing: String {
        options.map { option in
            let parts = [
                option.places.contains(.flag) ? option.flag : "", option.placeholder ?? "", option.variable ?? "",
                option.key ?? "", option.standardText ?? "", option.allowed, option.help,
            ]
            return parts.joined(separator: "\t") + "\n"
        }.joined()
    }
}

extension OptionEntry {
    /// The allowed values where they are a range of numbers, which the help repeats.
    fileprivate var range: String? { allowed.first?.isNumber == true && allowed.contains(" to ") ? allowed : nil }
}
