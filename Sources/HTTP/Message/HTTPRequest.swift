/// A request as the handler gets it: complete, within the limits, checked as far as HTTP goes.
package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    /// Decoded, without the query; begins with a slash, or is `*` (RFC 9112 §3.2.4).
    package var path: String
    /// Decoded, in order.
    package var query: [(String, String)]
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// The client's address and port as text, or `unix`.
    package var peer: String
    /// Whether it came through TLS.
    package var isSecure: Bool
    /// Who the connection's client has proved to be.
    package var client = ClientIdentity.unknown

    package init(
        method: HTTPMethod, path: String, query: [(String, String)] = [], headers: HTTPHeaders = .init(),
        body: [UInt8] = [], peer: String = "", isSecure: Bool = false
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.peer = peer
        self.isSecure = isSecure
    }
}
