import HTTP

/// The calls of the bridge: method and path to what is done. The one list; `openapi.json` is held against it.
enum Route: String, CaseIterable, Sendable {
    case lock, unlock, renew, requests, status, verify, reset, forceRelease, cordon, drain, events, join
    case health, ready, metrics, openAPI

    var method: HTTPMethod {
        switch self {
        case .lock, .unlock, .renew, .verify, .reset, .forceRelease, .cordon, .drain, .join: .post
        case .requests, .status, .events, .health, .ready, .metrics, .openAPI: .get
        }
    }

    /// `requests` is followed by a name.
    var path: String {
        switch self {
        case .lock: "/v1/gpu/lock"
        case .unlock: "/v1/gpu/unlock"
        case .renew: "/v1/gpu/renew"
        case .requests: "/v1/gpu/requests/"
        case .status: "/v1/gpu/status"
        case .verify: "/v1/gpu/verify"
        case .reset: "/v1/gpu/reset"
        case .forceRelease: "/v1/gpu/force-release-all"
        case .cordon: "/v1/gpu/cordon"
        case .drain: "/v1/gpu/drain"
        case .events: "/v1/gpu/events"
        case .join: "/v1/agent/join"
        case .health: "/health"
        case .ready: "/ready"
        case .metrics: "/metrics"
        case .openAPI: "/openapi.json"
        }
    }

    /// What the caller's role has to allow; nil is open to everybody.
    var permission: Permission? {
        switch self {
        case .lock, .unlock, .renew: .lock
        case .requests, .status, .verify, .events, .metrics: .view
        case .reset, .cordon, .drain: .operate
        case .forceRelease: .administer
        case .join: .join
        case .health, .ready, .openAPI: nil
        }
    }

    private static let byPath = Dictionary(uniqueKeysWithValues: allCases.map { ($0.path, $0) })

    /// The route of a path, whatever the method; nil where there is none.
    static func at(_ path: String) -> Route? {
        if let route = byPath[path] { return route == .requests ? nil : route }
        return path.hasPrefix(requests.path) ? .requests : nil
    }

    /// What `Allow` says (RFC 9110 §10.2.1).
    var allowed: String { Self.allowed(at: method) }

    /// The same for a path that is called with `method`.
    static func allowed(at method: HTTPMethod) -> String {
        method == .get ? "GET, HEAD, OPTIONS" : "\(method.rawValue), OPTIONS"
    }

    func allows(_ method: HTTPMethod) -> Bool { method == self.method || (self.method == .get && method == .head) }
}
