import EventLoop

/// One request's way to its answer; for the loop's thread only. The handler keeps it until it has answered.
///
/// Sendable so that one actor of the loop may hand it to another: all of them run on its one thread.
package final class HTTPExchange: @unchecked Sendable {
    private enum State {
        case open, streaming, answered, gone
    }

    private var connection: Connection?
    private let loop: EventLoop
    private var state = State.open

    init(_ connection: Connection, _ loop: EventLoop) {
        self.connection = connection
        self.loop = loop
    }

    /// Called once when the client closes, half closes or breaks its connection before the answer is complete; within a
    /// second, over TLS too. Not called after `respond` or `endStream`, nor once `send` has returned false.
    ///
    /// A client that has filled its connection with further bytes and then vanishes without a word is noticed only by
    /// what is sent to it: whoever keeps clients waiting gives each wait an end.
    package var onClientGone: (() -> Void)? {
        didSet {
            guard state == .gone, let tell = onClientGone else { return }
            onClientGone = nil
            inNextTurn(tell)
        }
    }

    /// Called once after `respond`: true when the kernel has taken the whole answer, perhaps within `respond` itself;
    /// false, in a later turn, when the client was gone. Not called for streams.
    package var onDelivered: ((Bool) -> Void)?

    /// Whether the client is known to be gone.
    package var isClientGone: Bool { state == .gone }

    /// Answers. Only the first answer counts; one to a client that is gone goes nowhere.
    package func respond(_ response: HTTPResponse) {
        guard state == .open, let connection else {
            if state == .gone, let tell = onDelivered {
                onDelivered = nil
                inNextTurn { tell(false) }
            }
            return
        }
        let delivered = onDelivered
        end(.answered)
        connection.answer(response, delivered)
    }

    /// Begins an answer whose body comes by and by, such as server-sent events; sent at once.
    package func startStream(status: Int, headers: HTTPHeaders) {
        guard state == .open, let connection else { return }
        state = .streaming
        onDelivered = nil
        connection.startStream(status, headers)
    }

    /// Sends a piece of the stream. False when the client is gone or has not read for so long that its buffer is full;
    /// the connection is closed then and nothing more needs to be done.
    package func send(_ bytes: [UInt8]) -> Bool {
        guard state == .streaming, let connection else { return false }
        return connection.sendPiece(bytes)
    }

    /// Ends the stream; the connection may serve another request.
    package func endStream() {
        guard state == .streaming, let connection else { return }
        end(.answered)
        connection.endStream()
    }

    /// The connection is no more.
    func connectionEnded() {
        guard state == .open || state == .streaming else { return }
        let tell = onClientGone
        connection = nil
        state = .gone
        onClientGone = nil
        tell?()
    }

    /// The connection is closed by our own doing within `send`, whose result tells it.
    func dropped() { end(.gone) }

    private func end(_ state: State) {
        self.state = state
        connection = nil
        onClientGone = nil
        onDelivered = nil
    }

    private func inNextTurn(_ work: @escaping () -> Void) {
        nonisolated(unsafe) let work = work  // made and run on the loop's thread
        loop.timer { work() }.arm(after: .zero)
    }
}
