import EventLoop
import HTTP
import LeaseModel
import Settings
import Telemetry

/// Everything that `leasehold-agent join` can be told.
struct JoinOptions: Sendable {
    var endpoint: HTTPEndpoint
    var token: Secret<String>?
    var authorities: String?
    var identity: TLSSettings?
    /// Nil takes the coordinator's first.
    var pool: PoolID?
    /// Nil leaves the host's own name.
    var host: HostID?
    var labels: [String]
    /// The file of variables that the service reads.
    var settingsPath: String
    var stateDirectory: String
    var isForced: Bool
    /// Somebody who knows has said that no lease was ever held on this host.
    var isFirstJoin: Bool

    private static let token = Option.text(
        "token", "TOKEN", help: "The token to join with. Only a variable, since everybody can read a command line.",
        places: .variable, secrecy: .secret)
    private static let tokenFile = Option.text(
        "token-file", "PATH", help: "A file with that token; it should be readable by its owner only.",
        places: [.flag, .variable])
    private static let authorities = Option.text(
        "ca-file", "PATH", help: "A PEM file of the certificates to trust in place of the system's.",
        places: [.flag, .variable])
    private static let certificate = Option.text(
        "client-certificate", "PATH", help: "A PEM certificate to show in place of a token.",
        places: [.flag, .variable])
    private static let key = Option.text(
        "client-key", "PATH", help: "The key of that certificate in PEM.", places: [.flag, .variable])
    private static let pool = Option<PoolID>(
        "pool", .one("NAME"), allowed: "1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -",
        standard: .described("the coordinator's first"), help: "The pool to join.", places: .flag
    ) { (text) throws(WrongValue) in
        do throws(InvalidName) { return try PoolID(text) } catch { throw WrongValue() }
    }
    private static let host = Option<HostID>(
        "host-id", .one("NAME"), allowed: "1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -",
        standard: .described("the host name"), help: "The name of this host in the pool.", places: .flag
    ) { (text) throws(WrongValue) in
        do throws(InvalidName) { return try HostID(text) } catch { throw WrongValue() }
    }
    private static let label = Option<String>(
        "label", .many("NAME=VALUE"), allowed: "NAME=VALUE, as in zone=a",
        help: "A label that requests may ask for.", places: .flag
    ) { (text) throws(WrongValue) in
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { throw WrongValue() }
        do throws(InvalidName) {
            _ = try Selector(labels: [parts[0]: parts[1]])
        } catch {
            throw WrongValue(want: error.want)
        }
        return text
    }
    private static let settings = Option.text(
        "settings", "PATH", standard: .text("/etc/leasehold/agent.env"),
        help: "The file of variables that the agent's service reads; its other lines stay.", places: .flag)
    private static let state = Option.text(
        "state-dir", "PATH", standard: .described("/var/lib/leasehold/agent, or for other users below ~/.local/state"),
        help: "The agent's state directory, which is told that nothing was ever held here, where that is certain.",
        places: .flag)
    private static let force = Option<Bool>.flag(
        "force", help: "Replace what the settings say already.", places: .flag)
    private static let firstJoin = Option<Bool>.flag(
        "first-join",
        help: "This host has never held a lease, so its GPUs need not rest, however lately it booted.", places: .flag)

    static let table = OptionTable(
        program: "leasehold-agent join",
        summary: "Asks a coordinator where the pool's Redis is, tries it, and writes it into the agent's settings.",
        operands: "URL",
        options: [
            token.entry, tokenFile.entry, authorities.entry, certificate.entry, key.entry, pool.entry, host.entry,
            label.entry, settings.entry, state.entry, force.entry, firstJoin.entry,
        ],
        examples: [
            "leasehold-agent join https://pool.example.com:8080 --token-file /root/join-token":
                "Joins with a token that \"leasehold token create NAME --role agent\" has made there.",
            "leasehold-agent join unix:///run/leasehold/pool.sock": "Joins on the coordinator's own machine.",
        ],
        notes: [
            "Nothing is changed before all of it was tried. The token is needed for this call alone; the agent does not keep it.",
            "Exit codes: 0 joined, 1 did not join, 2 wrong option.",
        ])

    /// - Throws: `SettingsError` where something is missing or options contradict each other, `JoinError` where the
    ///   token's file cannot be read.
    init(_ given: GivenSettings, environment: [String: String]) throws {
        guard given.operands.count == 1, given.rest.isEmpty, let url = given.operands.first else {
            throw SettingsError("leasehold-agent join needs one URL. See leasehold-agent join --help.")
        }
        do throws(HTTPError) {
            endpoint = try HTTPEndpoint(parsing: url)
        } catch {
            throw SettingsError(error.message + ".")
        }
        if let path = try given.optional(Self.tokenFile) {
            token = Secret(try Self.token(in: path))
        } else {
            token = try given.optional(Self.token).map { Secret($0) }
        }
        authorities = try given.optional(Self.authorities)
        switch (try given.optional(Self.certificate), try given.optional(Self.key)) {
        case (nil, nil): identity = nil
        case (let certificate?, let key?): identity = TLSSettings(certificatePath: certificate, keyPath: key)
        default: throw SettingsError("--client-certificate and --client-key belong together. Give both, or neither.")
        }
        pool = try given.optional(Self.pool)
        host = try given.optional(Self.host)
        labels = try given.list(Self.label)
        guard labels.count <= Limits.labels else { throw given.refuse(Self.label, want: "at most \(Limits.labels)") }
        guard host != nil || (try? HostID(Environment.hostName)) != nil else {
            throw SettingsError("The host name \"\(Environment.hostName)\" is no host id. Name one with --host-id.")
        }
        settingsPath = try given.value(Self.settings)
        stateDirectory = try given.optional(Self.state) ?? AgentOptions.stateDirectory(environment)
        isForced = try given.isOn(Self.force)
        isFirstJoin = try given.isOn(Self.firstJoin)
    }

    private static func token(in path: String) throws(JoinError) -> String {
        let words: [Substring]
        do throws(LoopError) {
            words = String(decoding: try Files.read(path, limit: 64 << 10), as: UTF8.self)
                .split(whereSeparator: \.isWhitespace)
        } catch {
            throw .tokenFile(path, why: error.description)
        }
        guard words.count == 1 else { throw .tokenFile(path, why: "it holds \(words.count) words") }
        return String(words[0])
    }
}
