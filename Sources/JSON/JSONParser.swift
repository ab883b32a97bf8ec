/// What is wrong with a text that is no JSON, and at which byte.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    package var message: String
    /// Bytes from the beginning.
    package var offset: Int

    package init(message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    package var description: String { "\(message), at byte \(offset)" }
}

/// Reads JSON strictly by RFC 8259: valid UTF-8, no lone surrogates, no member name twice, bounded depth.
package enum JSONParser {
    /// - Parameter maxDepth: Arrays and objects within each other, at most.
    package static func parse(_ bytes: [UInt8], maxDepth: Int = 32) throws(JSONError) -> JSONValue {
        var cursor = Cursor(bytes: bytes, maxDepth: maxDepth)
        cursor.skipSpace()
        let value = try cursor.value(depth: 0)
        cursor.skipSpace()
        guard cursor.at == bytes.count else { throw cursor.error("something follows the value") }
        return value
    }
}

private struct Cursor {
    let bytes: [UInt8]
    let maxDepth: Int
    var at = 0

    init(bytes: [UInt8], maxDepth: Int) {
        self.bytes = bytes
        self.maxDepth = maxDepth
    }

    func error(_ message: String) -> JSONError { JSONError(message: message, offset: at) }

    var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard let byte = peek else { throw error("the text ends where a value should begin") }
        switch byte {
        case UInt8(ascii: "{"): return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try array(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error("no JSON value begins like this")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let start = at
        for scalar in "\(word)".utf8 {
            guard peek == scalar else {
                at = start
                throw error("no JSON value begins like this")
            }
            at += 1
        }
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        guard depth <= maxDepth else { throw error("more than \(maxDepth) levels deep") }
        at += 1
        var object = JSONObject()
        skipSpace()
        if peek == UInt8(ascii: "}") {
            at += 1
            return object
        }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw error("a member's name in quotes should stand here") }
            let nameAt = at
            let name = try string()
            guard !object.contains(name) else {
                // Scalars, since one character may have any number of them.
                let shown = String(String.UnicodeScalarView(name.unicodeScalars.prefix(40)))
                throw JSONError(message: "the name \"\(shown)\" stands twice in one object", offset: nameAt)
            }
            skipSpace()
            guard peek == UInt8(ascii: ":") else { throw error("a colon should stand here") }
            at += 1
            skipSpace()
            object.append(name, try value(depth: depth))
            skipSpace()
            switch peek {
            case UInt8(ascii: ","): at += 1
            case UInt8(ascii: "}"):
                at += 1
                return object
            default: throw error("a comma or the end of the object should stand here")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        guard depth <= maxDepth else { throw error("more than \(maxDepth) levels deep") }
        at += 1
        var items: [JSONValue] = []
        skipSpace()
        if peek == UInt8(ascii: "]") {
            at += 1
            return items
        }
        while true {
            skipSpace()
            items.append(try value(depth: depth))
            skipSpace()
            switch peek {
            case UInt8(ascii: ","): at += 1
            case UInt8(ascii: "]"):
                at += 1
                return items
            default: throw error("a comma or the end of the array should stand here")
            }
        }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = at
        var isWhole = true
        if peek == UInt8(ascii: "-") { at += 1 }
        if peek == UInt8(ascii: "0") { at += 1 } else { try digits() }
        let whole = at
        if peek == UInt8(ascii: ".") {
            isWhole = false
            at += 1
            try digits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            isWhole = false
            at += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        if isWhole, let value = integer(start..<whole) { return .integer(value) }
        guard let value = Double(String(decoding: bytes[start..<at], as: UTF8.self)), value.isFinite else {
            throw JSONError(message: "the number is too large", offset: start)
        }
        return .number(value)
    }

    /// The value of digits with an optional minus; nil beyond `Int64`.
    private func integer(_ range: Range<Int>) -> Int64? {
        let isNegative = bytes[range.lowerBound] == UInt8(ascii: "-")
        var value: Int64 = 0  // counted downwards, as there is one more negative number
        for index in (isNegative ? range.dropFirst() : range) {
            let (tenfold, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (next, isBeyond) = tenfold.subtractingReportingOverflow(Int64(bytes[index] - UInt8(ascii: "0")))
            if isTooLarge || isBeyond { return nil }
            value = next
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    private mutating func digits() throws(JSONError) {
        let start = at
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
        guard at > start else { throw error("a digit should stand here") }
    }

    private mutating func string() throws(JSONError) -> String {
        at += 1
        let start = at
        var all: UInt8 = 0
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
            all |= byte
            at += 1
        }
        if peek == UInt8(ascii: "\"") {
            let range = start..<at
            at += 1
            if all < 0x80 { return String(decoding: bytes[range], as: UTF8.self) }
            guard let text = String(validating: bytes[range], as: UTF8.self) else {
                throw JSONError(message: "the text is not valid UTF-8", offset: start)
            }
            return text
        }
        var unescaped = Array(bytes[start..<at])
        while true {
            guard let byte = peek else { throw error("the text ends within a string") }
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                guard let text = String(validating: unescaped, as: UTF8.self) else {
                    throw JSONError(message: "the text is not valid UTF-8", offset: start)
                }
                return text
            case UInt8(ascii: "\\"): try escape(into: &unescaped)
            case 0..<0x20: throw error("a control character must be escaped")
            default:
                unescaped.append(byte)
                at += 1
            }
        }
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        at += 1
        guard let byte = peek else { throw error("the text ends within a string") }
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hex()
            if (0xD800..<0xDC00).contains(code) {
                guard peek == UInt8(ascii: "\\"), at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: "u") else {
                    throw error("half of a surrogate pair")
                }
                at += 2
                let low = try hex()
                guard (0xDC00..<0xE000).contains(low) else { throw error("half of a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair") }
            text.append(contentsOf: Array(String(Character(scalar)).utf8))
        default:
            at -= 1
            throw error("no such escape")
        }
    }

    private mutating func hex() throws(JSONError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Self.hexDigit(byte) else {
                throw error("four hex digits should stand here")
            }
            code = code << 4 | digit
            at += 1
        }
        return code
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
