import Settings

extension Command {
    static let completions = Command(
        "completions", .shell, "Prints what lets a shell complete commands and options.", operands: "bash|zsh|fish",
        callsService: false,
        examples: [
            "source <(leasehold completions bash)": "In ~/.bashrc.",
            "leasehold completions zsh > ~/.zfunc/_leasehold": "In a directory of zsh's fpath.",
            "leasehold completions fish > ~/.config/fish/completions/leasehold.fish": "For fish.",
        ]
    ) { (given, surroundings) throws(Failure) in
        switch try given.operand(of: "completions") {
        case "bash": surroundings.output.write(Completions.bash)
        case "zsh": surroundings.output.write(Completions.zsh)
        case "fish": surroundings.output.write(Completions.fish)
        default:
            throw Failure(.usage, Texts.missing("a shell", "completions", "leasehold completions bash|zsh|fish"))
        }
        return .done
    }
}

/// The scripts, made from the tables of options.
enum Completions {
    private static func flags(of command: Command) -> [OptionEntry] {
        var names: Set<String> = []
        return ([command.table] + command.actions).flatMap(\.options).filter {
            $0.places.contains(.flag) && names.insert($0.name).inserted
        }
    }

    /// The words that may stand behind a command.
    private static func words(of command: Command) -> [String] {
        switch command.name {
        case "help": CommandTable.all.map(\.name)
        case "completions": ["bash", "zsh", "fish"]
        case "unload": ["ollama", "comfyui", "vllm"]
        default: command.actions.compactMap { $0.program.split(separator: " ").last.map(String.init) }
        }
    }

    /// The words that an option takes, where they are few.
    static func choices(_ option: OptionEntry) -> [String] {
        guard option.placeholder != nil, option.allowed.contains(" or "), !option.allowed.contains(":") else {
            return []
        }
        let words = option.allowed.split(separator: ",").flatMap { part in
            part.split(separator: " ").filter { $0 != "or" }.map(String.init)
        }
        return words.allSatisfy { $0.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" } } ? words : []
    }

    private static func takesPath(_ option: OptionEntry) -> Bool { option.placeholder == "PATH" }

    static var bash: String {
        var text = """
            # bash completion for leasehold
            _leasehold() {
                local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}" i
                COMPREPLY=()
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W "\(CommandTable.all.map(\.name).joined(separator: " "))" -- "$word"))
                    return
                fi
                for ((i = 2; i < COMP_CWORD; i++)); do
                    if [ "${COMP_WORDS[i]}" = "--" ]; then
                        COMPREPLY=($(compgen -c -- "$word") $(compgen -f -- "$word"))
                        return
                    fi
                done
                case "$command $before" in

            """
        for command in CommandTable.all {
            for option in flags(of: command) where option.placeholder != nil {
                let choices = choices(option)
                let reply =
                    choices.isEmpty
                    ? (takesPath(option) ? "COMPREPLY=($(compgen -f -- \"$word\"))" : ":")
                    : "COMPREPLY=($(compgen -W \"\(choices.joined(separator: " "))\" -- \"$word\"))"
                text += "        \"\(command.name) \(option.flag)\") \(reply); return ;;\n"
            }
        }
        text += """
                esac
                case "$command" in

            """
        for command in CommandTable.all {
            let words = flags(of: command).map(\.flag) + ["--help"] + words(of: command)
            text +=
                "        \(command.name)) COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$word\")) ;;\n"
        }
        return text + """
                esac
            }
            complete -F _leasehold leasehold

            """
    }

    static var zsh: String {
        var text = """
            #compdef leasehold
            # zsh completion for leasehold
            _leasehold() {
                local -a subcommands  # not "commands": that is what zsh keeps all programs in
                subcommands=(

            """
        for command in CommandTable.all { text += "        '\(command.name):\(quoted(command.headline))'\n" }
        text += """
                )
                if (( CURRENT == 2 )); then
                    _describe command subcommands
                    return
                fi
                local command="${words[2]}"
                shift words
                (( CURRENT-- ))
                case "$command" in

            """
        for command in CommandTable.all {
            text += "        \(command.name))"
            if command.name == "run" { text += zshProgram }
            text += " _arguments"
            for option in flags(of: command) { text += " \\\n            '\(zshArgument(option))'" }
            text += " \\\n            '--help[Show all about this command]'"
            let words = words(of: command)
            if !words.isEmpty { text += " \\\n            ':word:(\(words.joined(separator: " ")))'" }
            if command.name == "run" { text += " \\\n            '*::program:_normal'" }
            text += " ;;\n"
        }
        return text + """
                esac
            }
            if [ "$funcstack[1]" = "_leasehold" ]; then _leasehold "$@"; else compdef _leasehold leasehold; fi

            """
    }

    /// What follows two dashes is another program's command line.
    private static let zshProgram = """

                    local dashes=${words[(i)--]}
                    if (( dashes < CURRENT )); then
                        words=("${(@)words[dashes + 1,-1]}")
                        (( CURRENT -= dashes ))
                        _normal
                        return
                    fi
                   \u{20}
        """

    private static func zshArgument(_ option: OptionEntry) -> String {
        let many = if case .many = option.form { "*" } else { "" }
        let head = "\(many)\(option.flag)[\(quoted(option.help, also: "[]"))]"
        guard let placeholder = option.placeholder else { return head }
        let choices = choices(option)
        let values = choices.isEmpty ? (takesPath(option) ? "_files" : " ") : "(\(choices.joined(separator: " ")))"
        return "\(head):\(quoted(placeholder)):\(values)"
    }

    static var fish: String {
        var text = "# fish completion for leasehold\ncomplete -c leasehold -f\n"
        for command in CommandTable.all {
            text +=
                "complete -c leasehold -n __fish_use_subcommand -a \(command.name) -d '\(fishQuoted(command.headline))'\n"
        }
        for command in CommandTable.all {
            let condition = "-n '__fish_seen_subcommand_from \(command.name)'"
            for option in flags(of: command) {
                let choices = choices(option)
                var line = "complete -c leasehold \(condition) -l \(option.name)"
                if option.placeholder != nil { line += takesPath(option) ? " -r -F" : " -x" }
                if !choices.isEmpty { line += " -a '\(choices.joined(separator: " "))'" }
                text += line + " -d '\(fishQuoted(option.help))'\n"
            }
        }
        for command in CommandTable.all {
            let words = words(of: command).joined(separator: " ")
            guard !words.isEmpty else { continue }
            text += "complete -c leasehold -n '__fish_seen_subcommand_from \(command.name)' -a '\(words)'\n"
        }
        // The dash ends that function's own options: those with an argument follow.
        let withArgument = flags(of: .run).filter { $0.placeholder != nil }.map(\.flag).joined(separator: " ")
        return text
            + "complete -c leasehold -n '__fish_seen_subcommand_from run' -x -a '(__fish_complete_subcommand --fcs-skip=2 - \(withArgument))'\n"
    }

    /// For single quotes of zsh, within which a colon separates.
    private static func quoted(_ text: String, also special: String = "") -> String {
        text.map { character in
            if character == "'" { return "'\\''" }
            return character == ":" || special.contains(character) ? "\\\(character)" : String(character)
        }.joined()
    }

    private static func fishQuoted(_ text: String) -> String {
        text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
    }
}
