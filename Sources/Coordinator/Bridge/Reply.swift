import HTTP
import JSON
import LeaseModel

/// What a call is answered with.
struct Reply: Sendable {
    var status: Int
    var headers = HTTPHeaders()
    var body: [UInt8]

    /// An answer in JSON; nothing of it may be kept by a cache.
    init(_ status: Int, retryAfter: Int? = nil, _ members: (inout JSONWriter) -> Void) {
        var writer = JSONWriter()
        writer.object(members)
        self.status = status
        body = writer.bytes
        headers.add("Content-Type", "application/json")
        if let retryAfter { headers.add("Retry-After", String(retryAfter)) }
    }

    init(_ status: Int, type: String, _ body: [UInt8]) {
        self.status = status
        self.body = body
        headers.add("Content-Type", type)
    }

    static func refusal(_ status: Int, _ word: String, _ message: String, retryAfter: Int? = nil) -> Reply {
        Reply(status, retryAfter: retryAfter) { writer in
            writer.member("error", word)
            writer.member("msg", message)
        }
    }

    static func malformed(_ error: Malformed) -> Reply { refusal(400, "bad_request", error.description) }

    var response: HTTPResponse { HTTPResponse(status: status, headers: headers, body: body) }
}

extension JSONWriter {
    /// Seconds, to the millisecond.
    mutating func seconds(_ name: String, _ duration: Duration) { seconds(name, milliseconds: duration.milliseconds) }

    mutating func seconds(_ name: String, milliseconds: Int64) {
        key(name)
        if milliseconds % 1000 == 0 { integer(milliseconds / 1000) } else { number(Double(milliseconds) / 1000) }
    }

    mutating func seconds(_ name: String, milliseconds: Int64?) {
        if let milliseconds {
            seconds(name, milliseconds: milliseconds)
        } else {
            key(name)
            null()
        }
    }

    mutating func number(_ name: String, _ value: Int64?) {
        key(name)
        if let value { integer(value) } else { null() }
    }
}
