/// Writes messages as bytes, into an array that is used again and again.
struct MessageText {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(4096) }

    mutating func removeAll() {
        // A rare large answer shall not be remembered for ever.
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 16)
    }

    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ text: [UInt8]) { bytes.append(contentsOf: text) }

    /// One answer, ready to be sent.
    ///
    /// - Parameter date: the Date header's whole line.
    mutating func response(_ response: HTTPResponse, _ form: AnswerForm, isLast: Bool, date: [UInt8]) {
        head(response.status, response.headers, form, isLast: isLast, date: date)
        if Self.hasBody(response.status) {
            append("Content-Length: ")
            decimal(response.body.count)
            append("\r\n\r\n")
            if !form.isHead { bytes.append(contentsOf: response.body) }
        } else {
            append("\r\n")
        }
    }

    /// The beginning of an answer whose body comes in pieces.
    mutating func streamHead(
        _ status: Int, _ headers: HTTPHeaders, _ form: AnswerForm, isLast: Bool, date: [UInt8]
    ) {
        head(status, headers, form, isLast: isLast, date: date)
        if form.isChunkable { append("Transfer-Encoding: chunked\r\n") }
        append("\r\n")
    }

    /// One piece of a chunked body; never the empty one, which would end it.
    mutating func chunk(_ piece: [UInt8]) {
        bytes.append(contentsOf: String(piece.count, radix: 16).utf8)
        append("\r\n")
        bytes.append(contentsOf: piece)
        append("\r\n")
    }

    mutating func lastChunk() { append("0\r\n\r\n") }

    /// One request; `host` is the Host header's value.
    mutating func request(
        _ method: HTTPMethod, _ target: String, host: String, headers: HTTPHeaders, body: [UInt8]
    ) {
        bytes.append(contentsOf: method.rawValue.utf8)
        bytes.append(0x20)
        bytes.append(contentsOf: target.utf8)
        append(" HTTP/1.1\r\nHost: ")
        bytes.append(contentsOf: host.utf8)
        append("\r\n")
        fields(headers)
        if !body.isEmpty || method == .post || method == .put || method == .patch {
            append("Content-Length: ")
            decimal(body.count)
            append("\r\n")
        }
        append("\r\n")
        bytes.append(contentsOf: body)
    }

    // MARK: Pieces

    private mutating func head(
        _ status: Int, _ headers: HTTPHeaders, _ form: AnswerForm, isLast: Bool, date: [UInt8]
    ) {
        let line = Self.statusLine(status)
        append(line)
        if line.utf8CodeUnitCount == 0 {
            append("HTTP/1.1 ")
            decimal(status)
            append(" \r\n")
        }
        bytes.append(contentsOf: date)
        fields(headers)
        if isLast {
            append("Connection: close\r\n")
        } else if !form.isChunkable {
            append("Connection: keep-alive\r\n")  // HTTP/1.0 closes where it is not told otherwise
        }
    }

    /// All fields but those that this layer alone decides about.
    private mutating func fields(_ headers: HTTPHeaders) {
        for slot in headers.slots where !Self.isOurs(slot, headers) {
            bytes.append(contentsOf: headers.bytes[slot.name])
            append(": ")
            bytes.append(contentsOf: headers.bytes[slot.value])
            append("\r\n")
        }
    }

    private static func isOurs(_ slot: HTTPHeaders.Slot, _ headers: HTTPHeaders) -> Bool {
        switch slot.name.count {
        case 4: headers.isNamed(slot, "Date") || headers.isNamed(slot, "Host")
        case 10: headers.isNamed(slot, "Connection") || headers.isNamed(slot, "Keep-Alive")
        case 14: headers.isNamed(slot, "Content-Length")
        case 17: headers.isNamed(slot, "Transfer-Encoding")
        default: false
        }
    }

    private mutating func decimal(_ number: Int) { bytes.append(contentsOf: String(number).utf8) }

    private static func hasBody(_ status: Int) -> Bool { status != 204 && status != 304 && status >= 200 }

    private static func statusLine(_ status: Int) -> StaticString {
        switch status {
        case 200: "HTTP/1.1 200 OK\r\n"
        case 201: "HTTP/1.1 201 Created\r\n"
        case 202: "HTTP/1.1 202 Accepted\r\n"
        case 204: "HTTP/1.1 204 No Content\r\n"
        case 301: "HTTP/1.1 301 Moved Permanently\r\n"
        case 302: "HTTP/1.1 302 Found\r\n"
        case 304: "HTTP/1.1 304 Not Modified\r\n"
        case 307: "HTTP/1.1 307 Temporary Redirect\r\n"
        case 308: "HTTP/1.1 308 Permanent Redirect\r\n"
        case 400: "HTTP/1.1 400 Bad Request\r\n"
        case 401: "HTTP/1.1 401 Unauthorized\r\n"
        case 403: "HTTP/1.1 403 Forbidden\r\n"
        case 404: "HTTP/1.1 404 Not Found\r\n"
        case 405: "HTTP/1.1 405 Method Not Allowed\r\n"
        case 406: "HTTP/1.1 406 Not Acceptable\r\n"
        case 408: "HTTP/1.1 408 Request Timeout\r\n"
        case 409: "HTTP/1.1 409 Conflict\r\n"
        case 410: "HTTP/1.1 410 Gone\r\n"
        case 412: "HTTP/1.1 412 Precondition Failed\r\n"
        case 413: "HTTP/1.1 413 Content Too Large\r\n"
        case 414: "HTTP/1.1 414 URI Too Long\r\n"
        case 415: "HTTP/1.1 415 Unsupported Media Type\r\n"
        case 417: "HTTP/1.1 417 Expectation Failed\r\n"
        case 421: "HTTP/1.1 421 Misdirected Request\r\n"
        case 422: "HTTP/1.1 422 Unprocessable Content\r\n"
        case 429: "HTTP/1.1 429 Too Many Requests\r\n"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case 500: "HTTP/1.1 500 Internal Server Error\r\n"
        case 501: "HTTP/1.1 501 Not Implemented\r\n"
        case 502: "HTTP/1.1 502 Bad Gateway\r\n"
        case 503: "HTTP/1.1 503 Service Unavailable\r\n"
        case 504: "HTTP/1.1 504 Gateway Timeout\r\n"
        case 505: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
        default: ""
        }
    }
}
