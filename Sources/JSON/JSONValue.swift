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
    package private(set) var members: [(name: String, value: JSONValue)] = []
    /// Positions by name, once there are so many members that looking through them would be slow.
    private var positions: [String: Int] = [:]
    private static let few = 16

    package init() {}

    /// A later member of the same name takes the earlier one's place.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (name, value) in elements { self[name] = value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }

    package subscript(name: String) -> JSONValue? {
        get { position(of: name).map { members[$0].value } }
        set {
            if let position = position(of: name) {
                if let newValue {
                    members[position].value = newValue
                } else {
                    members.remove(at: position)
                    rememberPositions()
                }
            } else if let newValue {
                members.append((name, newValue))
                if positions.isEmpty {
                    if members.count > Self.few { rememberPositions() }
                } else {
                    positions[name] = members.count - 1
                }
            }
        }
    }

    package func makeIterator() -> IndexingIterator<[(name: String, value: JSONValue)]> { members.makeIterator() }

    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && zip(left.members, right.members).allSatisfy { $0 == $1 }
    }

    private func position(of name: String) -> Int? {
        positions.isEmpty ? members.firstIndex { $0.name == name } : positions[name]
    }

    private mutating func rememberPositions() {
        positions = [:]
        guard members.count > Self.few else { return }
        for (position, member) in members.enumerated() { positions[member.name] = position }
    }
}
