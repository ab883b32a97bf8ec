import CSystem
import EventLoop
import Glibc

/// One listening socket of a server.
///
/// `@unchecked Sendable` holds because it is used on the loop's thread alone.
final class Listener: @unchecked Sendable {
    private let server: HTTPServer  // keeps it while it listens
    private let tls: ServerCertificate?
    private let unixPath: String?
    private let listener: OpaquePointer  // an evconnlistener; freed in close, with it the descriptor
    private var pause: LoopTimer?
    private var isClosed = false

    private init(
        _ server: HTTPServer, descriptor: Int32, tls: ServerCertificate?, unixPath: String?
    ) throws(HTTPError) {
        self.server = server
        self.tls = tls
        self.unixPath = unixPath
        let flags = UInt32(LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC)
        guard
            let made = evconnlistener_new(
                server.loop.base, listenerAccepted, nil, flags, server.limits.backlog, descriptor)
        else {
            let why = Self.why()
            Glibc.close(descriptor)
            throw HTTPError(.cannotListen, why)
        }
        listener = made
        evconnlistener_set_cb(made, listenerAccepted, Unmanaged.passUnretained(self).toOpaque())  // the server keeps it
        evconnlistener_set_error_cb(made, listenerFailed)
    }

    static func why() -> String { String(cString: strerror(errno)) }

    // MARK: Binding

    /// Binds every address of `host`, all with one port.
    static func bind(
        _ server: HTTPServer, host: String, port: Int, tls: ServerCertificate?
    ) throws(HTTPError) -> (listeners: [Listener], port: Int) {
        guard (0...65535).contains(port) else {
            throw HTTPError(.cannotListen, "\(port) is no port; take 0 to 65535")
        }
        let addresses = try SocketAddress.toListen(on: host, port: port)
        var tries = 5  // a free port of the first address may be taken on the second
        while true {
            tries -= 1
            do throws(HTTPError) {
                return try bind(server, addresses, port, tls, host)
            } catch {
                guard port == 0, addresses.count > 1, tries > 0 else { throw error }
            }
        }
    }

    private static func bind(
        _ server: HTTPServer, _ addresses: [SocketAddress], _ port: Int, _ tls: ServerCertificate?, _ host: String
    ) throws(HTTPError) -> (listeners: [Listener], port: Int) {
        var bound: [Int32] = []
        var port = port
        var missing = ""
        for address in addresses {
            let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue) | nonBlocking, 0)
            let isBound =
                descriptor >= 0 && prepare(descriptor, address, server.limits) && address.with(port).bind(descriptor)
            guard isBound else {
                let code = errno
                let why = "\(host):\(port): \(why())"
                if descriptor >= 0 { Glibc.close(descriptor) }
                // A machine without IPv6 lacks one of the two addresses of "localhost".
                if code == EADDRNOTAVAIL || code == EAFNOSUPPORT {
                    missing = why
                    continue
                }
                for descriptor in bound { Glibc.close(descriptor) }
                throw HTTPError(.cannotListen, why)
            }
            bound.append(descriptor)
            if port == 0 { port = SocketAddress.port(of: descriptor) }
        }
        guard !bound.isEmpty else { throw HTTPError(.cannotListen, missing) }
        var listeners: [Listener] = []
        while let descriptor = bound.first {
            bound.removeFirst()
            do throws(HTTPError) {
                listeners.append(try Listener(server, descriptor: descriptor, tls: tls, unixPath: nil))
            } catch {
                for listener in listeners { listener.close() }
                for descriptor in bound { Glibc.close(descriptor) }
                throw error
            }
        }
        return (listeners, port)
    }

    /// Linux hands all of these on to the sockets that are accepted, so that a connection costs no further call.
    private static func prepare(_ descriptor: Int32, _ address: SocketAddress, _ limits: HTTPLimits) -> Bool {
        if address.family == AF_INET6, !set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) { return false }
        let tcp = Int32(IPPROTO_TCP)
        return set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            && set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            && set(descriptor, tcp, TCP_KEEPIDLE, Int32(clamping: limits.silence.components.seconds))
            && set(descriptor, tcp, TCP_KEEPINTVL, 1)
            && set(descriptor, tcp, TCP_KEEPCNT, Int32(clamping: limits.questions))
            && set(descriptor, tcp, TCP_NODELAY, 1)  // without it each answer over TLS takes 40 ms
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    private static let nonBlocking = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

    /// Binds a unix socket. One left behind by a server that is no more is replaced.
    static func bind(
        _ server: HTTPServer, unixPath: String, openTo clients: HTTPServer.SocketClients
    ) throws(HTTPError) -> Listener {
        let address = try SocketAddress(unixPath: unixPath)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | nonBlocking, 0)
        guard descriptor >= 0 else { throw HTTPError(.cannotListen, "\(unixPath): \(why())") }
        var isBound = address.bind(descriptor)
        if !isBound, errno == EADDRINUSE, !address.isAnswered {
            unlink(unixPath)
            isBound = address.bind(descriptor)
        }
        guard isBound, chmod(unixPath, clients.mode) == 0 else {
            let why = why()
            Glibc.close(descriptor)
            throw HTTPError(.cannotListen, "\(unixPath): \(why)")
        }
        return try Listener(server, descriptor: descriptor, tls: nil, unixPath: unixPath)
    }

    // MARK: Accepting

    /// Who connected a unix socket.
    static func process(behind descriptor: Int32) -> ClientIdentity {
        var user: uid_t = 0
        var group: gid_t = 0
        guard shim_peer(descriptor, &user, &group) == 0 else { return .unknown }
        var others = [gid_t](repeating: 0, count: HTTPLimits.peerGroups)
        let count = shim_peer_groups(descriptor, &others, Int32(others.count))
        return .process(user: user, groups: [group] + others.prefix(max(0, Int(count))))
    }

    /// What stands for the address of a client on a unix socket, which has none.
    static let unixPeer = "unix"

    fileprivate func accepted(_ descriptor: Int32, _ address: UnsafeMutablePointer<sockaddr>?) {
        guard unixPath == nil else {
            return server.accepted(descriptor, peer: Self.unixPeer, network: nil, tls: tls?.context)
        }
        let network = PeerNetwork(address)
        // A client of this machine does not vanish without a word. And of the questions to thousands that came together the
        // kernel loses some, since its queue within the machine is short: whoever misses three would lose its wait.
        if network == nil { _ = Self.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 0) }
        server.accepted(descriptor, peer: SocketAddress.text(address), network: network, tls: tls?.context)
    }

    /// Accepting failed: where descriptors or memory have run out, trying again at once would spin.
    fileprivate func failed() {
        let code = errno
        guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code), !isClosed, !server.descriptorsRanOut() else { return }
        server.log.warning("accepting paused", ["reason": .text(Self.why())])
        evconnlistener_disable(listener)
        let timer = pause ?? server.loop.timer { [weak self] in self?.goOn() }
        pause = timer
        timer.arm(after: server.limits.descriptorPause)
    }

    private func goOn() {
        guard !isClosed else { return }
        evconnlistener_enable(listener)
    }

    /// Takes the connections that the kernel has made already, so that each is told why it is closed; then closes.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        pause?.disarm()
        let descriptor = evconnlistener_get_fd(listener)
        for _ in 0..<server.limits.backlog {
            let taken = shim_accept(descriptor)
            guard taken >= 0 else { break }
            server.accepted(taken, peer: "", network: nil, tls: tls?.context)
        }
        evconnlistener_free(listener)
        if let unixPath { unlink(unixPath) }
    }
}

private func listenerAccepted(
    _ listener: OpaquePointer?, _ descriptor: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: Int32,
    _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    Unmanaged<Listener>.fromOpaque(context).takeUnretainedValue().accepted(descriptor, address)
}

private func listenerFailed(_ listener: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Listener>.fromOpaque(context).takeUnretainedValue().failed()
}
