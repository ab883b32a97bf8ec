import EventLoop
import HTTP
import LeaseModel
import RedisClient
import Settings
import Telemetry

/// Everything that `leasehold-coordinator` can be told: the one table that parsing, `--help` and documents are made from.
package struct CoordinatorOptions: Sendable {
    package var settings: CoordinatorSettings
    package var logLevel: LogLevel
    package var logFormat: Log.Format

    static let redis = Option<RedisEndpoint>(
        "redis", .one("URL"), allowed: RedisEndpoint.forms,
        standard: .text("redis://127.0.0.1:6379"),
        help: "The pool's Redis: \(RedisEndpoint.forms).", secrecy: .secret
    ) { (text) throws(WrongValue) in
        do throws(RedisError) {
            return try RedisEndpoint(parsing: text)
        } catch {
            throw WrongValue(want: error.message)
        }
    }
    static let agentRedis = Option<RedisEndpoint>(
        "agent-redis", .one("URL"), allowed: RedisEndpoint.forms,
        standard: .described("--redis, where other machines can reach that"),
        help:
            "The same Redis as agents reach it, with the user that they log in as: what \"leasehold-agent join\" is told.",
        secrecy: .secret
    ) { (text) throws(WrongValue) in
        do throws(RedisError) {
            return try RedisEndpoint(parsing: text)
        } catch {
            throw WrongValue(want: error.message)
        }
    }
    static let pool = Option<PoolID>(
        "pool", .many("NAME"), allowed: "1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -", standard: .text("default"),
        help: "The pool that is served; where there are several, the first is that of calls which name none."
    ) { (text) throws(WrongValue) in
        guard let pool = try? PoolID(text) else { throw WrongValue() }
        return pool
    }
    static let listen = Option<CoordinatorSettings.Listen>(
        "listen", .many("ADDRESS"), allowed: "HOST:PORT, *:PORT or unix:PATH", standard: .text("localhost:8080"),
        help: "Where calls are taken: HOST:PORT, *:PORT for every address of this machine, or unix:PATH for a socket "
            + "that only this user may open (see --socket-role). Port 0 takes a free one.",
        example: "--listen 127.0.0.1:9090"
    ) { (text) throws(WrongValue) in
        guard let listen = CoordinatorSettings.Listen(parsing: text) else { throw WrongValue() }
        return listen
    }
    static let scope = Option<Scope>(
        "scope", .one("SCOPE"), allowed: "pool or host=NAME", standard: .text("pool"),
        help:
            "What calls that name no place are about: pool, or host=NAME for the GPUs of the machine that a browser runs on."
    ) { (text) throws(WrongValue) in
        guard let scope = Scope(parsing: text) else { throw WrongValue() }
        return scope
    }
    static let maxTTL = Option.seconds(
        "max-ttl", in: Limits.shortestTTL...Limits.longestTTL, standard: Limits.longestTTL,
        help: "The longest lease that may be asked for. Not above the agents' own.")
    static let preemptDistance = Option.integer(
        "preempt-distance", in: 0...Limits.lowestPriority, standard: Limits.preemptDistance,
        help:
            "A request that says so has the holder asked to give its unit back whose priority is so many points worse "
            + "than its own, or more. 0 lets nobody.")
    static let minRun = Option.seconds(
        "min-run", in: .zero...(.seconds(3600)), standard: Limits.minRun,
        help: "How long a lease is left alone before its holder may be asked to give it back.")
    static let gather = Option.seconds(
        "gather", in: .zero...Limits.longestTimeout, standard: Limits.gathering,
        help:
            "How long units of a host are held back at first for a request that is next and takes several of them "
            + "(count); twice as long each further time. 0 holds nothing back.")
    static let maxWaiters = Option.integer(
        "max-waiters", in: 1...1_000_000, standard: 10_000,
        help: "Requests that may wait here at once; one more is answered 429.")
    static let certificate = Option.text(
        "tls-certificate", "PATH",
        help: "A PEM certificate, with those that lead to its root: then HTTPS is spoken. Read again when it changes.",
        section: "Safety")
    static let key = Option.text("tls-key", "PATH", help: "The certificate's key in PEM.", section: "Safety")
    static let clientAuthorities = Option.text(
        "tls-client-ca", "PATH",
        help:
            "PEM certificates of authorities: clients may show a certificate that one of them has signed, in place of a "
            + "token. Whom a subject means stands in the token file.", section: "Safety")
    static let tokens = Option.text(
        "tokens", "PATH",
        help: "The file of tokens that \"leasehold token\" keeps. Without it every process of this "
            + "machine may do everything, and nobody else anything. Read again when it changes.", section: "Safety")
    static let socketRoles = Option<SocketRoles.Grant>(
        "socket-role", .many("WHO=ROLE"),
        allowed: "user:NAME=ROLE, group:NAME=ROLE or everybody=ROLE, of this machine, with \(Role.words)",
        help:
            "What a user of this machine may do on the unix sockets without a token: then everybody may open them, and "
            + "the kernel tells who calls. Root and this program's own user may do everything.", section: "Safety"
    ) { (text) throws(WrongValue) in
        guard let grant = SocketRoles.Grant(parsing: text) else { throw WrongValue() }
        return grant
    }
    package static let audit = Option.text(
        "audit-file", "PATH",
        help:
            "Write every change of the pool here, one JSON line each, chained by hashes; \"leasehold audit\" verifies it. "
            + "A file of this coordinator's own; with several pools each further one has its own, PATH.POOL. "
            + "It grows: move it away from time to time, then it begins a new one.",
        section: "Safety")
    static let origins = Option.list(
        "allow-origin", "ORIGIN",
        help: "Pages of this origin may call: https://app.example.com, http://app.example.com:* "
            + "(any port), or localhost. Takes the place of localhost, which is allowed where none is given.",
        section: "Safety")
    static let hosts = Option.list(
        "allow-host", "NAME", help: "A name that this coordinator is called by, such as that of a proxy in front.",
        section: "Safety")
    static let callerRate = Option.integer(
        "caller-rate", in: 1...1_000_000, standard: 200,
        help: "Requests a second that one token may send; twice as many at once.",
        section: "Safety")
    static let callerWaiting = Option.integer(
        "caller-waiting", in: 1...1_000_000, standard: 1000, help: "Lock calls that one token may have waiting here.",
        section: "Safety")
    static let callerLeases = Option.integer(
        "caller-leases", in: 1...1_000_000,
        help: "Leases that one token may hold or wait for; one of several units counts as many.", section: "Safety")
    static let connectionsPerAddress = Option.integer(
        "connections-per-address", in: 1...1_000_000, standard: HTTPLimits().connectionsPerAddress,
        help: "Connections that one address, or one /64 of IPv6, may have here; loopback addresses any number. "
            + "Raise it for a proxy on another machine, behind which many callers wait.",
        section: "Safety")
    static let logLevel = Option<LogLevel>.choice(
        "log-level", "LEVEL", ["debug": .debug, "info": .info, "warning": .warning, "error": .error],
        standard: "info", help: "What is worth a line.", section: "Logging")
    static let logFormat = Option<Log.Format>.choice(
        "log-format", "FORMAT", ["human": .human, "json": .json], standard: "human", help: "How lines look.",
        section: "Logging")
    static let config = Option.text(
        "config", "PATH", help: "A file with lines of NAME = VALUE, the names those of the options.",
        places: [.flag, .variable])

    /// The options that `leasehold up` takes too.
    package static let shared: [OptionEntry] = [
        listen.entry, scope.entry, maxTTL.entry, preemptDistance.entry, minRun.entry, gather.entry, maxWaiters.entry,
        tokens.entry,
        socketRoles.entry, audit.entry,
        certificate.entry, key.entry, clientAuthorities.entry, origins.entry, hosts.entry, callerRate.entry,
        callerWaiting.entry, callerLeases.entry, connectionsPerAddress.entry,
    ]

    package static let table = OptionTable(
        program: "leasehold-coordinator",
        summary: "Serves the HTTP interface of a pool: any number of coordinators may serve one pool.",
        options: [redis.entry, agentRedis.entry, pool.entry] + shared + [
            logLevel.entry, logFormat.entry, config.entry,
        ],
        examples: [
            "leasehold-coordinator --redis redis://10.0.0.5:6379": "Serves the pool of that Redis on localhost:8080.",
            "leasehold-coordinator --scope host=node1": "Browsers of node1 get the GPUs of node1.",
        ],
        notes: ["Exit codes: 0 stopped by a signal, 1 cannot start or go on, 2 wrong option."])

    /// - Throws: `SettingsError` where options contradict each other.
    package init(
        _ given: GivenSettings, environment: [String: String], version: String
    ) throws(SettingsError) {
        settings = CoordinatorSettings(redis: try given.value(Self.redis), version: version)
        settings.agentRedis = try given.optional(Self.agentRedis)
        let pools = try given.list(Self.pool)
        for (index, pool) in pools.enumerated() where pools[..<index].contains(pool) {
            throw given.refuse(Self.pool, want: "each pool once")
        }
        if let first = pools.first { settings.pool = first }
        settings.otherPools = Array(pools.dropFirst())
        try settings.takeShared(given, environment: environment)
        logLevel = try given.value(Self.logLevel)
        logFormat = try given.value(Self.logFormat)
    }
}

extension CoordinatorSettings {
    /// Takes what a coordinator and `leasehold up` are told alike.
    package mutating func takeShared(
        _ given: GivenSettings, environment: [String: String]
    ) throws(SettingsError) {
        listen = try given.list(CoordinatorOptions.listen)
        scope = try given.value(CoordinatorOptions.scope)
        longestTTL = try given.value(CoordinatorOptions.maxTTL)
        preemption = Preemptions.Policy(
            distance: try given.value(CoordinatorOptions.preemptDistance),
            minRun: try given.value(CoordinatorOptions.minRun))
        gathering = try given.value(CoordinatorOptions.gather)
        waitingLimit = try given.value(CoordinatorOptions.maxWaiters)
        tokensPath = try given.optional(CoordinatorOptions.tokens)
        bridgeToken = environment["BRIDGE_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        auditPath = try given.optional(CoordinatorOptions.audit)
        let grants = try given.list(CoordinatorOptions.socketRoles)
        if !grants.isEmpty { socketRoles = SocketRoles(grants) }
        let listed = try given.list(CoordinatorOptions.origins)
        if !listed.isEmpty {
            do throws(OriginError) {
                origins = try OriginRules(listed)
            } catch {
                throw SettingsError("--allow-origin: \(error)")
            }
        }
        hosts = try given.list(CoordinatorOptions.hosts)
        callerLimits.requestsPerSecond = try given.value(CoordinatorOptions.callerRate)
        callerLimits.burst = 2 * callerLimits.requestsPerSecond
        callerLimits.waiting = try given.value(CoordinatorOptions.callerWaiting)
        httpLimits.connectionsPerAddress = try given.value(CoordinatorOptions.connectionsPerAddress)
        callerLimits.leases = try given.optional(CoordinatorOptions.callerLeases)
        switch (try given.optional(CoordinatorOptions.certificate), try given.optional(CoordinatorOptions.key)) {
        case (nil, nil): break
        case (let certificate?, let key?): tls = TLSSettings(certificatePath: certificate, keyPath: key)
        case (_?, nil): throw SettingsError("--tls-certificate needs --tls-key as well: the path of its key.")
        case (nil, _?): throw SettingsError("--tls-key needs --tls-certificate as well: the path of its certificate.")
        }
        if let authorities = try given.optional(CoordinatorOptions.clientAuthorities) {
            guard tls != nil else {
                throw SettingsError("--tls-client-ca needs --tls-certificate and --tls-key as well.")
            }
            guard tokensPath != nil else {
                throw SettingsError("--tls-client-ca needs --tokens as well: the file that says whom a subject means.")
            }
            tls?.clientAuthoritiesPath = authorities
        }
    }
}

extension CoordinatorSettings.Listen: CustomStringConvertible {
    /// Nil unless `text` is `HOST:PORT`, `[IPV6]:PORT`, `*:PORT`, or `unix:` and a path.
    package init?(parsing text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(text.hasPrefix("unix://") ? 7 : 5))
            guard !path.isEmpty else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), text[text.index(after: colon)...].utf8.allSatisfy(Self.isDigit),
            let port = Int(text[text.index(after: colon)...]), port <= 65535
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
