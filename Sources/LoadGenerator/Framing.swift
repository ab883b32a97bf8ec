/// Where an answer ends in what a server sends.
package enum Framing: Sendable {
    case http, redis, postgres

    /// The length of the first whole answer and where its body begins; nil while more has to come.
    func answer(in bytes: Span<UInt8>) -> (length: Int, body: Int, status: Int)? {
        switch self {
        case .http: Self.http(bytes)
        case .redis: Self.redis(bytes)
        case .postgres: Self.postgres(bytes)
        }
    }

    private static func http(_ bytes: Span<UInt8>) -> (length: Int, body: Int, status: Int)? {
        guard bytes.count >= 16, let end = bytes.first("\r\n\r\n", from: 0) else { return nil }
        let body = end + 4
        let status = bytes.number(at: 9) ?? 0
        let field = bytes.first("ontent-Length: ", from: 0) ?? bytes.first("ontent-length: ", from: 0)
        if let field, field < end {
            guard let length = bytes.number(at: field + 15), bytes.count >= body + length else { return nil }
            return (body + length, body, status)
        }
        // Chunked: the answers looked at here are JSON, which does not contain a chunk's end.
        guard let last = bytes.first("\r\n0\r\n\r\n", from: body) else { return nil }
        return (last + 7, body, status)
    }

    private static func redis(_ bytes: Span<UInt8>) -> (length: Int, body: Int, status: Int)? {
        guard let end = bytes.first("\r\n", from: 0) else { return nil }
        guard bytes[0] == UInt8(ascii: "$"), bytes[1] != UInt8(ascii: "-") else { return (end + 2, 0, Int(bytes[0])) }
        guard let length = bytes.number(at: 1), bytes.count >= end + 4 + length else { return nil }
        return (end + 4 + length, 0, Int(bytes[0]))
    }

    /// Messages up to the one that says that the server is ready for another query.
    private static func postgres(_ bytes: Span<UInt8>) -> (length: Int, body: Int, status: Int)? {
        var at = 0
        var status = 0
        while at + 5 <= bytes.count {
            let kind = bytes[at]
            let length = (1...4).reduce(0) { $0 << 8 | Int(bytes[at + $1]) }
            guard at + 1 + length <= bytes.count else { return nil }
            if kind == UInt8(ascii: "E") { status = Int(kind) }
            at += 1 + length
            if kind == UInt8(ascii: "Z") { return (at, 0, status) }
        }
        return nil
    }
}

extension Span where Element == UInt8 {
    /// Where `text` begins for the first time.
    package func first(_ text: StaticString, from start: Int) -> Int? {
        text.withUTF8Buffer { text in
            guard count >= text.count else { return nil }
            var at = start
            let last = count - text.count
            while at <= last {
                if self[at] == text[0] {
                    var same = 1
                    while same < text.count, self[at + same] == text[same] { same += 1 }
                    if same == text.count { return at }
                }
                at += 1
            }
            return nil
        }
    }

    /// The decimal number that begins there.
    func number(at start: Int) -> Int? {
        var at = start
        var value = 0
        while at < count, self[at] >= 0x30, self[at] <= 0x39 {
            value = value * 10 + Int(self[at] - 0x30)
            at += 1
        }
        return at > start ? value : nil
    }

    /// What stands behind `name` up to the next quotation mark.
    package func text(after name: StaticString) -> [UInt8]? {
        guard let found = first(name, from: 0) else { return nil }
        var text: [UInt8] = []
        var at = found + name.utf8CodeUnitCount
        while at < count, self[at] != UInt8(ascii: "\"") {
            text.append(self[at])
            at += 1
        }
        return at < count ? text : nil
    }
}
