import EventLoop

/// One call, from its beginning to its one result.
///
/// `@unchecked Sendable` holds because all but `run` happens on the loop's thread.
final class ClientCall: @unchecked Sendable {
    struct Request {
        let endpoint: HTTPEndpoint
        let method: HTTPMethod
        let path: String
        let headers: HTTPHeaders
        let body: [UInt8]

        init(
            _ endpoint: HTTPEndpoint, _ method: HTTPMethod, _ path: String, _ headers: HTTPHeaders, _ body: [UInt8]
        ) {
            self.endpoint = endpoint
            self.method = method
            self.path = path
            self.headers = headers
            self.body = body
        }

        /// Whether it can be written as a request line.
        var isSound: Bool {
            path.hasPrefix("/") && path.utf8.allSatisfy { (0x21...0x7E).contains($0) } && method != .other
        }
    }

    struct Stream {
        var parser: EventStreamParser
        let silence: Duration
        let onOpen: @Sendable () -> Void
        let onEvent: @Sendable (ServerSentEvent) -> Void
    }

    let request: Request
    private let client: HTTPClient
    private let timeout: Duration
    private var stream: Stream?
    private var continuation: UnsafeContinuation<Result<HTTPResponse, HTTPError>, Never>?
    private var timer: LoopTimer?
    private var isOver = false
    private var isStreaming = false
    private var heardAt = Duration.zero
    /// The connection that carries it.
    weak var connection: ClientConnection?

    init(_ client: HTTPClient, _ request: Request, timeout: Duration, stream: Stream?) {
        self.client = client
        self.request = request
        self.timeout = timeout
        self.stream = stream
    }

    func run() async throws(HTTPError) -> HTTPResponse {
        guard request.isSound else {
            throw HTTPError(.badAddress, "\"\(request.path)\" is no path: begin with / and percent-encode the rest")
        }
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                client.loop.perform { self.begin(continuation) }
            }
        } onCancel: {
            client.loop.perform { self.fail(HTTPError(.cancelled, "the call was cancelled")) }
        }
        return try result.get()
    }

    private func begin(_ continuation: UnsafeContinuation<Result<HTTPResponse, HTTPError>, Never>) {
        guard !isOver else {
            return continuation.resume(returning: .failure(HTTPError(.cancelled, "the call was cancelled")))
        }
        self.continuation = continuation
        let timer = client.loop.timer { [weak self] in self?.timeUp() }
        self.timer = timer
        timer.arm(after: timeout)
        client.began(self)
    }

    func succeed(_ response: HTTPResponse) { end(.success(response)) }

    func fail(_ error: HTTPError) { end(.failure(error)) }

    private func end(_ result: Result<HTTPResponse, HTTPError>) {
        guard !isOver else { return }
        isOver = true
        timer?.disarm()
        timer = nil
        stream = nil
        client.ended(self)
        connection?.callEnded(self)
        continuation?.resume(returning: result)
        continuation = nil
    }

    // MARK: Streams

    /// Whether the answer's body is to be read as events, piece by piece.
    func takesStream(_ status: Int, _ headers: HTTPHeaders) -> Bool {
        guard let stream, status == 200, headers["Content-Type"]?.hasPrefix("text/event-stream") == true else {
            return false
        }
        isStreaming = true
        heardAt = client.loop.now
        timer?.arm(after: stream.silence)
        stream.onOpen()
        return !isOver
    }

    func streamCame(_ bytes: UnsafeRawBufferPointer) {
        guard !isOver, stream != nil else { return }
        heardAt = client.loop.now
        guard let events = stream?.parser.read(bytes) else {
            return fail(HTTPError(.badAnswer, "an event is larger than \(client.limits.eventBytes) bytes"))
        }
        for event in events {
            guard !isOver else { return }
            stream?.onEvent(event)
        }
    }

    private func timeUp() {
        guard isStreaming, let silence = stream?.silence else {
            return fail(HTTPError(.timeout, "\(request.endpoint) did not answer within \(timeout)"))
        }
        let left = heardAt + silence - client.loop.now
        if left > .zero {
            timer?.arm(after: left)
        } else {
            fail(HTTPError(.connectionLost, "nothing came from \(request.endpoint) for \(silence)"))
        }
    }
}
