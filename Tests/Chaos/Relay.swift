import CSystem
import EventLoop
import Glibc

/// A unix socket in front of another: passes bytes on, or holds them up, delays them, cuts their connections.
///
/// What is held stays where it is, ends of connections too, as in a network that lost its way. `@unchecked Sendable`
/// holds because it is used on the loop's thread alone.
final class Relay: @unchecked Sendable {
    /// One way through the relay.
    enum Way: Int, CaseIterable, Sendable { case toServer, toClient }

    let name: String
    private let loop: EventLoop
    private let upstream: String
    private let path: String
    private var listener: OpaquePointer?
    fileprivate var pairs: [ObjectIdentifier: Pair] = [:]
    fileprivate private(set) var held: Set<Way> = []
    fileprivate private(set) var delay = Duration.zero

    init(_ name: String, from path: String, to upstream: String, loop: EventLoop) throws(LoopError) {
        self.name = name
        self.loop = loop
        self.path = path
        self.upstream = upstream
        var (address, length) = Self.address(path)
        unlink(path)
        let context = Unmanaged.passUnretained(self).toOpaque()  // lives as long as the run
        listener = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                evconnlistener_new_bind(
                    loop.base, relayAccepted, context, UInt32(LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC), 512,
                    pointer,
                    Int32(length))
            }
        }
        guard listener != nil else { throw LoopError(call: "bind \(path)", code: errno) }
    }

    func close() {
        cut()
        if let listener { evconnlistener_free(listener) }
        listener = nil
        unlink(path)
    }

    // MARK: Faults

    /// Lets nothing through on these ways until `heal`.
    func hold(_ ways: Set<Way>) { held.formUnion(ways) }

    /// Lets each piece through this much later.
    func slow(by delay: Duration) { self.delay = delay }

    /// Lets everything through again, what was held first.
    func heal() {
        held = []
        delay = .zero
        for pair in Array(pairs.values) { pair.pumpAll() }
    }

    /// Closes all connections; what was held in them is lost.
    func cut() { for pair in Array(pairs.values) { pair.close() } }

    fileprivate func accepted(_ descriptor: Int32) {
        let pair = Pair(self, loop)
        pairs[ObjectIdentifier(pair)] = pair
        pair.open(descriptor, to: Self.address(upstream))
    }

    private static func address(_ path: String) -> (sockaddr_un, socklen_t) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return (address, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
}

/// The two ends of one connection through a relay.
private final class Pair: @unchecked Sendable {
    private unowned let relay: Relay
    private let loop: EventLoop
    private var ends: [OpaquePointer?] = [nil, nil]  // what came in by a way is read from the end of the same number
    private var hasEnded = [false, false]
    private var late: [[(due: Duration, bytes: [UInt8])]] = [[], []]
    private var timer: LoopTimer?

    init(_ relay: Relay, _ loop: EventLoop) {
        self.relay = relay
        self.loop = loop
    }

    func open(_ descriptor: Int32, to address: (sockaddr_un, socklen_t)) {
        timer = loop.timer { [weak self] in self?.pumpAll() }
        evutil_make_socket_nonblocking(descriptor)
        let options = Int32(BEV_OPT_CLOSE_ON_FREE.rawValue)
        ends[0] = bufferevent_socket_new(loop.base, descriptor, options)
        ends[1] = bufferevent_socket_new(loop.base, -1, options)
        let context = Unmanaged.passUnretained(self).toOpaque()  // the relay holds it until close
        for end in ends {
            bufferevent_setcb(end, pairRead, pairWritten, pairEvent, context)
            bufferevent_enable(end, Int16(EV_READ | EV_WRITE))
        }
        var address = address
        let code = withUnsafePointer(to: &address.0) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bufferevent_socket_connect(ends[1], $0, Int32(address.1))
            }
        }
        if code != 0 { close() }
    }

    func close() {
        timer?.disarm()
        for index in ends.indices {
            if let end = ends[index] { bufferevent_free(end) }
            ends[index] = nil
        }
        relay.pairs[ObjectIdentifier(self)] = nil
    }

    func pumpAll() { for way in Relay.Way.allCases { pump(way) } }

    private func pump(_ way: Relay.Way) {
        guard !relay.held.contains(way), let from = ends[way.rawValue], let to = ends[1 - way.rawValue] else { return }
        let input = bufferevent_get_input(from)
        let count = evbuffer_get_length(input)
        let now = loop.now
        if count > 0, relay.delay > .zero || !late[way.rawValue].isEmpty {
            var bytes = [UInt8](repeating: 0, count: count)
            _ = bytes.withUnsafeMutableBytes { evbuffer_remove(input, $0.baseAddress, count) }
            late[way.rawValue].append((now + relay.delay, bytes))
        } else if count > 0 {
            evbuffer_add_buffer(bufferevent_get_output(to), input)
        }
        while let first = late[way.rawValue].first, first.due <= now || relay.delay == .zero {
            late[way.rawValue].removeFirst()
            _ = first.bytes.withUnsafeBytes { bufferevent_write(to, $0.baseAddress, $0.count) }
        }
        if let next = late[way.rawValue].first { timer?.arm(after: min(next.due - now, .milliseconds(20))) }
        finishIfEnded(way)
    }

    /// Closes both ends once everything that one of them had said has been passed on.
    func finishIfEnded(_ way: Relay.Way) {
        guard hasEnded[way.rawValue], !relay.held.contains(way), late[way.rawValue].isEmpty,
            let to = ends[1 - way.rawValue], evbuffer_get_length(bufferevent_get_output(to)) == 0
        else { return }
        close()
    }

    func way(of end: OpaquePointer?) -> Relay.Way { end == ends[0] ? .toServer : .toClient }

    func came(_ end: OpaquePointer?) { pump(way(of: end)) }

    func written(_ end: OpaquePointer?) { finishIfEnded(way(of: end) == .toServer ? .toClient : .toServer) }

    func happened(_ end: OpaquePointer?, _ what: Int32) {
        guard what & BEV_EVENT_CONNECTED == 0 else { return }
        hasEnded[way(of: end).rawValue] = true
        pump(way(of: end))
    }
}

private func relayAccepted(
    _ listener: OpaquePointer?, _ descriptor: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: Int32,
    _ context: UnsafeMutableRawPointer?
) {
    guard let context else { return }
    Unmanaged<Relay>.fromOpaque(context).takeUnretainedValue().accepted(descriptor)
}

private func pairRead(_ end: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Pair>.fromOpaque(context).takeUnretainedValue().came(end)
}

private func pairWritten(_ end: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Pair>.fromOpaque(context).takeUnretainedValue().written(end)
}

private func pairEvent(_ end: OpaquePointer?, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<Pair>.fromOpaque(context).takeUnretainedValue().happened(end, Int32(what))
}
