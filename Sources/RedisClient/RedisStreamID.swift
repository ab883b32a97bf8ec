/// The id of a stream's entry: two numbers, in their order.
package struct RedisStreamID: Comparable, Hashable, Sendable {
    package let milliseconds: UInt64
    package let sequence: UInt64

    /// Before every entry.
    package static let beginning = RedisStreamID(milliseconds: 0, sequence: 0)

    /// Not before any entry: Redis takes no question for what follows it.
    package static let end = RedisStreamID(milliseconds: .max, sequence: .max)

    private init(milliseconds: UInt64, sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    /// Nil unless `text` is one number, or two with a dash between them.
    package init?(parsing text: String) {
        var rest = text.utf8[...]
        guard let milliseconds = Self.number(from: &rest) else { return nil }
        guard let dash = rest.popFirst() else {
            self.init(milliseconds: milliseconds, sequence: 0)
            return
        }
        guard dash == UInt8(ascii: "-"), let sequence = Self.number(from: &rest), rest.isEmpty else { return nil }
        self.init(milliseconds: milliseconds, sequence: sequence)
    }

    /// Takes the digits at the beginning off; nil where there are none or they are beyond what fits.
    private static func number(from rest: inout Substring.UTF8View) -> UInt64? {
        var number: UInt64?
        while let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (tenfold, isTooLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
            let (next, isBeyond) = tenfold.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            if isTooLarge || isBeyond { return nil }
            number = next
            rest.removeFirst()
        }
        return number
    }

    /// One that Redis has made.
    package init(_ text: String) { self = RedisStreamID(parsing: text) ?? .beginning }

    package var text: String { "\(milliseconds)-\(sequence)" }

    /// The greatest id below this one.
    package var before: RedisStreamID {
        if sequence > 0 { return RedisStreamID(milliseconds: milliseconds, sequence: sequence - 1) }
        return milliseconds > 0 ? RedisStreamID(milliseconds: milliseconds - 1, sequence: .max) : .beginning
    }

    package static func < (a: RedisStreamID, b: RedisStreamID) -> Bool {
        (a.milliseconds, a.sequence) < (b.milliseconds, b.sequence)
    }
}
