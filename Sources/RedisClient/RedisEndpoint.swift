/// Where a server is and who we are there.
package struct RedisEndpoint: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    package enum Address: Hashable, Sendable, CustomStringConvertible {
        case tcp(host: String, port: Int)
        case unix(path: String)

        package var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): path
            }
        }
    }

    /// How the server is found.
    package enum Target: Equatable, Sendable {
        /// It is always this one.
        case server(Address)
        /// Whatever these sentinels call the master of this name.
        case sentinels(Sentinels)
        /// The master of one key's slot, as these nodes of a cluster, or those they name, know it.
        case cluster(seeds: [Address])
    }

    /// Whom to ask for a master.
    package struct Sentinels: Equatable, Sendable {
        package let nodes: [Address]
        package let master: String
        /// The log-in at the sentinels themselves, which know nothing of the master's users.
        package let user: String?
        package let password: String?

        package init(nodes: [Address], master: String, user: String? = nil, password: String? = nil) {
            self.nodes = nodes
            self.master = master
            self.user = user
            self.password = password
        }
    }

    package let target: Target
    /// The user to log in as; nil is the server's default user.
    package let user: String?
    /// Never shown: `description` and the mirror are without it.
    package let password: String?
    /// 0 and up; a cluster has 0 only.
    package let database: Int
    /// In a cluster the key whose slot's master is wanted: one that never exists, so that its slot is not taken for
    /// whole while a part of the keys has been moved away. Without meaning elsewhere.
    package private(set) var slotKey = ""

    /// What `init(parsing:)` takes, for help and errors.
    package static let forms =
        "redis://[USER:PASSWORD@]HOST:PORT[/DB], unix:///PATH[?db=N], sentinel://HOST:PORT,.../MASTER "
        + "or redis+cluster://HOST:PORT,..."

    package init(address: Address, user: String? = nil, password: String? = nil, database: Int = 0) {
        self.init(target: .server(address), user: user, password: password, database: database)
    }

    package init(target: Target, user: String? = nil, password: String? = nil, database: Int = 0) {
        self.target = target
        self.user = user
        self.password = password
        self.database = database
    }

    /// The same, to be used for this key and those of its hash tag.
    package func serving(slotOf key: String) -> RedisEndpoint {
        var endpoint = self
        endpoint.slotKey = key
        return endpoint
    }

    /// Understands `redis://[user:password@]host[:port][/database]`, `unix://[user:password@]/path[?db=0]`, a path that
    /// begins with `/` or `.`, and `host[:port]`; for sentinels
    /// `sentinel://[user:password@]host[:port],…/master[/database][?sentinel-password=…]`, and for a cluster
    /// `redis+cluster://[user:password@]host[:port],…`. User, password, names and path may be percent-encoded.
    package init(parsing text: String) throws(RedisError) {
        guard !text.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else {
            throw Self.bad("it has a space or a control character; percent-encode it")
        }
        if text.hasPrefix("/") || text.hasPrefix(".") {
            try self.init(path: text[...], user: nil, password: nil, database: 0)
        } else if let rest = Self.after("redis://", in: text) {
            try self.init(tcp: rest)
        } else if let rest = Self.after("unix://", in: text) {
            try self.init(unix: rest)
        } else if let rest = Self.after("sentinel://", in: text) ?? Self.after("redis+sentinel://", in: text) {
            try self.init(sentinels: rest)
        } else if let rest = Self.after("cluster://", in: text) ?? Self.after("redis+cluster://", in: text) {
            try self.init(cluster: rest)
        } else if text.lowercased().hasPrefix("rediss://") {
            throw Self.bad("TLS to Redis is not built in; put stunnel between, or use a unix socket")
        } else if text.contains("://") {
            throw Self.bad(
                "got \(text.prefix { $0 != ":" })://, want redis://, unix://, sentinel:// or redis+cluster://")
        } else {
            try self.init(tcp: text[...])
        }
    }

    /// The address without user and password.
    package var description: String {
        switch target {
        case .server(.unix(let path)): "unix://\(path)?db=\(database)"
        case .server(let address): "redis://\(address)/\(database)"
        case .sentinels(let sentinels): "sentinel://\(Self.list(sentinels.nodes))/\(sentinels.master)/\(database)"
        case .cluster(let seeds): "redis+cluster://\(Self.list(seeds))"
        }
    }

    /// The address with user and password, as `init(parsing:)` takes it: for files and answers that only those may read
    /// who may log in.
    package var revealed: String {
        let who = password.map { "\(Self.encoded(user ?? "")):\(Self.encoded($0))@" } ?? ""
        switch target {
        case .server(.unix(let path)): return "unix://\(who)\(Self.encoded(path, besides: "/"))?db=\(database)"
        case .server(let address): return "redis://\(who)\(Self.encoded([address]))/\(database)"
        case .sentinels(let sentinels):
            var query: [String] = []
            if let user = sentinels.user { query.append("sentinel-user=\(Self.encoded(user))") }
            if let password = sentinels.password { query.append("sentinel-password=\(Self.encoded(password))") }
            return "sentinel://\(who)\(Self.encoded(sentinels.nodes))/\(Self.encoded(sentinels.master))/\(database)"
                + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
        case .cluster(let seeds): return "redis+cluster://\(who)\(Self.encoded(seeds))"
        }
    }

    package var customMirror: Mirror { Mirror(self, children: ["endpoint": description]) }

    private static func list(_ nodes: [Address]) -> String { nodes.map(\.description).joined(separator: ",") }

    private static func encoded(_ nodes: [Address]) -> String {
        nodes.map { node in
            guard case .tcp(let host, let port) = node else { return node.description }
            return host.contains(":") ? "[\(encoded(host, besides: ":"))]:\(port)" : "\(encoded(host)):\(port)"
        }.joined(separator: ",")
    }

    /// Everything percent-encoded but what means itself everywhere (RFC 3986 §2.3), and `besides`.
    private static func encoded(_ text: String, besides others: String = "") -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: bytes.append(byte)
            case _ where "-._~".utf8.contains(byte) || others.utf8.contains(byte): bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Parsing

    private init(tcp rest: Substring) throws(RedisError) {
        let (main, query) = Self.split(rest, at: "?")
        let (authority, path) = Self.split(main, at: "/")
        let (user, password, place) = try Self.credentials(authority)
        var database = try Self.database(query: query)
        if let path, !path.isEmpty {
            guard database == nil else { throw Self.bad("the database is given twice") }
            database = try Self.database(path)
        }
        let (host, port) = try Self.hostAndPort(place)
        self.init(
            address: .tcp(host: host, port: port), user: user, password: password, database: database ?? 0)
    }

    private init(unix rest: Substring) throws(RedisError) {
        let (main, query) = Self.split(rest, at: "?")
        guard let slash = main.firstIndex(of: "/") else {
            throw Self.bad("a unix socket needs an absolute path, as in unix:///run/redis.sock")
        }
        let before = main[..<slash]
        guard before.isEmpty || before.hasSuffix("@") else {
            throw Self.bad("a unix socket has no host; write three slashes, as in unix:///run/redis.sock")
        }
        let (user, password, _) = try Self.credentials(before)
        let database = try Self.database(query: query)
        try self.init(path: main[slash...], user: user, password: password, database: database ?? 0)
    }

    private init(sentinels rest: Substring) throws(RedisError) {
        let (main, query) = Self.split(rest, at: "?")
        let (authority, path) = Self.split(main, at: "/")
        let (user, password, places) = try Self.credentials(authority)
        let (name, database) = Self.split(path ?? "", at: "/")
        let master = try Self.decoded(name)
        guard !master.isEmpty else { throw Self.bad("after the sentinels comes the master's name, as in /mymaster") }
        var options = try Self.options(query, known: ["db", "sentinel-user", "sentinel-password"])
        if let database, !database.isEmpty {
            guard options.updateValue(String(database), forKey: "db") == nil else {
                throw Self.bad("the database is given twice")
            }
        }
        let sentinels = Sentinels(
            nodes: try Self.nodes(places, standardPort: 26379), master: master, user: options["sentinel-user"],
            password: options["sentinel-password"])
        self.init(
            target: .sentinels(sentinels), user: user, password: password,
            database: try Self.database(Substring(options["db"] ?? "0")))
    }

    private init(cluster rest: Substring) throws(RedisError) {
        let (main, query) = Self.split(rest, at: "?")
        let (authority, path) = Self.split(main, at: "/")
        guard query ?? "" == "", ["", "0"].contains(path ?? "") else {
            throw Self.bad("a cluster has no databases and no options: after its nodes comes nothing")
        }
        let (user, password, places) = try Self.credentials(authority)
        self.init(
            target: .cluster(seeds: try Self.nodes(places, standardPort: 6379)), user: user, password: password)
    }

    private init(path: Substring, user: String?, password: String?, database: Int) throws(RedisError) {
        let path = try Self.decoded(path)
        // sun_path holds 108 bytes, the last of them zero.
        guard path.utf8.count <= 107 else { throw Self.bad("the socket's path is longer than 107 bytes") }
        self.init(address: .unix(path: path), user: user, password: password, database: database)
    }

    private static func credentials(
        _ authority: Substring
    ) throws(RedisError) -> (user: String?, password: String?, place: Substring) {
        guard let at = authority.lastIndex(of: "@") else { return (nil, nil, authority) }
        let (user, password) = split(authority[..<at], at: ":")
        guard let password else { throw bad("before the @ it needs user:password, or :password alone") }
        let name = try decoded(user)
        return (name.isEmpty ? nil : name, try decoded(password), authority[authority.index(after: at)...])
    }

    private static func nodes(_ places: Substring, standardPort: Int) throws(RedisError) -> [Address] {
        var nodes: [Address] = []
        for place in places.split(separator: ",", omittingEmptySubsequences: false) {
            let (host, port) = try hostAndPort(place, standardPort: standardPort)
            if !nodes.contains(.tcp(host: host, port: port)) { nodes.append(.tcp(host: host, port: port)) }
        }
        return nodes
    }

    private static func options(
        _ query: Substring?, known: [String]
    ) throws(RedisError) -> [String: String] {
        var options: [String: String] = [:]
        for pair in (query ?? "").split(separator: "&") {
            let (name, value) = split(pair, at: "=")
            guard known.contains(String(name)), let value else {
                throw bad("after the ? come \(known.joined(separator: ", ")), each with = and a value, got \(name)")
            }
            options[String(name)] = try decoded(value)
        }
        return options
    }

    private static func hostAndPort(
        _ place: Substring, standardPort: Int = 6379
    ) throws(RedisError) -> (String, Int) {
        var host = place
        var port: Substring?
        if place.hasPrefix("[") {
            guard let end = place.firstIndex(of: "]") else { throw bad("the [ of an IPv6 address is not closed") }
            host = place[place.index(after: place.startIndex)..<end]
            let rest = place[place.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw bad("after the ] comes a colon and the port") }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            (host, port) = split(place, at: ":")
            guard port?.contains(":") != true else { throw bad("an IPv6 address stands in brackets, as in [::1]:6379") }
        }
        guard !host.isEmpty else { throw bad("the host is missing") }
        guard let port else { return (try decoded(host), standardPort) }
        guard let number = decimal(port), (1...65535).contains(number) else {
            throw bad("port: got \(port), want 1 to 65535")
        }
        return (try decoded(host), number)
    }

    private static func database(query: Substring?) throws(RedisError) -> Int? {
        guard let query, !query.isEmpty else { return nil }
        let (name, value) = split(query, at: "=")
        guard name == "db" || name == "database", let value else {
            throw bad("after the ? only db=NUMBER is known, got \(query)")
        }
        return try database(value)
    }

    private static func database(_ text: Substring) throws(RedisError) -> Int {
        guard let number = decimal(text), number <= 9999 else { throw bad("database: got \(text), want 0 and up") }
        return number
    }

    private static func decimal(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 5, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    /// Percent escapes undone; what then is no UTF-8 or holds a zero byte is refused.
    private static func decoded(_ text: Substring) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
                throw bad("a % is not followed by two hexadecimal digits; a % itself is written %25")
            }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw bad("its percent escapes make no text")
        }
        return text
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func after(_ scheme: String, in text: String) -> Substring? {
        text.lowercased().hasPrefix(scheme) ? text.dropFirst(scheme.count) : nil
    }

    private static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let index = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<index], text[text.index(after: index)...])
    }

    private static func bad(_ why: String) -> RedisError {
        RedisError(.badURL, "Redis address: \(why)")  // never the address itself: it may hold a password
    }
}
