/// A JSON text as values (RFC 8259).
package enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A number with a fraction or exponent, or one beyond `Int64`. Always finite.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [JSONValue]? { if case .array(let items) = self { items } else { nil } }
    package var object: JSONObject? { if case .object(let members) = self { members } else { nil } }

    /// The value where it is a whole number, also one written with a fraction of zero.
    package var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// Whether more than `depth` arrays and objects lie within each other.
    package func isDeeper(than depth: Int) -> Bool {
        switch self {
        case .array(let items): depth == 0 || items.contains { $0.isDeeper(than: depth - 1) }
        case .object(let members): depth == 0 || members.contains { $0.value.isDeeper(than: depth - 1) }
        default: false
        }
    }

    /// The compact text, in the order of the members.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }

    /// The text over several lines, indented by two spaces.
    package func encodedPretty() -> [UInt8] {
        var writer = JSONWriter(indent: 2)
        writer.value(self)
        return writer.bytes
    }
}

/// The members of a JSON object in their order. A name occurs once.
package struct JSONObject: Equatable, Sendable, Sequence, ExpressibleByDictionaryLiteral {
    private struct Member: Equatable {
        var name: String
        var value: JSONValue
    }

    private var list: [Member] = []
    /// Positions by name, once there are so many members that looking through them would be slow.
    private var positions: [String: Int] = [:]
    private static let few = 16

    package init() {}

    /// A later member of the same name takes the earlier one's place.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (name, value) in elements { self[name] = value }
    }

    package var count: Int { list.count }
    package var isEmpty: Bool { list.isEmpty }
    package var members: [(name: String, value: JSONValue)] { list.map { ($0.name, $0.value) } }

    package subscript(name: String) -> JSONValue? {
        get { position(of: name).map { list[$0].value } }
        set {
            if let position = position(of: name) {
                if let newValue {
                    list[position].value = newValue
                } else {
                    list.remove(at: position)
                    rememberPositions()
                }
            } else if let newValue {
                append(name, newValue)
            }
        }
    }

    package func makeIterator() -> AnyIterator<(name: String, value: JSONValue)> {
        var rest = list.makeIterator()
        return AnyIterator { rest.next().map { ($0.name, $0.value) } }
    }

    package static func == (left: JSONObject, right: JSONObject) -> Bool { left.list == right.list }

    func contains(_ name: String) -> Bool { position(of: name) != nil }

    /// Adds a member whose name is not there yet.
    mutating func append(_ name: String, _ value: JSONValue) {
        if list.isEmpty { list.reserveCapacity(8) }
        list.append(Member(name: name, value: value))
        if positions.isEmpty {
            if list.count > Self.few { rememberPositions() }
        } else {
            positions[name] = list.count - 1
        }
    }

    func write(into writer: inout JSONWriter) {
        for member in list {
            writer.key(member.name)
            writer.value(member.value)
        }
    }

    private func position(of name: String) -> Int? {
        positions.isEmpty ? list.firstIndex { $0.name == name } : positions[name]
    }

    private mutating func rememberPositions() {
        positions = [:]
        guard list.count > Self.few else { return }
        for (position, member) in list.enumerated() { positions[member.name] = position }
    }
}
