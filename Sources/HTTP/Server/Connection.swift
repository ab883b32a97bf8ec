import CSystem
import EventLoop
import Glibc

/// One client's connection: its bufferevent, its parser, and the request that waits for an answer.
///
/// It performs what `ConnectionMachine` decides. The server holds it until it is closed. `@unchecked Sendable` holds
/// because it is used on the loop's thread alone.
final class Connection: @unchecked Sendable {
    private let server: HTTPServer
    private let descriptor: Int32
    private let isSecure: Bool
    private let isLocal: Bool
    /// Whether the client could show a certificate; who it is stands fixed from its first request on.
    private var mayShowCertificate: Bool
    private var identity = ClientIdentity.unknown
    private let parser: RequestParser
    private var machine: ConnectionMachine
    private var buffer: OpaquePointer?  // a bufferevent; freed in close, with it the descriptor and the SSL
    private var exchange: HTTPExchange?
    private var form = AnswerForm()
    private var delivered: ((Bool) -> Void)?
    private var timer: LoopTimer?
    private var timerDue: Duration?
    private var isFeeding = false
    /// Whether the server counts a request of this connection as under way.
    private var isCounted = false
    /// Whether the read callback is taken away: with a full buffer libevent would call it for ever.
    private var isMuted = false
    /// How long the kernel repeats what is not acknowledged; zero is its own default of many minutes.
    private var patience = Duration.zero
    /// The place among the server's connections.
    var position = 0
    /// Whose it is counted as.
    let network: PeerNetwork?
    /// Whether it has a place, and is not only told that it has none.
    let isAdmitted: Bool
    /// Bytes of its answer or stream that the kernel had not taken when last something was written.
    private(set) var unsentBytes = 0
    /// Since when there are such bytes.
    private(set) var unsentSince = Duration.zero

    init?(
        _ server: HTTPServer, descriptor: Int32, peer: String, network: PeerNetwork?, isAdmitted: Bool,
        tls: TLSContext?
    ) {
        self.server = server
        self.network = network
        self.isAdmitted = isAdmitted
        self.descriptor = descriptor
        isSecure = tls != nil
        mayShowCertificate = tls?.asksForCertificates ?? false
        isLocal = peer == Listener.unixPeer
        if isLocal { identity = Listener.process(behind: descriptor) }
        parser = RequestParser(limits: server.limits, peer: peer, isSecure: isSecure)
        machine = ConnectionMachine(limits: server.limits, at: server.loop.now)
        let made =
            if let tls {
                tls.acceptingBuffer(server.loop.base, descriptor)
            } else {
                bufferevent_socket_new(server.loop.base, descriptor, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
            }
        guard let made else {
            Glibc.close(descriptor)
            return nil
        }
        buffer = made
        bufferevent_setwatermark(made, Int16(EV_READ), 0, server.limits.pipelinedBytes)
        listen(connectionRead)
        bufferevent_enable(made, Int16(EV_READ))
        setTimer()
    }

    private var isClosed: Bool { machine.stage == .closed }

    /// How dispensable it is to a server without room; nil while something is owed to its client.
    var dispensability: Dispensability? { machine.dispensability }

    private func listen(_ read: bufferevent_data_cb?) {
        guard let buffer else { return }
        // The server keeps this object until close has freed the buffer, after which nothing calls back.
        bufferevent_setcb(
            buffer, read, connectionDrained, connectionEvent, Unmanaged.passUnretained(self).toOpaque())
    }

    // MARK: Reading

    fileprivate func bytesCame() {
        switch machine.stage {
        case .waiting, .reading: feed()
        case .answering, .streaming, .draining: muteIfFull()
        case .lingering: input.map { _ = evbuffer_drain($0, evbuffer_get_length($0)) }
        case .closed: break
        }
    }

    private var input: OpaquePointer? { buffer.flatMap { bufferevent_get_input($0) } }
    private var output: OpaquePointer? { buffer.flatMap { bufferevent_get_output($0) } }

    /// Reads requests until one waits for its answer; the bytes behind it stay in the input buffer.
    private func feed() {
        guard !isFeeding else { return }  // the handler answered at once, from further up this very stack
        isFeeding = true
        while machine.isReading, let input {
            var piece = iovec()
            guard evbuffer_peek(input, -1, nil, &piece, 1) > 0, piece.iov_len > 0 else { break }
            var consumed = 0
            let outcome = parser.read(
                UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), consumed: &consumed)
            evbuffer_drain(input, consumed)
            act(on: outcome, input)
        }
        isFeeding = false
        setTimer()
    }

    private func act(on outcome: RequestParser.Outcome, _ input: OpaquePointer) {
        switch outcome {
        case .needsMore:
            if parser.hasBegun { machine.requestBegan(at: server.loop.now) }
        case .wantsContinue:
            machine.requestBegan(at: server.loop.now)
            if evbuffer_get_length(input) == 0 { _ = write { $0.append("HTTP/1.1 100 Continue\r\n\r\n") } }
        case .request(var request, let form):
            self.form = form
            request.client = client
            machine.requestCame(keepsAlive: form.keepsAlive)
            guard !server.isShuttingDown else { return perform(.refuse(.shuttingDown)) }
            let exchange = HTTPExchange(self, server.loop)
            self.exchange = exchange
            server.requestBegan()
            isCounted = true
            server.handler(request, exchange)
            if machine.stage == .answering { setPatience(.zero) }
        case .refused(let refusal): perform(.refuse(refusal))
        }
    }

    /// Who the client has proved to be. A handshake is over before the first request is read.
    private var client: ClientIdentity {
        guard mayShowCertificate, let buffer else { return identity }
        mayShowCertificate = false
        if let subject = TLSContext.subject(buffer) { identity = .certificate(subject: subject) }
        return identity
    }

    private func muteIfFull() {
        guard let input, !isMuted, evbuffer_get_length(input) >= server.limits.pipelinedBytes else { return }
        isMuted = true
        listen(nil)
        setTimer()
    }

    private func unmute() {
        guard isMuted else { return }
        isMuted = false
        listen(connectionRead)
    }

    // MARK: Answering

    func answer(_ response: HTTPResponse, _ delivered: ((Bool) -> Void)?) {
        guard !isClosed else { return }
        exchange = nil
        self.delivered = delivered
        if server.isShuttingDown || response.headers["Connection"]?.lowercased() == "close" {
            machine.endsAfterAnswer()
        }
        let isLast = machine.isLast
        if !isFeeding { setPatience(server.limits.unansweredBytes) }
        end(write { $0.response(response, form, isLast: isLast, date: server.date) })
    }

    func startStream(_ status: Int, _ headers: HTTPHeaders) {
        guard !isClosed else { return }
        if server.isShuttingDown || !form.isChunkable { machine.endsAfterAnswer() }
        machine.streamBegan()
        setPatience(server.limits.unansweredBytes + server.limits.silence)
        let isLast = machine.isLast
        if write({ $0.streamHead(status, headers, form, isLast: isLast, date: server.date) }) == .failed {
            breakLater()
        }
    }

    func sendPiece(_ bytes: [UInt8]) -> Bool {
        guard machine.stage == .streaming, let output else { return false }
        guard !bytes.isEmpty, !form.isHead else { return true }
        var isGone = evbuffer_get_length(output) + bytes.count > server.limits.streamBufferBytes
        if !isGone {
            isGone = write { form.isChunkable ? $0.chunk(bytes) : $0.append(bytes) } == .failed
        }
        guard isGone else { return true }
        exchange?.dropped()
        exchange = nil
        close()
        return false
    }

    func endStream() {
        guard machine.stage == .streaming else { return }
        exchange = nil
        end(form.isChunkable && !form.isHead ? write { $0.lastChunk() } : hasUnsent ? .buffered : .sent)
    }

    private var hasUnsent: Bool { output.map { evbuffer_get_length($0) > 0 } ?? false }

    private func end(_ writing: Writing) {
        if writing == .failed { return breakLater() }
        perform(machine.answered(isSent: writing == .sent, at: server.loop.now))
    }

    private enum Writing {
        case sent, buffered, failed
    }

    /// Sends what `compose` writes: past the buffer where nothing waits in it, which saves two system calls an answer.
    private func write(_ compose: (inout MessageText) -> Void) -> Writing {
        guard let buffer, let output else { return .failed }
        server.text.removeAll()
        compose(&server.text)
        return server.text.bytes.withUnsafeBytes { bytes in
            var sent = 0
            if !isSecure, evbuffer_get_length(output) == 0 {
                sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
                if sent == bytes.count { return .sent }
                if sent < 0 {
                    guard errno == EAGAIN || errno == EINTR else { return .failed }
                    sent = 0
                }
            }
            let isTaken = bufferevent_write(buffer, bytes.baseAddress?.advanced(by: sent), bytes.count - sent) == 0
            countUnsent(evbuffer_get_length(output))
            return isTaken ? .buffered : .failed
        }
    }

    private func countUnsent(_ bytes: Int) {
        if unsentBytes == 0 { unsentSince = server.loop.now }
        let more = bytes - unsentBytes
        unsentBytes = bytes
        if more != 0 { server.unsent(more) }
    }

    /// Its client does not take what it has asked for.
    func giveUp() { perform(.giveUp) }

    /// Not for every answer: a patience below the time of all questions makes the kernel give a client up after the
    /// first of them that is lost (tcp(7), TCP_USER_TIMEOUT), and one waits long and is asked often.
    private func setPatience(_ patience: Duration) {
        guard patience != self.patience, !isLocal else { return }
        self.patience = patience
        var milliseconds = Int32(patience / .milliseconds(1))
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<Int32>.size))
    }

    fileprivate func outputDrained() {
        if unsentBytes != 0 { countUnsent(0) }
        perform(machine.drained(at: server.loop.now))
    }

    // MARK: What was decided

    private func perform(_ step: ConnectionMachine.Step) {
        switch step {
        case .wait: break
        case .readNext:
            answerIsSent()
            unmute()
            feed()
        case .refuse(let refusal):
            server.refused(refusal)
            if machine.isReading { form = AnswerForm() }
            let waiting = exchange
            exchange = nil
            machine.refused()
            waiting?.connectionEnded()
            answer(refusal.response(server.limits), nil)
        case .linger:
            answerIsSent()
            unmute()
            linger()
        case .giveUp:
            let waiting = exchange
            exchange = nil
            close()
            waiting?.connectionEnded()
        case .close: close()
        }
        setTimer()
    }

    private func answerIsSent() {
        requestIsOver()
        guard let tell = delivered else { return }
        delivered = nil
        tell(true)
    }

    private func requestIsOver() {
        guard isCounted else { return }
        isCounted = false
        server.requestEnded()
    }

    /// Says that nothing more comes, so that the client reads the answer to its end and closes.
    private func linger() {
        guard let buffer, let input else { return }
        if isSecure { TLSContext.sayGoodbye(buffer) }
        shutdown(descriptor, Int32(SHUT_WR))
        evbuffer_drain(input, evbuffer_get_length(input))
    }

    /// The peer broke the connection and libevent has not told it yet. Not within the handler's own call.
    private func breakLater() {
        server.loop.timer { self.peerClosed() }.arm(after: .zero)
    }

    fileprivate func peerClosed() { perform(machine.peerClosed()) }

    /// The server takes no request from this connection.
    func refuse(_ refusal: Refusal) { perform(.refuse(refusal)) }

    /// The server has waited long enough.
    func serverCloses() { perform(machine.serverCloses()) }

    func close() {
        guard !isClosed else { return }
        machine.closed()
        timer?.disarm()
        timer = nil
        if let buffer {
            if isSecure { TLSContext.sayGoodbye(buffer) }
            bufferevent_free(buffer)
        }
        buffer = nil
        if let tell = delivered {
            delivered = nil
            nonisolated(unsafe) let told = tell  // made and run on the loop's thread
            server.loop.timer { told(false) }.arm(after: .zero)
        }
        requestIsOver()
        if unsentBytes != 0 { countUnsent(0) }
        server.closed(self)
    }

    // MARK: Time

    /// Arms the timer where it is not armed early enough already. An armed one is left alone when its deadline moves
    /// away, so that a busy connection costs no timer at all.
    private func setTimer() {
        var due = machine.deadline
        if isMuted {
            let look = server.loop.now + server.limits.fullBufferLook
            due = due.map { min($0, look) } ?? look
        }
        guard let due, timerDue.map({ due < $0 }) ?? true else { return }
        timerDue = due
        let timer = self.timer ?? server.loop.timer { [weak self] in self?.timerFired() }
        self.timer = timer
        timer.arm(after: due - server.loop.now)
    }

    private func timerFired() {
        timerDue = nil
        if isMuted, shim_has_hung_up(descriptor) != 0 {
            peerClosed()
        } else {
            perform(machine.timeUp(at: server.loop.now))
        }
    }
}

private func connection(_ context: UnsafeMutableRawPointer?) -> Connection? {
    context.map { Unmanaged<Connection>.fromOpaque($0).takeUnretainedValue() }
}

private func connectionRead(_ buffer: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    connection(context)?.bytesCame()
}

private func connectionDrained(_ buffer: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    connection(context)?.outputDrained()
}

private func connectionEvent(_ buffer: OpaquePointer?, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard Int32(what) & (BEV_EVENT_EOF | BEV_EVENT_ERROR) != 0 else { return }
    connection(context)?.peerClosed()
}
