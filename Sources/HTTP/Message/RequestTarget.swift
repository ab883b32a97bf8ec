/// What a request line names: a path and a query, decoded.
struct RequestTarget {
    var path = ""
    var query: [(String, String)] = []
    /// The host of a target in absolute form, which stands for the Host header (RFC 9112 §3.2.2).
    var authority: String?

    /// Nil when it is malformed: wrong escapes, text that is no UTF-8, a zero byte, a fragment, no slash.
    init?(_ bytes: [UInt8]) {
        guard !bytes.contains(UInt8(ascii: "#")) else { return nil }
        if bytes == [UInt8(ascii: "*")] {
            path = "*"
            return
        }
        var rest = bytes[...]
        if rest.first != UInt8(ascii: "/") {
            guard let scheme = Self.schemes.first(where: { rest.starts(with: $0.utf8) }) else { return nil }
            rest = rest.dropFirst(scheme.utf8.count)
            let host = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
            guard !host.isEmpty, !host.contains(UInt8(ascii: "@")) else { return nil }
            authority = String(decoding: host, as: UTF8.self)
            rest = rest.dropFirst(host.count)
        }
        let question = rest.firstIndex(of: UInt8(ascii: "?")) ?? rest.endIndex
        guard let path = Self.decoded(rest[..<question], plusIsSpace: false) else { return nil }
        self.path = path.isEmpty ? "/" : path
        for pair in rest[question...].dropFirst().split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard let name = Self.decoded(pair[..<equals], plusIsSpace: true),
                let value = Self.decoded(pair[equals...].dropFirst(), plusIsSpace: true)
            else { return nil }
            query.append((name, value))
        }
    }

    private static let schemes = ["http://", "https://"]

    private static func decoded(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool) -> String? {
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(validating: bytes, as: UTF8.self)
        }
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        var at = bytes.startIndex
        while at < bytes.endIndex {
            switch bytes[at] {
            case UInt8(ascii: "%"):
                guard bytes.endIndex - at >= 3, let high = hexDigit(bytes[at + 1]), let low = hexDigit(bytes[at + 2]),
                    high << 4 | low != 0
                else { return nil }
                text.append(high << 4 | low)
                at += 3
            case UInt8(ascii: "+") where plusIsSpace:
                text.append(0x20)
                at += 1
            case let byte:
                text.append(byte)
                at += 1
            }
        }
        return String(validating: text, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
