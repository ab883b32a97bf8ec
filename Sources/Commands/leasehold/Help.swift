import Agent

extension Command {
    static let help = Command(
        "help", .shell, "Shows all commands, or all about one of them.", operands: "[COMMAND]", callsService: false,
        examples: ["leasehold help lock": "The same as leasehold lock --help."]
    ) { (given, surroundings) throws(Failure) in
        guard let name = try given.operand(of: "help") else {
            surroundings.output.write(overview)
            return .done
        }
        guard let command = CommandTable.command(named: name) else { throw Program.unknown(name) }
        surroundings.output.write(command.table.help)
        return .done
    }

    static let version = Command(
        "version", .shell, "Shows the version.", callsService: false, examples: ["leasehold version": "The version."]
    ) { (_, surroundings) throws(Failure) in
        surroundings.output.line("leasehold \(AgentProgram.version)")
        return .done
    }

    /// What `leasehold help` says.
    static var overview: String {
        var lines = ["Usage: leasehold COMMAND [OPTION...]", "", "Leases GPUs: one holder at a time, on any machine."]
        for group in Group.allCases {
            let commands = CommandTable.all.filter { $0.group == group }
            guard !commands.isEmpty else { continue }
            lines += ["", group.rawValue + ":"]
            for command in commands {
                let space = String(repeating: " ", count: max(1, 15 - command.name.count))
                lines.append("  " + command.name + space + Columns.fitted(command.headline, 62))
            }
        }
        lines += ["", "leasehold COMMAND --help tells all about one command, with examples."]
        lines.append(Words.wrapped(ExitCode.meaning, width: 80))
        return lines.joined(separator: "\n") + "\n"
    }
}
