/// Leasehold's HTTP interface, which the single-process bridge speaks too.
package struct BridgeDialogue: Dialogue {
    package static let framing = Framing.http
    private let lockRequest: [UInt8]
    private var token: [UInt8] = []

    /// - Parameter members: what the lock call says beside its `id`, as JSON members.
    package init(holder: String, members: String = "") {
        let more = members.isEmpty ? "" : ", \(members)"
        lockRequest = HTTPText.post("/v1/gpu/lock", Array(#"{"id": "\#(holder)", "timeout": 3600\#(more)}"#.utf8))
    }

    package mutating func lock() -> [UInt8] { lockRequest }

    package mutating func locked(_ status: Int, _ body: Span<UInt8>) -> Bool {
        guard status == 200, let found = body.text(after: #""token":""#) ?? body.text(after: #""token": ""#) else {
            return false
        }
        token = found
        return true
    }

    package mutating func unlock() -> [UInt8] {
        HTTPText.post("/v1/gpu/unlock", Array(#"{"token": ""#.utf8) + token + Array(#""}"#.utf8))
    }

    package mutating func unlocked(_ status: Int, _ body: Span<UInt8>) -> Bool {
        status == 200 && body.first("\"released\"", from: 0) != nil
    }
}

/// Requests as bytes.
package enum HTTPText {
    package static func post(_ path: String, _ body: [UInt8]) -> [UInt8] {
        var text = Array("POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
        text += body
        return text
    }

    package static func get(_ path: String) -> [UInt8] {
        Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
    }
}
