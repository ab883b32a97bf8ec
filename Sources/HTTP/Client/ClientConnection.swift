import CLLHTTP
import CSystem
import EventLoop
import Glibc

/// One connection to a server, which carries one call at a time.
///
/// `@unchecked Sendable` holds because it is used on the loop's thread alone. It keeps itself alive from `connect` to
/// `close`, since libevent holds no reference.
final class ClientConnection: @unchecked Sendable {
    let endpoint: HTTPEndpoint
    private let client: HTTPClient
    private let parser: MessageParser
    private var buffer: OpaquePointer?  // a bufferevent; freed in drop, with it the descriptor and the SSL
    private var call: ClientCall?
    private var addresses: [SocketAddress] = []
    private var timer: LoopTimer?
    private var isConnected = false
    private var isClosed = false
    /// Whether the present call is not the first.
    private var isKept = false
    private var hasAnswerBegun = false
    private var why = ""
    private var keptAlive: ClientConnection?

    init(_ client: HTTPClient, _ endpoint: HTTPEndpoint) {
        self.client = client
        self.endpoint = endpoint
        let limits = client.limits
        parser = MessageParser(
            .response,
            .init(
                targetBytes: 0, headBytes: limits.answerHeadBytes, fields: Int(UInt16.max),
                bodyBytes: limits.answerBodyBytes))
    }

    // MARK: Connecting

    func connect(for call: ClientCall) {
        self.call = call
        call.connection = self
        keptAlive = self
        timer = client.loop.timer { [weak self] in self?.timeUp() }
        switch endpoint {
        case .unix(let path):
            do throws(HTTPError) {
                addresses = [try SocketAddress(unixPath: path)]
                connectNext()
            } catch {
                end(error)
            }
        case .tcp(let host, let port, _):
            NameLookup.resolve(host, on: client.loop) { [weak self] found in self?.resolved(found, port) }
        }
    }

    private func resolved(_ found: Result<[String], LoopError>, _ port: Int) {
        guard !isClosed else { return }
        switch found {
        case .failure(let error): end(HTTPError(.cannotConnect, "\(error)"))
        case .success(let hosts):
            addresses = hosts.compactMap { SocketAddress(numeric: $0, port: port) }
            connectNext()
        }
    }

    private func connectNext() {
        guard !addresses.isEmpty else {
            return end(HTTPError(.cannotConnect, "\(endpoint) cannot be reached: \(why)"))
        }
        let address = addresses.removeFirst()
        do throws(HTTPError) {
            buffer = try makeBuffer()
        } catch {
            return end(error)
        }
        guard let buffer else { return end(HTTPError(.cannotConnect, "no memory for a connection")) }
        let context = Unmanaged.passUnretained(self).toOpaque()  // alive until close, which frees the buffer first
        bufferevent_setcb(buffer, clientRead, nil, clientEvent, context)
        bufferevent_enable(buffer, Int16(EV_READ))
        timer?.arm(after: client.limits.connectDeadline)
        if address.withPointer({ bufferevent_socket_connect(buffer, $0, Int32($1)) }) != 0 { connectFailed() }
    }

    private func makeBuffer() throws(HTTPError) -> OpaquePointer? {
        guard case .tcp(let host, _, isSecure: true) = endpoint else {
            return bufferevent_socket_new(client.loop.base, -1, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
        }
        return try client.tlsContext().connectingBuffer(client.loop.base, host: host)
    }

    private func connectFailed() {
        let code = errno
        why = String(cString: strerror(code))
        let refusal = buffer.flatMap { endpoint.isSecure ? TLSContext.refusal($0) : nil }
        drop()
        // A server whose certificate does not fit is not looked for elsewhere.
        if let refusal { return end(HTTPError(.tls, "\(endpoint): \(refusal)")) }
        connectNext()
    }

    private func connected() {
        isConnected = true
        timer?.disarm()
        if let buffer {
            let descriptor = bufferevent_getfd(buffer)
            // So that a server's machine that vanishes is noticed while a call waits.
            Self.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            Self.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            Self.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 5)
            Self.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 1)
            Self.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
        }
        send()
    }

    /// Refused for unix sockets, which need none of these.
    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    // MARK: Calls

    /// Takes a further call on a kept connection.
    func carry(_ call: ClientCall) {
        self.call = call
        call.connection = self
        isKept = true
        timer?.disarm()
        send()
    }

    private func send() {
        guard let call, let buffer else { return }
        let request = call.request
        hasAnswerBegun = false
        parser.answersHead = request.method == .head
        parser.bodySink = nil
        client.text.removeAll()
        client.text.request(
            request.method, request.path, host: endpoint.hostHeader, headers: request.headers, body: request.body)
        let isTaken = client.text.bytes.withUnsafeBytes { bufferevent_write(buffer, $0.baseAddress, $0.count) == 0 }
        if !isTaken { end(HTTPError(.connectionLost, "no memory for a request")) }
    }

    /// The call is over, answered or not.
    func callEnded(_ call: ClientCall) {
        guard self.call === call else { return }
        self.call = nil
        close()  // an answer that is still to come has nobody to go to
    }

    fileprivate func bytesCame() {
        while let buffer, let input = bufferevent_get_input(buffer) {
            var piece = iovec()
            guard evbuffer_peek(input, -1, nil, &piece, 1) > 0, piece.iov_len > 0 else { return }
            guard call != nil else { return close() }  // nobody has asked anything
            hasAnswerBegun = true
            let (count, stop) = parser.execute(UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
            guard self.buffer != nil else { return }  // ended from within
            evbuffer_drain(input, count)
            act(on: stop)
        }
    }

    private func act(on stop: MessageParser.Stop) {
        switch stop {
        case .hungry: break
        case .headComplete:
            guard let call, parser.status >= 200 else { break }
            if call.takesStream(parser.status, parser.headers) {
                parser.bodySink = { [weak call] in call?.streamCame($0) }
            }
            goOn()
        case .messageComplete: messageCame()
        case .breached: end(HTTPError(.badAnswer, "the answer of \(endpoint) is larger than allowed"))
        case .failed: end(HTTPError(.badAnswer, "what came from \(endpoint) is no HTTP answer"))
        }
    }

    /// A message without a body is complete without another byte.
    private func goOn() {
        guard buffer != nil else { return }
        let (_, stop) = parser.execute(UnsafeRawBufferPointer(start: nil, count: 0))
        if stop != .hungry { act(on: stop) }
    }

    private func messageCame() {
        let status = parser.status
        let keepsAlive = parser.keepsAlive
        let (headers, body) = parser.takeMessage()
        guard status >= 200 else { return }  // such as 100 Continue: the answer follows
        let isQuiet = buffer.flatMap { bufferevent_get_input($0) }.map { evbuffer_get_length($0) == 0 } ?? false
        let answered = call
        call = nil
        if keepsAlive, isQuiet, client.keep(self) {
            timer?.arm(after: client.limits.idleConnectionAge)
        } else {
            close()
        }
        answered?.succeed(HTTPResponse(status: status, headers: headers, body: body))
    }

    // MARK: Ends

    fileprivate func happened(_ what: Int32) {
        if what & BEV_EVENT_CONNECTED != 0 { return connected() }
        guard isConnected else { return connectFailed() }
        let code = errno
        if call != nil, hasAnswerBegun, parser.finish() { return messageCame() }
        let why = what & BEV_EVENT_EOF != 0 ? "closed" : String(cString: strerror(code))
        if let call, isKept, !hasAnswerBegun, call.request.method.isIdempotent {
            self.call = nil
            close()
            return client.place(call, onKept: false)
        }
        end(HTTPError(.connectionLost, "the connection to \(endpoint) was lost before the answer: \(why)"))
    }

    private func timeUp() {
        if isConnected { return close() }  // kept long enough
        why = "no answer in time"
        drop()
        connectNext()
    }

    private func end(_ error: HTTPError) {
        let failed = call
        call = nil
        close()
        failed?.fail(error)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        timer?.disarm()
        timer = nil
        client.forget(self)
        drop()
        keptAlive = nil
    }

    private func drop() {
        guard let buffer else { return }
        if endpoint.isSecure { TLSContext.sayGoodbye(buffer) }
        self.buffer = nil
        bufferevent_free(buffer)
    }
}

private func clientRead(_ buffer: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<ClientConnection>.fromOpaque(context).takeUnretainedValue().bytesCame()
}

private func clientEvent(_ buffer: OpaquePointer?, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<ClientConnection>.fromOpaque(context).takeUnretainedValue().happened(Int32(what))
}
