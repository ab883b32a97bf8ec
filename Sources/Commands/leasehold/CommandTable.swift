import Settings

/// All subcommands, in the order of the help.
enum CommandTable {
    static let all: [Command] = [
        .up, .token, .redisACL, .lock, .unlock, .renew, .run, .adopt, .unload, .why, .verify, .status, .monitor, .hosts,
        .cordon,
        .drain, .uncordon, .events, .audit, .reset, .forceRelease, .selftest, .doctor, .probe, .completions, .help,
        .version,
    ]

    static func command(named name: String) -> Command? { all.first { $0.name == name } }
}

extension Command {
    static let up = Command("up", .service, table: UpOptions.table) { UpCommand.run(arguments: $0, environment: $1) }

    static let token = Command(
        "token", .service,
        table: OptionTable(
            program: "leasehold token", summary: "Makes, lists and revokes the tokens in a coordinator's file.",
            operands: "create|list|revoke [NAME]", options: []),
        actions: [TokenCommand.createTable, TokenCommand.listTable, TokenCommand.revokeTable]
    ) { TokenCommand.run(arguments: $0, environment: $1) }
}
