/// Which `Host` headers mean this coordinator: the guard against DNS rebinding, by which a page of a foreign name comes
/// to be of the same origin as a server on the reader's own machine.
///
/// A page's address is what its reader's browser was pointed at. An address in numbers cannot be rebound, since no name
/// server is asked about it, so each of them is taken; so are the names that browsers themselves keep on this machine
/// (RFC 6761 §6.3); other names have to be configured.
struct HostRules: Sendable {
    private let names: Set<String>
    /// What programs mostly send, found without taking it apart.
    private var usual: [String] = []

    /// - Parameters:
    ///   - names: Configured names, without a port.
    ///   - addresses: Where the coordinator listens; names among them count as configured, sockets' paths for nothing.
    init(names: [String], addresses: [String] = []) {
        let addresses = addresses.filter { !$0.hasPrefix("unix:") && !$0.hasPrefix("/") }
        let listening = addresses.map { String(HostRules.host(ofAuthority: $0)) }
        self.names = Set((names + listening).map { Self.plain($0) }.filter { !$0.isEmpty && $0 != "*" })
        let ports = addresses.map { $0[HostRules.host(ofAuthority: $0).endIndex...] }
        let known = addresses + ports.flatMap { ["localhost\($0)", "127.0.0.1\($0)"] }
        usual = known.filter { isAllowed($0) }
    }

    func allow(_ header: String) -> Bool { usual.contains(header) || isAllowed(header) }

    private func isAllowed(_ header: String) -> Bool {
        let host = Self.host(ofAuthority: header)
        let port = header[host.endIndex...].utf8
        guard port.isEmpty || (port.first == UInt8(ascii: ":") && port.dropFirst().allSatisfy { 0x30...0x39 ~= $0 })
        else { return false }
        return Self.isLoopback(host) || Self.isNumeric(host) || names.contains(Self.plain(host))
    }

    /// The part of `host:port` before the port; an IPv6 address keeps its brackets.
    static func host(ofAuthority text: some StringProtocol) -> Substring {
        let text = Substring(text)
        if text.utf8.first == UInt8(ascii: "[") {
            guard let end = text.utf8.firstIndex(of: UInt8(ascii: "]")) else { return text }
            return text[...end]
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return text }
        // Several colons without brackets: an address in numbers without a port, as --listen may have it.
        return text[..<colon].utf8.contains(UInt8(ascii: ":")) ? text : text[..<colon]
    }

    /// Whether a host is this machine by its very name: `localhost` and what is below it, 127.0.0.0/8, `::1`.
    static func isLoopback(_ host: Substring) -> Bool {
        var name = host.utf8
        switch name.first {
        case UInt8(ascii: "1") where isIPv4(host): return name.starts(with: "127.".utf8)
        case UInt8(ascii: ":"), UInt8(ascii: "["): return host == "::1" || host == "[::1]"
        default: break
        }
        if name.last == UInt8(ascii: ".") { name = name.dropLast() }
        let below = name.count - 9
        guard below >= 0, zip(name.dropFirst(below), "localhost".utf8).allSatisfy({ $0 | 0x20 == $1 }) else {
            return false
        }
        return below == 0 || name.dropFirst(below - 1).first == UInt8(ascii: ".")
    }

    /// Whether a host is an address in numbers, which no name server can turn elsewhere.
    static func isNumeric(_ host: Substring) -> Bool {
        if isIPv4(host) { return true }
        guard host.utf8.first == UInt8(ascii: "["), host.utf8.last == UInt8(ascii: "]") else { return false }
        let inner = host.utf8.dropFirst().dropLast()
        return inner.contains(UInt8(ascii: ":"))
            && inner.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x46, 0x61...0x66, UInt8(ascii: ":"), UInt8(ascii: "."): true
                default: false
                }
            }
    }

    /// Four decimal numbers, as browsers write every form of such an address.
    private static func isIPv4(_ host: Substring) -> Bool {
        var numbers = 0
        var value = 0
        var digits = 0
        for byte in host.utf8 {
            switch byte {
            case 0x30...0x39:
                value = value * 10 + Int(byte - 0x30)
                digits += 1
                guard digits <= 3, value <= 255 else { return false }
            case UInt8(ascii: "."):
                guard digits > 0 else { return false }
                numbers += 1
                value = 0
                digits = 0
            default: return false
            }
        }
        return numbers == 3 && digits > 0
    }

    /// Without case and without the dot that ends a full name.
    private static func plain(_ host: some StringProtocol) -> String {
        let name = host.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}
