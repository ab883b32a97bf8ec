import Agent
import Coordinator
import EventLoop
import LeaseModel
import Settings
import Telemetry

/// `leasehold token`: makes, lists and revokes the tokens in a coordinator's file.
struct TokenCommand {
    /// How it ended, as its exit code says it.
    enum Exit: Int32 { case done = 0, failed = 1, usage = 2 }

    /// Why a change was not made; the whole sentence for people.
    private struct Failure: Error { let text: String }

    /// - Parameter arguments: Those after `leasehold token`.
    static func run(arguments: [String], environment: [String: String]) -> Int32 {
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "create": return perform(createTable, rest, environment, create)
        case "list": return perform(listTable, rest, environment, list)
        case "revoke": return perform(revokeTable, rest, environment, revoke)
        case nil, "--help", "-h":
            Console.write(overview)
            return (arguments.isEmpty ? Exit.usage : .done).rawValue
        case let word?:
            tell("\"\(word.filter { $0.isASCII && !$0.isNewline }.prefix(40))\" is none of create, list and revoke.")
            return Exit.usage.rawValue
        }
    }

    // MARK: What can be said

    static let standardPath = "/etc/leasehold/tokens"

    private static let file = Option.text(
        "file", "PATH", standard: .described("LEASEHOLD_TOKENS, else \(standardPath)"), help: "The token file.",
        places: .flag)
    private static let roles = Option<Role>(
        "role", .many("ROLE"), allowed: Role.words,
        help:
            "viewer looks; client also locks; operator also resets and cordons; admin also force-releases all. "
            + "agent lets new hosts join, and nothing else.",
        places: .flag
    ) { (text) throws(WrongValue) in
        guard let role = Role(rawValue: text) else { throw WrongValue() }
        return role
    }
    private static let prefix = Option<String>(
        "prefix", .one("TEXT"), allowed: "at most \(AccessLimits.prefixBytes) bytes without blanks",
        help: "The token may lock only ids that begin with this.", places: .flag
    ) { (text) throws(WrongValue) in
        guard TokenFile.whyNotPrefix(text) == nil else { throw WrongValue() }
        return text
    }
    private static let pool = Option<PoolID>(
        "pool", .one("NAME"), allowed: "at most \(Limits.nameLength) of A-Z a-z 0-9 . _ -",
        help: "The token is for this pool alone.", places: .flag
    ) { (text) throws(WrongValue) in
        do throws(InvalidName) { return try PoolID(text) } catch { throw WrongValue() }
    }
    private static let subject = Option<String>(
        "subject", .one("SUBJECT"), allowed: CertificateSubject.want,
        help:
            "In place of a token: who shows a client certificate with this subject is the caller. See --tls-client-ca.",
        places: .flag
    ) { (text) throws(WrongValue) in
        guard CertificateSubject.whyNot(text) == nil else { throw WrongValue() }
        return text
    }
    private static let another = Option<Bool>.flag(
        "another", help: "Give a second token to a name that has one, so that it can be exchanged in peace.",
        places: .flag)
    private static let id = Option.text(
        "id", "ID", help: "Revoke only the token with this id, which list tells.", places: .flag)

    static let createTable = OptionTable(
        program: "leasehold token create", summary: "Makes a token and shows it once; the file gets its hash.",
        operands: "NAME", options: [roles.entry, prefix.entry, pool.entry, subject.entry, another.entry, file.entry],
        examples: [
            "leasehold token create ci --role client --prefix ci-": "A token that locks under ids such as ci-17.",
            "leasehold token create alice --role admin --subject CN=alice,O=Acme":
                "The holder of that certificate, without a token.",
            "leasehold token create rollout --role agent": "A token for leasehold-agent join on new hosts.",
        ],
        notes: ["The name is what leases and events record. The token goes to standard output, all else to the other."])
    static let listTable = OptionTable(
        program: "leasehold token list", summary: "Shows whose tokens there are and what they allow; no token.",
        options: [file.entry])
    static let revokeTable = OptionTable(
        program: "leasehold token revoke", summary: "Takes the tokens of a name out of the file. Its leases stand.",
        operands: "NAME", options: [id.entry, file.entry])

    private static let overview = """
        Usage: leasehold token create|list|revoke [OPTION...]

        Makes, lists and revokes the tokens in a coordinator's file.
        "leasehold token create --help" and so on tell more.

        """

    // MARK: What is done

    private static func perform(
        _ table: OptionTable, _ arguments: [String], _ environment: [String: String],
        _ act: (GivenSettings, _ path: String) throws -> Void
    ) -> Int32 {
        do {
            switch try table.read(arguments: arguments, environment: environment) {
            case .help: Console.write(table.help)
            case .version: Console.write("leasehold \(AgentProgram.version)\n")
            case .settings(let given):
                let variable = environment["LEASEHOLD_TOKENS"].flatMap { $0.isEmpty ? nil : $0 }
                try act(given, try given.optional(file) ?? variable ?? standardPath)
            }
            return Exit.done.rawValue
        } catch let error as SettingsError {
            tell(error.description)
            return Exit.usage.rawValue
        } catch {
            tell((error as? Failure)?.text ?? "\(error)")
            return Exit.failed.rawValue
        }
    }

    private static func create(_ given: GivenSettings, _ path: String) throws {
        let name = try theName(in: given, createTable)
        if let why = TokenFile.whyNotName(name) { throw SettingsError(why) }
        let wanted = try given.list(roles)
        guard !wanted.isEmpty else {
            throw SettingsError(
                "\(createTable.program) needs --role: \(Role.words). See \(createTable.program) --help.")
        }
        let token = TokenText.draw()
        let subject = try given.optional(subject)
        let entry = TokenEntry(
            name: name, roles: wanted.reduce(into: []) { $0.insert(Roles($1)) },
            proof: subject.map { .certificate(subject: $0) } ?? .token(TokenDigest(of: token.revealed)),
            created: Timestamp.text(try EventLoop().wallClock),
            idPrefix: try given.optional(prefix), pool: try given.optional(pool))
        let twin: TokenFile.Twin = try given.isOn(another) ? .allowed : .refused
        try change(path, orMakeIt: true) { text throws(TokenFileError) in
            try TokenFile.adding(entry, to: text, twin: twin)
        }
        if let subject {
            return tell(
                "\(path) knows the subject \(subject) as \"\(name)\" now, \(entry.id), with the role "
                    + "\(entry.roles.text). A running coordinator takes it up when it is reloaded.")
        }
        Console.write(token.revealed + "\n")
        tell(
            "\(path) has a token \"\(name)\" now, \(entry.id), with the role \(entry.roles.text). It was shown for the "
                + "only time. A running coordinator takes it up when it is reloaded.")
    }

    private static func list(_ given: GivenSettings, _ path: String) throws {
        let text = try read(path)
        do throws(TokenFileError) {
            Console.write(try TokenFile(text).listing)
        } catch {
            throw Failure(text: "\(path), \(error)")
        }
    }

    private static func revoke(_ given: GivenSettings, _ path: String) throws {
        let name = try theName(in: given, revokeTable)
        let id = try given.optional(id)
        var removed: [TokenEntry] = []
        try change(path, orMakeIt: false) { text throws(TokenFileError) in
            let change = try TokenFile.removing(name: name, id: id, from: text)
            removed = change.removed
            return change.text
        }
        tell(
            "\(path) has lost \(removed.count == 1 ? "the token" : "the tokens") "
                + "\(removed.map(\.id).joined(separator: ", ")) of \"\(name)\". A running coordinator refuses "
                + "\(removed.count == 1 ? "it" : "them") once it is reloaded; leases taken with it stand until they end."
        )
    }

    /// Replaces the file while no other command does.
    private static func change(
        _ path: String, orMakeIt: Bool, _ edit: (String) throws(TokenFileError) -> String
    ) throws {
        guard let lock = try FileLock.take(path + ".lock") else {
            throw Failure(text: "\(path) is being changed by another command. Try again.")
        }
        let text = try orMakeIt && !Files.exists(path) ? "" : read(path)
        let changed: String
        do throws(TokenFileError) {
            changed = try edit(text)
        } catch {
            throw Failure(text: error.line == nil ? error.description : "\(path), \(error)")
        }
        try Files.replace(path, with: Array(changed.utf8), mode: 0o600, durability: .power)
        withExtendedLifetime(lock) {}
    }

    private static func read(_ path: String) throws -> String {
        let bytes = try Files.read(path, limit: AccessLimits.fileBytes)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(text: "\(path) is not UTF-8. Save it as plain text.")
        }
        return text
    }

    private static func theName(in given: GivenSettings, _ table: OptionTable) throws(SettingsError) -> String {
        guard given.operands.count == 1, given.rest.isEmpty, let name = given.operands.first else {
            throw SettingsError("\(table.program) needs one NAME. See \(table.program) --help.")
        }
        return name
    }

    private static func tell(_ text: String) { Console.write("leasehold token: \(text)\n", to: .error) }
}
