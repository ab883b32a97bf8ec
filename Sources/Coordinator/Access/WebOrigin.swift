/// The origin of a page: scheme, host and port (RFC 6454).
struct WebOrigin: Hashable, Sendable {
    /// In small letters.
    let scheme: String
    private(set) var host = ""
    /// Nil where it is the scheme's own.
    var port: Int?

    /// Nil unless `text` is `scheme://host` or `scheme://host:port`, as browsers write it; `null` is no origin.
    init?(_ text: String) {
        guard text.utf8.count <= 512, let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let rest = text[colon...]
        guard rest.utf8.starts(with: "://".utf8) else { return nil }
        let scheme = text[..<colon].lowercased()
        guard let first = scheme.utf8.first, (0x61...0x7A).contains(first),
            scheme.utf8.allSatisfy({ byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "+-.".utf8.contains(byte)
            })
        else { return nil }
        self.scheme = scheme
        guard takeAuthority(Substring(rest.utf8.dropFirst(3))) else { return nil }
    }

    /// The origin that pages of this host and scheme have; nil where `authority` is no host.
    init?(scheme: String, authority: String) {
        self.scheme = scheme
        guard takeAuthority(authority[...]) else { return nil }
    }

    private mutating func takeAuthority(_ authority: Substring) -> Bool {
        let host = HostRules.host(ofAuthority: authority)
        let isAddress =
            host.utf8.first == UInt8(ascii: "[") && host.utf8.last == UInt8(ascii: "]") && HostRules.isNumeric(host)
        let isName =
            !host.isEmpty
            && host.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
        guard isAddress || isName else { return false }
        self.host = host.lowercased()
        port = nil
        let tail = authority[host.endIndex...]
        guard !tail.isEmpty else { return true }
        let digits = Substring(tail.utf8.dropFirst())
        guard tail.utf8.first == UInt8(ascii: ":"), let number = Int(digits), (1...65535).contains(number),
            String(number) == digits
        else { return false }
        port = number == Self.standardPort(of: scheme) ? nil : number
        return true
    }

    private static func standardPort(of scheme: String) -> Int? {
        switch scheme {
        case "http": 80
        case "https": 443
        default: nil
        }
    }
}

/// Which pages of other origins may call: the allow-list of CORS.
package struct OriginRules: Sendable {
    private var exact: Set<WebOrigin> = []
    /// With any port; `port` is nil.
    private var anyPort: Set<WebOrigin> = []
    private var allowsLocal = false

    /// What holds where nothing is configured: pages that this machine serves itself.
    package static let standard = OriginRules(local: true)

    private init(local: Bool) { allowsLocal = local }

    /// - Parameter list: Of `https://app.example.com`, `http://app.example.com:*` (any port) and `localhost` (every
    ///   origin of this machine). The coordinator's own origin need not be in it.
    package init(_ list: [String]) throws(OriginError) {
        for text in list {
            if text == "localhost" {
                allowsLocal = true
            } else if text.hasSuffix(":*"), let origin = WebOrigin(String(text.dropLast(2))), origin.port == nil {
                anyPort.insert(origin)
            } else if let origin = WebOrigin(text) {
                exact.insert(origin)
            } else {
                throw OriginError(got: TokenFile.quoted(text))
            }
        }
    }

    func allow(_ origin: WebOrigin) -> Bool {
        if exact.contains(origin) { return true }
        var portless = origin
        portless.port = nil
        if anyPort.contains(portless) { return true }
        return allowsLocal && (origin.scheme == "http" || origin.scheme == "https")
            && HostRules.isLoopback(origin.host[...])
    }
}

/// A text that is no origin of an allow-list.
package struct OriginError: Error, Equatable, Sendable, CustomStringConvertible {
    let got: String
    package var description: String {
        "got \(got), want an origin such as https://app.example.com, one with any port such as "
            + "http://app.example.com:*, or localhost; each by its own name, without a path"
    }
}
