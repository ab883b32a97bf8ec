/// Where a server is and who we are there.
package struct RedisEndpoint: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    package enum Address: Equatable, Sendable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    package let address: Address
    /// The user to log in as; nil is the server's default user.
    package let user: String?
    /// Never shown: `description` and the mirror are without it.
    package let password: String?
    /// 0 and up.
    package let database: Int

    package init(address: Address, user: String? = nil, password: String? = nil, database: Int = 0) {
        self.address = address
        self.user = user
        self.password = password
        self.database = database
    }

    /// Understands `redis://[user:password@]host[:port][/database]`, `unix://[user:password@]/path[?db=0]`, a path that
    /// begins with `/` or `.`, and `host[:port]`. User, password and path may be percent-encoded.
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
        } else if text.lowercased().hasPrefix("rediss://") {
            throw Self.bad("TLS to Redis is not built in; put stunnel between, or use a unix socket")
        } else if text.contains("://") {
            throw Self.bad("got \(text.prefix { $0 != ":" })://, want redis:// or unix://")
        } else {
            try self.init(tcp: text[...])
        }
    }

    /// The address without user and password.
    package var description: String {
        switch address {
        case .tcp(let host, let port):
            let host = host.contains(":") ? "[\(host)]" : host
            return "redis://\(host):\(port)/\(database)"
        case .unix(let path): return "unix://\(path)?db=\(database)"
        }
    }

    package var customMirror: Mirror { Mirror(self, children: ["endpoint": description]) }

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

    private static func hostAndPort(_ place: Substring) throws(RedisError) -> (String, Int) {
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
        guard let port else { return (try decoded(host), 6379) }
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
