/// The id of a stream's entry: two numbers, in their order.
package struct RedisStreamID: Comparable, Sendable {
    package let milliseconds: UInt64
    package let sequence: UInt64

    /// Before every entry.
    package static let beginning = RedisStreamID(milliseconds: 0, sequence: 0)

    private init(milliseconds: UInt64, sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    /// Nil unless `text` is one number, or two with a dash between them.
    package init?(parsing text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.hasPrefix("+") }), let milliseconds = UInt64(parts[0]),
            let sequence = parts.count == 2 ? UInt64(parts[1]) : 0
        else { return nil }
        self.init(milliseconds: milliseconds, sequence: sequence)
    }

    /// One that Redis has made.
    package init(_ text: String) { self = RedisStreamID(parsing: text) ?? .beginning }

    package var text: String { "\(milliseconds)-\(sequence)" }

    package static func < (a: RedisStreamID, b: RedisStreamID) -> Bool {
        (a.milliseconds, a.sequence) < (b.milliseconds, b.sequence)
    }
}
