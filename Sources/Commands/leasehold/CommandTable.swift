/// All subcommands, in the order of the help.
enum CommandTable {
    static let all: [Command] = [
        .lock, .unlock, .renew, .run, .why, .verify, .status, .monitor, .hosts, .cordon, .uncordon, .events, .reset,
        .forceRelease,
        .probe, .help, .version,
    ]

    static func command(named name: String) -> Command? { all.first { $0.name == name } }
}
