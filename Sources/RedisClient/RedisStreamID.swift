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
        let bytes = text.utf8.span
        let dash = bytes.indices.first { bytes[$0] == UInt8(ascii: "-") }
        guard let milliseconds = Self.number(bytes.extracting(..<(dash ?? bytes.count))) else { return nil }
        guard let dash else {
            self.init(milliseconds: milliseconds, sequence: 0)
            return
        }
        guard let sequence = Self.number(bytes.extracting((dash + 1)...)) else { return nil }
        self.init(milliseconds: milliseconds, sequence: sequence)
    }

    /// Nil where there are no digits, something else, or more than fits.
    private static func number(_ digits: Span<UInt8>) -> UInt64? {
        guard !digits.isEmpty else { return nil }
        var number: UInt64 = 0
        for index in digits.indices {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digits[index]) else { return nil }
            let (tenfold, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (next, isBeyond) = tenfold.addingReportingOverflow(UInt64(digits[index] - UInt8(ascii: "0")))
            if isTooLarge || isBeyond { return nil }
            number = next
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
