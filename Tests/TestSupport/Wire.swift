import Glibc
import HTTP
import Synchronization

/// A client's bare socket: what is sent and what comes, byte for byte.
package final class Wire: Sendable {
    private let descriptor: Int32
    private let came = Mutex<[UInt8]>([])
    private let ended = Mutex(false)
    private let broken = Mutex(false)
    private let isClosed = Mutex(false)

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// A connection to a port of this machine. A small `receiveBuffer` makes a client that takes little at a time.
    package static func connect(port: Int, receiveBuffer: Int32? = nil) throws -> Wire {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw WireError(description: "connect: \(String(cString: strerror(errno)))") }
        return Wire(descriptor)
    }

    package static func connect(unixPath: String) throws -> Wire {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: unixPath.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw WireError(description: "connect: \(String(cString: strerror(errno)))") }
        return Wire(descriptor)
    }

    deinit { close() }

    package func send(_ text: String) { send(Array(text.utf8)) }

    /// Sends all bytes, or as many as a connection that is broken takes.
    package func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard sent > 0 else { return broken.withLock { $0 = true } }
            rest = rest.dropFirst(sent)
        }
    }

    /// Sends what the connection takes without waiting; how many bytes that were.
    package func sendWithoutWaiting(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes {
            max(0, Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)))
        }
    }

    /// Says that nothing more comes from here.
    package func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Breaks the connection: the server gets an RST.
    package func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close()
    }

    package func close() {
        isClosed.withLock { isClosed in
            if !isClosed { Glibc.close(descriptor) }
            isClosed = true
        }
    }

    /// The server's descriptor of this connection, which lies in the same process; nil when it is not found.
    package var otherEnd: Int32? {
        guard let mine = Self.port(descriptor, getsockname) else { return nil }
        return (0..<20_000).first { $0 != descriptor && Self.port($0, getpeername) == mine }
    }

    private static func port(
        _ descriptor: Int32, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> in_port_t? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &length) }
        }
        return status == 0 && address.sin_family == sa_family_t(AF_INET) ? address.sin_port : nil
    }

    /// What has come so far and was not taken.
    package var text: String {
        look()
        return String(decoding: came.withLock { $0 }, as: UTF8.self)
    }

    /// Whether the server has closed its side.
    package var hasEnded: Bool {
        look()
        return ended.withLock { $0 }
    }

    /// Whether the server has broken the connection in place of closing it, which may cost a client the answer.
    package var wasReset: Bool {
        look()
        return broken.withLock { $0 }
    }

    /// Bytes that lie unread in the kernel on the server's side.
    package var unreadAtServer: Int {
        guard let otherEnd else { return 0 }
        var count: Int32 = 0
        _ = withUnsafeMutablePointer(to: &count) { ioctl(otherEnd, UInt(FIONREAD), $0) }
        return Int(count)
    }

    private func look() {
        var piece = [UInt8](repeating: 0, count: 65536)
        while !ended.withLock({ $0 }) {
            let count = recv(descriptor, &piece, piece.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN { return }
            if count < 0 { broken.withLock { $0 = true } }
            if count <= 0 { return ended.withLock { $0 = true } }
            came.withLock { $0 += piece[..<count] }
        }
    }

    /// Waits until this has come, the Date lines left out, and takes it.
    package func expect(_ expected: String) async throws {
        try await eventually("the answer", is: expected) { self.undated.prefix(while: expected) }
        let rest = undated.dropFirst(expected.count)
        came.withLock { $0 = Array(String(rest).utf8) }
    }

    /// Waits until this has come and the server has closed its side.
    package func expectLast(_ expected: String) async throws {
        try await eventually("the answer and the end", is: expected + "∎") {
            self.hasEnded ? self.undated + "∎" : self.undated
        }
    }

    /// Waits until the server closes its side without another word.
    package func expectEnd() async throws { try await expectLast("") }

    private var undated: String {
        var lines = text.components(separatedBy: "\r\n")
        lines.removeAll { $0.hasPrefix("Date: ") }
        return lines.joined(separator: "\r\n")
    }
}

package struct WireError: Error, CustomStringConvertible {
    package let description: String
}

extension String {
    /// As much of it as `expected` is long, so that a comparison shows what came in its place.
    fileprivate func prefix(while expected: String) -> String { String(prefix(expected.count)) }

    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
