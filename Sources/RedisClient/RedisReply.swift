/// What the server answered.
package enum RedisReply: Equatable, Sendable {
    case null
    case integer(Int64)
    case bytes([UInt8])
    case status(String)
    case array([RedisReply])
    /// An error inside an array; as a whole answer it is thrown as a `RedisError` of kind `server`.
    case error(String)

    /// The text of bytes or of a status; nil for all else and for bytes that are no UTF-8.
    package var text: String? {
        switch self {
        case .bytes(let bytes): String(validating: bytes, as: UTF8.self)
        case .status(let text): text
        case .null, .integer, .array, .error: nil
        }
    }

    /// The number of an integer, or of bytes that spell one in decimal.
    package var integer: Int64? {
        switch self {
        case .integer(let number): number
        case .bytes, .status: text.flatMap { Int64($0) }
        case .null, .array, .error: nil
        }
    }

    /// The elements of an array.
    package var array: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// Whether there is no value.
    package var isNull: Bool { self == .null }
}

/// One word of a command.
package enum RedisArgument: Equatable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case text(String)
    case bytes([UInt8])
    case integer(Int64)

    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
}

extension [RedisArgument] {
    /// The command as it goes over the wire.
    func encoded(into buffer: inout [UInt8]) {
        buffer.removeAll(keepingCapacity: true)
        buffer.append(UInt8(ascii: "*"))
        buffer.append(decimal: count)
        buffer.endLine()
        for argument in self {
            switch argument {
            case .text(var text): text.withUTF8 { buffer.append(word: $0) }
            case .bytes(let bytes): bytes.withUnsafeBufferPointer { buffer.append(word: $0) }
            case .integer(let number):
                var text = String(number)
                text.withUTF8 { buffer.append(word: $0) }
            }
        }
    }
}

extension [UInt8] {
    /// A count's digits.
    fileprivate mutating func append(decimal count: Int) {
        if count >= 10 { append(decimal: count / 10) }
        append(UInt8(ascii: "0") + UInt8(count % 10))
    }

    fileprivate mutating func endLine() {
        append(13)
        append(10)
    }

    fileprivate mutating func append(word: UnsafeBufferPointer<UInt8>) {
        append(UInt8(ascii: "$"))
        append(decimal: word.count)
        endLine()
        append(contentsOf: word)
        endLine()
    }
}
