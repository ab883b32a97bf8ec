import CLLHTTP

/// What a request asks for.
package enum HTTPMethod: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case options = "OPTIONS"
    case patch = "PATCH"
    /// One that HTTP has and this project has no use for; never sent.
    case other = ""

    init(_ number: UInt8) {
        switch llhttp_method_t(UInt32(number)) {
        case HTTP_GET: self = .get
        case HTTP_HEAD: self = .head
        case HTTP_POST: self = .post
        case HTTP_PUT: self = .put
        case HTTP_DELETE: self = .delete
        case HTTP_OPTIONS: self = .options
        case HTTP_PATCH: self = .patch
        default: self = .other
        }
    }

    /// Whether repeating a request changes nothing more (RFC 9110 §9.2.2).
    var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch, .other: false
        }
    }
}
