import CSystem
import Glibc

/// An address of the socket interface, of whichever family.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private var length: socklen_t = 0

    var family: Int32 { Int32(storage.ss_family) }

    /// A unix socket's address; its path is limited to 107 bytes.
    init(unixPath: String) throws(HTTPError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(unixPath.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard !path.isEmpty, path.count <= room, !path.contains(0) else {
            throw HTTPError(.badAddress, "\"\(unixPath)\" is no path of a socket: it takes 1 to \(room) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        withUnsafeBytes(of: address) { source in withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: source) } }
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
    }

    /// A numeric address, such as `NameLookup` finds.
    init?(numeric host: String, port: Int) {
        guard let found = try? Self.lookUp(host, port, AI_NUMERICHOST | AI_NUMERICSERV).first else { return nil }
        self = found
    }

    private init(_ info: addrinfo) {
        length = min(info.ai_addrlen, socklen_t(MemoryLayout<sockaddr_storage>.size))
        guard let address = info.ai_addr else { return }
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
        }
    }

    /// Every address of a name of this machine; `*` is every address that it has. Asks the resolver and waits for it.
    static func toListen(on host: String, port: Int) throws(HTTPError) -> [SocketAddress] {
        try lookUp(host == "*" ? nil : host, port, AI_PASSIVE | AI_NUMERICSERV)
    }

    private static func lookUp(_ host: String?, _ port: Int, _ flags: Int32) throws(HTTPError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        guard code == 0 else {
            let why = gai_strerror(code).map { String(cString: $0) } ?? "error \(code)"
            throw HTTPError(.cannotListen, "\(host ?? "*"): \(why)")
        }
        var addresses: [SocketAddress] = []
        var next = found
        while let info = next?.pointee {
            addresses.append(SocketAddress(info))
            next = info.ai_next
        }
        return addresses
    }

    /// The same with another port.
    func with(_ port: Int) -> SocketAddress {
        var copy = self
        let port = in_port_t(truncatingIfNeeded: port).bigEndian
        withUnsafeMutableBytes(of: &copy.storage) {
            switch family {
            case AF_INET: $0.assumingMemoryBound(to: sockaddr_in.self)[0].sin_port = port
            case AF_INET6: $0.assumingMemoryBound(to: sockaddr_in6.self)[0].sin6_port = port
            default: break
            }
        }
        return copy
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    func bind(_ descriptor: Int32) -> Bool { withPointer { Glibc.bind(descriptor, $0, $1) } == 0 }

    /// Whether somebody listens there. For unix sockets, which answer at once.
    var isAnswered: Bool {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        return withPointer { connect(descriptor, $0, $1) } == 0 || errno != ECONNREFUSED
    }

    static func port(of descriptor: Int32) -> Int {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &address) { bytes in
            guard let start = bytes.baseAddress,
                getsockname(descriptor, start.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return 0 }
            // The port stands at the same place in both families.
            return Int(in_port_t(bigEndian: bytes.assumingMemoryBound(to: sockaddr_in.self)[0].sin_port))
        }
    }

    /// An address and port as text; empty where there is none.
    static func text(_ address: UnsafePointer<sockaddr>?) -> String {
        guard let address else { return "" }
        let isNew = Int32(address.pointee.sa_family) == AF_INET6
        guard isNew || Int32(address.pointee.sa_family) == AF_INET else { return "" }
        let raw = UnsafeRawPointer(address)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
            let port: in_port_t
            let isWritten: Bool
            if isNew {
                var whole = raw.loadUnaligned(as: sockaddr_in6.self)
                port = whole.sin6_port
                isWritten = inet_ntop(AF_INET6, &whole.sin6_addr, text.baseAddress, socklen_t(text.count)) != nil
            } else {
                var whole = raw.loadUnaligned(as: sockaddr_in.self)
                port = whole.sin_port
                isWritten = inet_ntop(AF_INET, &whole.sin_addr, text.baseAddress, socklen_t(text.count)) != nil
            }
            guard isWritten, let start = text.baseAddress else { return "" }
            let host = String(cString: start)
            return "\(isNew ? "[\(host)]" : host):\(in_port_t(bigEndian: port))"
        }
    }
}
