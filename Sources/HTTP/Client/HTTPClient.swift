import CSystem
import EventLoop

/// Calls HTTP/1.1 servers over TCP, TLS and unix sockets, and keeps connections for the next call.
///
/// `@unchecked Sendable` holds because all of its state is used on the loop's thread, to which each call goes first.
package final class HTTPClient: @unchecked Sendable {
    let loop: EventLoop
    let limits: HTTPLimits
    /// Where requests are written before they are sent.
    var text = MessageText()

    private let trusted: String?
    private let identity: TLSSettings?
    private var tls: TLSContext?
    private var idle: [HTTPEndpoint: [ClientConnection]] = [:]
    private var calls: [ObjectIdentifier: ClientCall] = [:]
    private var isClosed = false

    /// - Parameters:
    ///   - trusted: A PEM file of the certificates to trust in place of the system's.
    ///   - identity: The certificate to show to servers that ask for one.
    package init(
        loop: EventLoop, limits: HTTPLimits = .init(), trusting trusted: String? = nil,
        showing identity: TLSSettings? = nil
    ) {
        self.loop = loop
        self.limits = limits
        self.trusted = trusted
        self.identity = identity
    }

    /// Sends one request and waits for its answer, whatever its status.
    ///
    /// A call is repeated only where a kept connection turns out to be closed and repeating the method changes nothing
    /// more. Cancelling the task closes the connection, which the server notices.
    ///
    /// - Parameters:
    ///   - path: with its query, percent-encoded; begins with a slash.
    ///   - timeout: from now to the answer's last byte.
    package func send(
        _ method: HTTPMethod, _ path: String, to endpoint: HTTPEndpoint, headers: HTTPHeaders = .init(),
        body: [UInt8] = [], timeout: Duration
    ) async throws(HTTPError) -> HTTPResponse {
        let call = ClientCall(
            self, ClientCall.Request(endpoint, method, path, headers, body), timeout: timeout, stream: nil)
        return try await call.run()
    }

    /// Follows a stream of server-sent events until the server ends it; an answer that is no such stream is returned
    /// with its body, a stream with an empty one.
    ///
    /// - Parameters:
    ///   - body: sent with POST; without one the method is GET.
    ///   - timeout: from now to the end of the answer's head.
    ///   - silence: how long no byte may come before the stream counts as lost.
    ///   - onOpen: called on the loop's thread when the stream has begun.
    ///   - onEvent: called on the loop's thread with each event.
    package func stream(
        _ path: String, from endpoint: HTTPEndpoint, headers: HTTPHeaders = .init(), body: [UInt8] = [],
        timeout: Duration, silence: Duration, onOpen: @escaping @Sendable () -> Void = {},
        onEvent: @escaping @Sendable (ServerSentEvent) -> Void
    ) async throws(HTTPError) -> HTTPResponse {
        var headers = headers
        headers["Accept"] = "text/event-stream"
        let stream = ClientCall.Stream(
            parser: EventStreamParser(eventBytes: limits.eventBytes), silence: silence, onOpen: onOpen, onEvent: onEvent
        )
        let call = ClientCall(
            self, ClientCall.Request(endpoint, body.isEmpty ? .get : .post, path, headers, body), timeout: timeout,
            stream: stream)
        return try await call.run()
    }

    /// Closes all connections; calls under way fail as cancelled, and so does each later one. From any thread.
    package func close() {
        loop.perform {
            self.isClosed = true
            for call in Array(self.calls.values) { call.fail(HTTPError(.cancelled, "the client was closed")) }
            for connection in self.idle.values.flatMap(\.self) { connection.close() }
            self.idle = [:]
        }
    }

    // MARK: From calls and connections

    func began(_ call: ClientCall) {
        guard !isClosed else { return call.fail(HTTPError(.cancelled, "the client was closed")) }
        calls[ObjectIdentifier(call)] = call
        place(call, onKept: true)
    }

    func ended(_ call: ClientCall) { calls[ObjectIdentifier(call)] = nil }

    /// Gives the call a connection; with `onKept` false one of its own.
    func place(_ call: ClientCall, onKept: Bool) {
        let endpoint = call.request.endpoint
        if onKept, let kept = idle[endpoint]?.popLast() {
            kept.carry(call)
        } else {
            ClientConnection(self, endpoint).connect(for: call)
        }
    }

    /// Keeps a connection that has nothing to do; false when there are enough.
    func keep(_ connection: ClientConnection) -> Bool {
        guard !isClosed, idle[connection.endpoint, default: []].count < limits.idleConnectionsKept else { return false }
        idle[connection.endpoint, default: []].append(connection)
        return true
    }

    func forget(_ connection: ClientConnection) {
        idle[connection.endpoint]?.removeAll { $0 === connection }
        if idle[connection.endpoint]?.isEmpty == true { idle[connection.endpoint] = nil }
    }

    /// Made once, when the first TLS connection needs it.
    func tlsContext() throws(HTTPError) -> TLSContext {
        if let tls { return tls }
        let made = try TLSContext(trusting: trusted, showing: identity)
        tls = made
        return made
    }
}
