import EventLoop
import Glibc
import HTTP
import TestSupport

/// Runs `body` beside a server that has a few paths to test with; it is shut down on every path.
func withServer<Result: Sendable>(
    _ limits: HTTPLimits = .init(), tls: TLSSettings? = nil, _ body: @Sendable (TestServer) async throws -> Result
) async throws -> Result {
    try await withLoop { loop in
        let server = try await TestServer(loop: loop, limits: limits, tls: tls)
        do {
            let result = try await body(server)
            await server.server.shutDown(grace: .zero)
            return result
        } catch {
            await server.server.shutDown(grace: .zero)
            throw error
        }
    }
}

extension HTTPLimits {
    /// The standard limits but for what a test changes.
    static func with(_ change: (inout HTTPLimits) -> Void) -> HTTPLimits {
        var limits = HTTPLimits()
        change(&limits)
        return limits
    }
}

/// `/echo` tells what came, `/who` from whom; `/park` waits for `answerParked`; `/stream` for pieces; `/large/N` answers N bytes.
///
/// `@unchecked Sendable` holds because all of its state is used on the loop's thread.
final class TestServer: @unchecked Sendable {
    let loop: EventLoop
    private(set) var server: HTTPServer!
    private(set) var port = 0
    private var parked: [HTTPExchange] = []
    private var happened: [String] = []
    private var wentAt: Duration?

    init(loop: EventLoop, limits: HTTPLimits, tls: TLSSettings?) async throws {
        self.loop = loop
        server = HTTPServer(loop: loop, limits: limits, log: .silent) { [unowned self] in serve($0, $1) }
        port = try await loop.run { try self.server.listen(host: "127.0.0.1", port: 0, tls: tls) }
    }

    func connect(receiveBuffer: Int32? = nil) throws -> Wire {
        try Wire.connect(port: port, receiveBuffer: receiveBuffer)
    }

    /// What the handler has seen beyond `/echo`, in order.
    var events: [String] {
        get async throws { try await loop.run { self.happened } }
    }

    /// When the handler heard last that a client is gone, by the loop's clock.
    var goneAt: Duration {
        get async throws { try await loop.run { self.wentAt ?? .zero } }
    }

    var counts: HTTPCounts {
        get async throws { try await loop.run { self.server.counts } }
    }

    /// Waits until the handler has seen exactly this.
    func expect(_ events: [String]) async throws {
        try await eventually("what the handler saw", is: events) { try await self.events }
    }

    /// Answers the request that waits longest.
    func answerParked(_ body: String = "parked") async throws {
        try await loop.run {
            let exchange = self.parked.removeFirst()
            exchange.onDelivered = { self.happened.append($0 ? "delivered" : "undelivered") }
            exchange.respond(Self.text(body))
        }
    }

    /// Does something with the exchange that waits longest.
    func withParked<Result: Sendable>(_ work: @escaping @Sendable (HTTPExchange) -> Result) async throws -> Result {
        try await loop.run { work(self.parked[0]) }
    }

    static func text(_ body: String) -> HTTPResponse {
        HTTPResponse(status: 200, headers: ["Content-Type": "text/plain"], body: Array(body.utf8))
    }

    private func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let loop = loop
        switch request.path {
        case "/park", "/stream":
            happened.append("\(request.method.rawValue) \(request.path)")
            exchange.onClientGone = { [weak self] in
                self?.happened.append("gone")
                self?.wentAt = loop.now
            }
            parked.append(exchange)
            if request.path == "/stream" {
                exchange.startStream(status: 200, headers: ["Content-Type": "text/event-stream"])
            }
        case "/who": exchange.respond(Self.text("\(request.client)"))
        case "/empty": exchange.respond(HTTPResponse(status: 204))
        case "/close":
            var answer = Self.text("last")
            answer.headers.add("Connection", "close")
            exchange.respond(answer)
        case let path where path.hasPrefix("/large/"):
            exchange.onDelivered = { [weak self] in self?.happened.append($0 ? "delivered" : "undelivered") }
            let count = Int(path.dropFirst(7)) ?? 0
            exchange.respond(HTTPResponse(status: 200, body: [UInt8](repeating: UInt8(ascii: "x"), count: count)))
        default:
            let query = request.query.map { "?\($0.0)=\($0.1)" }.joined()
            let body = String(decoding: request.body, as: UTF8.self)
            exchange.respond(Self.text("\(request.method.rawValue) \(request.path)\(query) \(body)"))
        }
    }
}

/// The answer that `/echo` gives.
func answer(_ body: String, _ more: String = "") -> String {
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\(more)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
