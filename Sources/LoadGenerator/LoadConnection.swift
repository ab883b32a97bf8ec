import CSystem
import EventLoop
import Glibc

/// Where a server is reached.
package enum LoadTarget: Sendable {
    case loopback(port: Int)
    case unix(path: String)
}

/// Why the load could not be made.
package struct LoadError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// One connection with as little between the socket and its reader as there can be, so that the generator's own share
/// of the machine stays small. For the loop's thread only.
final class LoadConnection {
    private let framing: Framing
    private let descriptor: Int32
    private var event: OpaquePointer?  // freed in close
    private var rest: [UInt8] = []
    /// Called with each whole answer.
    var onAnswer: ((Int, Span<UInt8>) -> Void)?
    /// Called once when the server closes.
    var onLost: ((String) -> Void)?

    private nonisolated(unsafe) static let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 1 << 18, alignment: 16)  // of the one loop that generates load, for as long as the process lives

    init(_ target: LoadTarget, _ framing: Framing, loop: EventLoop) throws(LoadError) {
        self.framing = framing
        descriptor = try Self.connect(target)
        shim_set_nonblocking(descriptor)
        let context = Unmanaged.passUnretained(self).toOpaque()  // the event is freed in close, which deinit calls
        event = event_new(loop.base, descriptor, Int16(EV_READ | EV_PERSIST), readable, context)
        guard let event, event_add(event, nil) == 0 else { throw LoadError("event_new fails") }
    }

    deinit { close() }

    private static func connect(_ target: LoadTarget) throws(LoadError) -> Int32 {
        let descriptor: Int32
        let status: Int32
        switch target {
        case .loopback(let port):
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            var one: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
            // Thousands of connections a round would otherwise leave no free ports behind.
            var end = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &end, socklen_t(MemoryLayout<linger>.size))
        case .unix(let path):
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
            status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        guard descriptor >= 0, status == 0 else {
            let why = String(cString: strerror(errno))
            if descriptor >= 0 { Glibc.close(descriptor) }
            throw LoadError("cannot connect to \(target): \(why)")
        }
        return descriptor
    }

    /// Whether somebody listens there.
    static func isAnswered(_ target: LoadTarget) -> Bool {
        guard let descriptor = try? connect(target) else { return false }
        Glibc.close(descriptor)
        return true
    }

    func send(_ bytes: [UInt8]) {
        let sent = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        // Requests are far smaller than a socket's buffer.
        if sent != bytes.count { lost("a request could not be sent: \(String(cString: strerror(errno)))") }
    }

    func close() {
        guard let event else { return }
        event_free(event)
        self.event = nil
        onAnswer = nil
        onLost = nil
        Glibc.close(descriptor)
    }

    private func lost(_ why: String) {
        let onLost = onLost
        close()
        onLost?(why)
    }

    fileprivate func read() {
        let got = recv(descriptor, Self.room.baseAddress, Self.room.count, 0)
        guard got > 0 else {
            if got < 0, errno == EAGAIN || errno == EINTR { return }
            return lost(got == 0 ? "the server closed a connection" : String(cString: strerror(errno)))
        }
        let came = UnsafeBufferPointer(
            start: Self.room.baseAddress?.assumingMemoryBound(to: UInt8.self), count: got)
        guard rest.isEmpty else {
            rest.append(contentsOf: came)
            return readRest()
        }
        let bytes = Span(_unsafeElements: came)
        guard let answer = framing.answer(in: bytes), answer.length == got else {
            rest.append(contentsOf: came)
            return readRest()
        }
        onAnswer?(answer.status, bytes.extracting(answer.body..<answer.length))
    }

    private func readRest() {
        while event != nil, !rest.isEmpty {
            let whole = rest
            let bytes = whole.span
            guard let answer = framing.answer(in: bytes) else { return }
            rest = Array(whole[answer.length...])
            onAnswer?(answer.status, bytes.extracting(answer.body..<answer.length))
        }
    }
}

private func readable(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    let connection = Unmanaged<LoadConnection>.fromOpaque(context).takeUnretainedValue()
    withExtendedLifetime(connection) { connection.read() }
}
