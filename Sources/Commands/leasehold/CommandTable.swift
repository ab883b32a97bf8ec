/// All subcommands, in the order of the help.
enum CommandTable {
    static let all: [Command] = [
        .up, .lock, .unlock, .renew, .run, .why, .verify, .status, .monitor, .hosts, .cordon, .uncordon, .events,
        .reset, .forceRelease, .selftest, .doctor, .probe, .completions, .help, .version,
    ]

    static func command(named name: String) -> Command? { all.first { $0.name == name } }
}

extension Command {
    static let up = Command("up", .service, table: UpOptions.table) { UpCommand.run(arguments: $0, environment: $1) }
}
