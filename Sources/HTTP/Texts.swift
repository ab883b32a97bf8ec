/// What the HTTP layer itself refuses. Every text that it sends to a client stands here.
enum Refusal: Equatable, CaseIterable {
    case malformed, badTarget, foldedHeader, trailer, missingHost, severalHosts, badHost, codingInOldVersion
    case tooSlow
    case bodyTooLarge
    case targetTooLong
    case unknownExpectation
    case headTooLarge
    case unknownMethod, unknownCoding
    case overloaded, crowded, shuttingDown
    case unknownVersion

    var status: Int {
        switch self {
        case .malformed, .badTarget, .foldedHeader, .trailer, .missingHost, .severalHosts, .badHost,
            .codingInOldVersion:
            400
        case .tooSlow: 408
        case .bodyTooLarge: 413
        case .targetTooLong: 414
        case .unknownExpectation: 417
        case .headTooLarge: 431
        case .unknownMethod, .unknownCoding: 501
        case .overloaded, .crowded, .shuttingDown: 503
        case .unknownVersion: 505
        }
    }

    /// The stable word for programs.
    var word: String {
        switch self {
        case .malformed, .badTarget, .foldedHeader, .trailer, .missingHost, .severalHosts, .badHost,
            .codingInOldVersion:
            "bad_request"
        case .tooSlow: "request_timeout"
        case .bodyTooLarge: "body_too_large"
        case .targetTooLong: "target_too_long"
        case .unknownExpectation: "expectation_failed"
        case .headTooLarge: "headers_too_large"
        case .unknownMethod, .unknownCoding: "not_implemented"
        case .overloaded, .crowded: "too_many_connections"
        case .shuttingDown: "shutting_down"
        case .unknownVersion: "version_not_supported"
        }
    }

    /// The sentence for people: what is wrong and what to do.
    func message(_ limits: HTTPLimits) -> String {
        switch self {
        case .malformed:
            "This is not a valid HTTP/1.1 request. Check the request line, the headers and the length of the body."
        case .badTarget:
            "The path or the query is malformed. Percent-encode it as UTF-8 and send it without a fragment."
        case .foldedHeader: "A header goes on in a second line, which HTTP/1.1 has given up. Send it in one line."
        case .trailer: "Fields follow the chunked body, which nobody here reads. Send them in front of it."
        case .missingHost: "The Host header is missing. Send one, such as Host: localhost."
        case .severalHosts: "There are several Host headers. Send one."
        case .badHost: "The Host header is not a host name with an optional port. Mend it."
        case .codingInOldVersion: "Transfer-Encoding needs HTTP/1.1. Send Content-Length or speak HTTP/1.1."
        case .tooSlow:
            "The request was not complete within \(limits.requestDeadline.components.seconds) seconds. Send it at once."
        case .bodyTooLarge: "The body is larger than \(limits.bodyBytes) bytes. Send a smaller one."
        case .targetTooLong: "The path and query are longer than \(limits.targetBytes) bytes. Shorten them."
        case .unknownExpectation: "The Expect header asks for something unknown. Send 100-continue or nothing."
        case .headTooLarge:
            "The headers are larger than \(limits.headBytes) bytes or more than \(limits.headerFields). "
                + "Send fewer; cookies are not needed."
        case .unknownMethod: "This server does not know the request's method. Use GET, HEAD, POST or OPTIONS."
        case .unknownCoding: "This server knows no transfer coding but chunked. Send the body as it is."
        case .overloaded: "The server has as many connections as it takes. Try again in a second."
        case .crowded:
            "Your address has \(limits.connectionsPerAddress) connections here, as many as one may. Close some; "
                + "who runs a coordinator can raise its --connections-per-address."
        case .shuttingDown: "The server is shutting down. Try another one, or this one again in a few seconds."
        case .unknownVersion: "This server speaks HTTP/1.1. Send HTTP/1.1 in the request line."
        }
    }

    /// The answer; the texts hold nothing that JSON would have to escape, which a test looks at.
    func response(_ limits: HTTPLimits) -> HTTPResponse {
        let text = "{\"error\":\"\(word)\",\"msg\":\"\(message(limits))\"}"
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if status == 503 { headers.add("Retry-After", "1") }
        return HTTPResponse(status: status, headers: headers, body: Array(text.utf8))
    }
}
