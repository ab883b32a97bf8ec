/// All subcommands, in the order of the help.
enum CommandTable {
    static let all: [Command] = [.status, .lock, .unlock, .renew, .help, .version]

    static func command(named name: String) -> Command? { all.first { $0.name == name } }
}
