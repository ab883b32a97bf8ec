import HTTP

/// What a request is judged by.
struct AccessRequest: Sendable {
    /// Where a connection comes from.
    enum Peer: Hashable, Sendable {
        case unix, loopback, other

        /// - Parameter text: As the HTTP layer tells it: `unix`, or an address and a port.
        init(_ text: String) {
            let text = text.utf8
            if text.starts(with: "127.".utf8) || text.starts(with: "[::1]:".utf8)
                || text.starts(with: "[::ffff:127.".utf8)
            {
                self = .loopback
            } else {
                self = text.elementsEqual("unix".utf8) ? .unix : .other
            }
        }
    }

    var method: HTTPMethod
    /// What the path's role has to allow; nil for paths that are open to everybody.
    var permission: Permission?
    var authorization: String?
    var origin: String?
    var host: String?
    /// `Sec-Fetch-Site`: what a browser says of the page behind a request.
    var fetchSite: String?
    var peer: Peer
    /// Whether it came through TLS.
    var isSecure: Bool
    /// Who the connection's client has proved to be.
    var client: ClientIdentity
    /// The name of the process's user, where `client` is one.
    var userName = ""
    /// Whether a proxy says that it speaks for somebody else.
    var isForwarded = false
    /// Whether that proxy says that TLS ended there.
    var isForwardedSecurely = false

    init(
        method: HTTPMethod, permission: Permission?, authorization: String? = nil, origin: String? = nil,
        host: String? = "localhost", fetchSite: String? = nil, peer: Peer = .loopback, isSecure: Bool = false,
        client: ClientIdentity = .unknown
    ) {
        self.method = method
        self.permission = permission
        self.authorization = authorization
        self.origin = origin
        self.host = host
        self.fetchSite = fetchSite
        self.peer = peer
        self.isSecure = isSecure
        self.client = client
    }

    init(_ request: HTTPRequest, permission: Permission?) {
        self.init(
            method: request.method, permission: permission, authorization: request.headers["Authorization"],
            origin: request.headers["Origin"], host: request.headers["Host"],
            fetchSite: request.headers["Sec-Fetch-Site"], peer: Peer(request.peer), isSecure: request.isSecure,
            client: request.client)
        isForwarded = Self.forwarding.contains { request.headers[$0] != nil }
        isForwardedSecurely = request.headers["X-Forwarded-Proto"] == "https"
        // Two of them could be read differently by a proxy in front.
        if authorization != nil, request.headers.values(of: "Authorization").count > 1 { authorization = "" }
    }

    private static let forwarding = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"]

    /// Whether it may change something; such requests are held to the stricter rules for pages.
    var changesState: Bool { method != .get && method != .head }
}
