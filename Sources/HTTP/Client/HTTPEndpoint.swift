/// Where a server is reached.
package enum HTTPEndpoint: Hashable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: Int, isSecure: Bool)
    case unix(path: String)

    /// Reads `http://host:port`, `https://host:port` (80 and 443 where no port is given; a final slash may follow) and
    /// `unix:///path/of/socket`.
    package init(parsing text: String) throws(HTTPError) {
        if text.hasPrefix("unix://") {
            let path = String(text.dropFirst(7))
            guard path.hasPrefix("/") else { throw Self.bad(text) }
            self = .unix(path: path)
            return
        }
        let isSecure = text.hasPrefix("https://")
        guard isSecure || text.hasPrefix("http://") else { throw Self.bad(text) }
        var rest = text.dropFirst(isSecure ? 8 : 7)
        if rest.hasSuffix("/") { rest.removeLast() }
        var port = isSecure ? 443 : 80
        var host = rest
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { throw Self.bad(text) }
            host = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
        } else {
            host = rest.prefix { $0 != ":" }
            rest = rest.dropFirst(host.count)
        }
        if !rest.isEmpty {
            guard rest.hasPrefix(":"), let number = Int(rest.dropFirst()), (1...65535).contains(number),
                rest.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) })
            else { throw Self.bad(text) }
            port = number
        }
        guard !host.isEmpty, host.utf8.allSatisfy(Self.belongsToHost) else { throw Self.bad(text) }
        self = .tcp(host: String(host), port: port, isSecure: isSecure)
    }

    private static func bad(_ text: String) -> HTTPError {
        HTTPError(
            .badAddress,
            "\"\(text)\" is no address of a server; write http://host:port, https://host:port or unix:///path")
    }

    private static func belongsToHost(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "%"): true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .tcp(_, _, let isSecure): "\(isSecure ? "https" : "http")://\(hostHeader)"
        case .unix(let path): "unix://\(path)"
        }
    }

    /// The Host header's value.
    var hostHeader: String {
        guard case .tcp(let host, let port, let isSecure) = self else { return "localhost" }
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Whether nobody on the way can read what is said there: TLS, or no way at all.
    package var isConfidential: Bool {
        switch self {
        case .unix, .tcp(_, _, isSecure: true): return true
        case .tcp(let host, let port, isSecure: false):
            let name = host.lowercased()
            if name == "localhost" || name.hasSuffix(".localhost") { return true }
            guard let numeric = SocketAddress(numeric: host, port: port) else { return false }
            let text = numeric.withPointer { address, _ in SocketAddress.text(address) }
            return text.hasPrefix("127.") || text.hasPrefix("[::1]:")
        }
    }

    var isSecure: Bool { if case .tcp(_, _, isSecure: true) = self { true } else { false } }
}
