/// Header fields in their order; names are compared without case.
///
/// All text lies in one array, so that a request's headers cost two allocations however many they are.
package struct HTTPHeaders: Sendable, Sequence, ExpressibleByDictionaryLiteral, CustomStringConvertible {
    /// Where a name and its value lie in `bytes`.
    struct Slot {
        var name: Range<Int>
        var value: Range<Int>
    }

    private(set) var bytes: [UInt8] = []
    private(set) var slots: [Slot] = []

    package init() {}

    package init(_ fields: [(String, String)]) {
        for (name, value) in fields { add(name, value) }
    }

    package init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }

    package var count: Int { slots.count }
    package var isEmpty: Bool { slots.isEmpty }

    /// The first value of that name; setting replaces all of them, nil removes them.
    package subscript(name: String) -> String? {
        get { slots.first { isNamed($0, name) }.map { text($0.value) } }
        set {
            slots = slots.filter { !isNamed($0, name) }
            if let newValue { add(name, newValue) }
        }
    }

    /// All values of that name.
    package func values(of name: String) -> [String] {
        slots.filter { isNamed($0, name) }.map { text($0.value) }
    }

    /// Adds one more field, also where the name is there already.
    ///
    /// A value may come from outside: bytes that would end its line become spaces. The name is a word of our own.
    package mutating func add(_ name: String, _ value: String) {
        precondition(!name.isEmpty && name.utf8.allSatisfy(Self.isToken), "a header's name is a token")
        let nameStart = bytes.count
        bytes.append(contentsOf: name.utf8)
        let valueStart = bytes.count
        for byte in value.utf8 { bytes.append((byte < 0x20 && byte != 0x09) || byte == 0x7F ? 0x20 : byte) }
        slots.append(Slot(name: nameStart..<valueStart, value: valueStart..<bytes.count))
    }

    /// Adds all fields of `others` behind these.
    package mutating func add(_ others: HTTPHeaders) {
        let start = bytes.count
        bytes.append(contentsOf: others.bytes)
        slots.reserveCapacity(slots.count + others.slots.count)
        for slot in others.slots {
            slots.append(
                Slot(
                    name: slot.name.lowerBound + start..<slot.name.upperBound + start,
                    value: slot.value.lowerBound + start..<slot.value.upperBound + start))
        }
    }

    package func makeIterator() -> AnyIterator<(name: String, value: String)> {
        var rest = slots.makeIterator()
        return AnyIterator { rest.next().map { (text($0.name), text($0.value)) } }
    }

    package var description: String { map { "\($0.name): \($0.value)" }.joined(separator: "\n") }

    // MARK: As bytes

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    func isNamed(_ slot: Slot, _ name: String) -> Bool { matches(slot.name, name) }

    /// Whether the bytes of `range` are `word`, without case.
    func matches(_ range: Range<Int>, _ word: String) -> Bool {
        guard range.count == word.utf8.count else { return false }
        var at = range.lowerBound
        for byte in word.utf8 {
            guard Self.lower(bytes[at]) == Self.lower(byte) else { return false }
            at += 1
        }
        return true
    }

    private static func lower(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// A character that names of methods and headers are made of (RFC 9110 §5.6.2).
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }

    // MARK: Piece by piece, from the parser

    mutating func begin() {
        if bytes.isEmpty {
            bytes.reserveCapacity(512)
            slots.reserveCapacity(12)
        }
        slots.append(Slot(name: bytes.count..<bytes.count, value: bytes.count..<bytes.count))
    }

    mutating func extendName(_ piece: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: piece)
        let start = slots[slots.count - 1].name.lowerBound
        slots[slots.count - 1] = Slot(name: start..<bytes.count, value: bytes.count..<bytes.count)
    }

    mutating func extendValue(_ piece: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: piece)
        slots[slots.count - 1].value = slots[slots.count - 1].value.lowerBound..<bytes.count
    }

    /// Takes the spaces off the end of the last value.
    mutating func endValue() {
        guard let last = slots.last else { return }
        var end = last.value.upperBound
        while end > last.value.lowerBound, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        slots[slots.count - 1].value = last.value.lowerBound..<end
    }
}

extension HTTPHeaders: Equatable {
    /// The same fields in the same order; names without case.
    package static func == (left: HTTPHeaders, right: HTTPHeaders) -> Bool {
        left.count == right.count
            && zip(left, right).allSatisfy { $0.name.lowercased() == $1.name.lowercased() && $0.value == $1.value }
    }
}
