/// One entry of the pool's event stream: what happened, to what, by whom and why.
package struct PoolEvent: Hashable, Sendable {
    /// The words of the stream. Each says what it does to units, leases and waiters (docs/protocol.md §6).
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case registered, queued, requeued, offered, granted, restored, renewed
        case released, expired, revoked, reset, cancelled, lost, duplicate, withdrawn, rejected, lapsed
        case forceReleased = "force-released"
        case preempting, spared, preempted
        case ending, timeout, refused, dropped, cordoned, uncordoned, draining
        case drainOver = "drain-over"
        case unitState = "unit-state"
        case hostLost = "host-lost"
        case hostBack = "host-back"
        case hostLeft = "host-left"
    }

    /// The stream's own id, `milliseconds-sequence`.
    package var id: String
    package var kind: Kind
    /// Pool clock, in milliseconds.
    package var at: Int64
    /// The other fields by name: unit, lease, holder, ticket, selector, priority, score, state, by, why, …
    package var fields: EventFields

    package init(id: String, kind: Kind, at: Int64, fields: EventFields) {
        self.id = id
        self.kind = kind
        self.at = at
        self.fields = fields
    }

    package init(id: String, kind: Kind, at: Int64, fields: [String: String]) {
        self.init(id: id, kind: kind, at: at, fields: EventFields(fields))
    }
}

/// The fields of an event in the order in which it has them: some dozen, of which a few are looked at. So they stay the
/// bytes that came until then.
package struct EventFields: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Names and values in turn, each behind its length: one byte below 128, else four with the highest bit set, the
    /// highest byte first.
    private let words: [UInt8]
    /// Where the fields begin; what stands before is of the entry and not of these.
    private let start: Int

    /// Fields as an entry of the stream has them: names and values in turn, each behind its length, which is one byte below
    /// 128, else four with the highest bit set, the highest byte first. What is cut off at the end is left out.
    package init(words: [UInt8]) { self.init(words, from: 0) }

    private init(_ words: [UInt8], from start: Int) {
        self.words = words
        self.start = start
    }

    package static func == (left: EventFields, right: EventFields) -> Bool {
        left.words[left.start...] == right.words[right.start...]
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(words[start...]) }

    package init(_ all: [Field]) {
        self.init(Self.words(all.flatMap { [$0.name.utf8, $0.value.utf8] }), from: 0)
    }

    package init(_ fields: [String: String]) {
        self.init(fields.sorted { $0.key < $1.key }.map { Field(name: $0.key, value: $0.value) })
    }

    package var all: [Field] {
        var all: [Field] = []
        var rest = start
        while let (name, value) = Self.field(words.span, at: rest) {
            all.append(Field(name: text(name), value: text(value)))
            rest = value.upperBound
        }
        return all
    }

    /// The text of the first field of this name, with a mark in place of what is no UTF-8; nil where there is none.
    package subscript(name: String) -> String? { value(name).map(text) }

    /// The whole number that the first field of this name holds; nil where there is none.
    package func number(_ name: String) -> Int64? {
        guard let value = value(name) else { return nil }
        var number: Int64 = 0
        guard (1...18).contains(value.count) else { return Int64(text(value)) }
        for byte in words[value] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return Int64(text(value)) }
            number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return number
    }

    /// The type, the moment (ms) and the other fields of an event, as the scripts write it: in one field `event`, all of it
    /// with 0x1F between, or each as a field, of which `type` and `at` are the first. Nil where these are something else.
    package var event: (type: String, at: Int64, fields: EventFields)? {
        guard let (name, first) = Self.field(words.span, at: start) else { return nil }
        switch text(name) {
        case "event":
            let all = Self.words(separated: words[first])
            guard let type = Self.word(all.span, at: 0), let at = Self.word(all.span, at: type.upperBound),
                let number = Int64(String(decoding: all[at], as: UTF8.self))
            else { return nil }
            return (String(decoding: all[type], as: UTF8.self), number, EventFields(all, from: at.upperBound))
        case "type":
            guard let (second, at) = Self.field(words.span, at: first.upperBound), text(second) == "at",
                let number = Int64(text(at))
            else { return nil }
            return (text(first), number, EventFields(words, from: at.upperBound))
        default: return nil
        }
    }

    private static let separator: UInt8 = 0x1F

    /// Words with separators between, each behind its length.
    private static func words(separated text: ArraySlice<UInt8>) -> [UInt8] {
        // A length below 128 takes the place of the separator before its word.
        var words = [0] + text
        var length = 0
        for index in words.indices.reversed() {
            if index > 0, words[index] != separator {
                length += 1
            } else if length < 128 {
                words[index] = UInt8(length)
                length = 0
            } else {
                return Self.words(text.split(separator: separator, omittingEmptySubsequences: false))
            }
        }
        return words
    }

    private static func words(_ all: [some Collection<UInt8>]) -> [UInt8] {
        var words: [UInt8] = []
        for word in all {
            if word.count >= 128 {
                words += [24, 16, 8].map { UInt8(truncatingIfNeeded: (word.count | 1 << 31) >> $0) }
            }
            words.append(UInt8(truncatingIfNeeded: word.count))
            words += word
        }
        return words
    }

    private func value(_ name: String) -> Range<Int>? {
        let (name, words) = (name.utf8.span, words.span)
        var rest = start
        while let (known, value) = Self.field(words, at: rest) {
            if known.count == name.count, name.indices.allSatisfy({ name[$0] == words[known.lowerBound + $0] }) {
                return value
            }
            rest = value.upperBound
        }
        return nil
    }

    private static func field(_ words: Span<UInt8>, at start: Int) -> (name: Range<Int>, value: Range<Int>)? {
        guard let name = word(words, at: start), let value = word(words, at: name.upperBound) else { return nil }
        return (name, value)
    }

    private static func word(_ words: Span<UInt8>, at start: Int) -> Range<Int>? {
        guard start < words.count else { return nil }
        var (begin, length) = (start + 1, Int(words[start]))
        if length >= 128 {
            guard start + 4 <= words.count else { return nil }
            begin = start + 4
            length =
                (length & 127) << 24 | Int(words[start + 1]) << 16 | Int(words[start + 2]) << 8 | Int(words[start + 3])
        }
        return length <= words.count - begin ? begin..<begin + length : nil
    }

    private func text(_ word: Range<Int>) -> String { String(decoding: words[word], as: UTF8.self) }
}
