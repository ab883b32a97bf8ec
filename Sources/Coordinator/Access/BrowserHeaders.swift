import HTTP

/// The headers by which browsers know what a page may do with an answer.
enum BrowserHeaders {
    /// What an answer is.
    enum Kind: Sendable {
        /// JSON, metrics, events.
        case data
        /// The dashboard and what belongs to it.
        case page
        /// The browser module, which pages of allowed origins import.
        case module
    }

    /// Adds what every answer of that kind carries.
    ///
    /// - Parameter cors: The foreign origin that may read it, from the verdict.
    static func add(to headers: inout HTTPHeaders, kind: Kind = .data, cors: String?) {
        switch kind {
        case .data: headers.add(ofData)
        case .module: headers.add(ofModule)
        case .page: headers.add(ofPages)
        }
        if let cors {
            headers.add("Access-Control-Allow-Origin", cors)
            headers.add("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
        }
    }

    // Vary also where no origin is named, so that no cache gives one page's answer to another's.
    private static let ofData: HTTPHeaders = [
        "X-Content-Type-Options": "nosniff", "Vary": "Origin", "Cross-Origin-Resource-Policy": "same-origin",
    ]
    private static let ofModule: HTTPHeaders = [
        "X-Content-Type-Options": "nosniff", "Vary": "Origin", "Cross-Origin-Resource-Policy": "cross-origin",
    ]
    private static let ofPages: HTTPHeaders = [
        "X-Content-Type-Options": "nosniff", "Vary": "Origin", "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": contentPolicy,
    ]

    /// Nothing from elsewhere, no inline scripts, and nobody frames the page.
    static let contentPolicy =
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

    /// The answer to OPTIONS on any path, once the request has been allowed: to a browser's preflight what it asks for.
    ///
    /// - Parameter allowed: The methods of what the path names; nil where it is no call.
    static func answerToOptions(_ request: HTTPRequest, allowed: String?, cors: String?) -> HTTPResponse {
        var response = HTTPResponse(status: 204, headers: ["Allow": allowed ?? Route.allowed(at: .get)])
        add(to: &response.headers, cors: cors)
        guard cors != nil, request.headers["Access-Control-Request-Method"] != nil else { return response }
        response.headers.add("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
        response.headers.add("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
        response.headers.add("Access-Control-Max-Age", "600")
        // Asked by Chromium before a public page reaches into a private network.
        if request.headers["Access-Control-Request-Private-Network"] == "true" {
            response.headers.add("Access-Control-Allow-Private-Network", "true")
        }
        return response
    }
}
