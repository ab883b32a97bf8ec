/// The name of a pool: the unit of atomicity. All its keys share one Redis Cluster slot.
package struct PoolID: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// - Throws: `InvalidName` unless `text` is 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package init(_ text: String) throws(InvalidName) {
        self.text = try Name.checked(text, as: "pool", limit: Limits.nameLength)
    }

    private init(known text: String) { self.text = text }

    /// The pool that is meant where none is named.
    package static let standard = PoolID(known: "default")
    package var description: String { text }
}

/// The name of a machine that runs an agent.
package struct HostID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// - Throws: `InvalidName` unless `text` is 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package init(_ text: String) throws(InvalidName) {
        self.text = try Name.checked(text, as: "host", limit: Limits.nameLength)
    }

    /// One that is known to be good.
    fileprivate init(known text: String) { self.text = text }

    package static func < (left: HostID, right: HostID) -> Bool { left.text < right.text }
    package var description: String { text }
}

/// A thing that one lease holds exclusively: `host/0` for a GPU, `host/model-load` for model loading on that host.
package struct UnitID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String
    package let host: HostID

    /// - Throws: `InvalidName` unless `text` is a host name, a slash and a name.
    package init(_ text: String) throws(InvalidName) {
        guard let slash = Self.slash(in: text.utf8.span) else { throw Self.refusal(of: text) }
        self.init(text, slashAt: slash)
    }

    /// A good name, and where its slash is.
    fileprivate init(_ text: String, slashAt slash: Int) {
        self.text = text
        host = HostID(known: String(decoding: text.utf8.prefix(slash), as: UTF8.self))
    }

    /// Where the slash of a good name is; nil in any other.
    fileprivate static func slash(in bytes: Span<UInt8>) -> Int? {
        guard let slash = bytes.indices.first(where: { bytes[$0] == UInt8(ascii: "/") }),
            Name.isName(bytes.extracting(..<slash), limit: Limits.nameLength),
            Name.isName(bytes.extracting((slash + 1)...), limit: Limits.nameLength)
        else { return nil }
        return slash
    }

    /// Why a text is no unit's name.
    fileprivate static func refusal(of text: String) -> InvalidName {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            return InvalidName(
                what: "unit", got: text.shown(100), want: "a host name, a slash and a name, as in node1/0")
        }
        let isHostGood = Name.isName(parts[0].utf8.span, limit: Limits.nameLength)
        return Name.refusal(of: String(isHostGood ? parts[1] : parts[0]), as: isHostGood ? "unit" : "host")
    }

    // The text says all: what was read out of it is not compared and hashed again.
    package static func == (left: UnitID, right: UnitID) -> Bool { left.text == right.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
    package static func < (left: UnitID, right: UnitID) -> Bool { left.text < right.text }
    package var description: String { text }
}

/// The client-chosen name of a holder, such as `Root-Mic`.
package struct HolderID: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// - Throws: `InvalidName` unless `text` is 1 to 200 UTF-8 bytes without control characters.
    package init(_ text: String) throws(InvalidName) {
        guard !text.isEmpty, text.utf8.count <= Limits.holderBytes, !Name.hasControlCharacter(text) else {
            throw InvalidName(
                what: "id", got: text.shown(40),
                want: "1 to \(Limits.holderBytes) bytes of UTF-8 without control characters")
        }
        self.text = text
    }

    package var description: String { text }
}

/// One run of an agent or coordinator process: 16 random bytes in hex.
package struct InstanceID: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    package init(_ text: String) { self.text = text }
    package var description: String { text }
}

/// A queued wish for a unit. Derived from the `request_id` where one is given, else random.
package struct TicketID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String
    package init(_ text: String) { self.text = text }
    package static func < (left: TicketID, right: TicketID) -> Bool { left.text < right.text }
    package var description: String { text }
}

/// The name of a lease: its unit and its fencing token, `node1/0#1764000000000000`.
///
/// Unique because the fencing tokens of one unit strictly increase (design §1), even when Redis has lost everything.
package struct LeaseID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String
    package let unit: UnitID
    package let fencing: FencingToken

    package init(unit: UnitID, fencing: FencingToken) {
        self.text = "\(unit.text)#\(fencing.value)"
        self.unit = unit
        self.fencing = fencing
    }

    /// - Throws: `InvalidName` unless `text` is a unit, `#` and a positive integer.
    package init(_ text: String) throws(InvalidName) {
        let bytes = text.utf8.span
        guard let hash = bytes.indices.first(where: { bytes[$0] == UInt8(ascii: "#") }),
            let value = Self.number(bytes.extracting((hash + 1)...))
        else { throw InvalidName(what: "lease", got: text.shown(100), want: "a unit, # and a number") }
        let unit = String(decoding: text.utf8.prefix(hash), as: UTF8.self)
        guard let slash = UnitID.slash(in: bytes.extracting(..<hash)) else { throw UnitID.refusal(of: unit) }
        self.unit = UnitID(unit, slashAt: slash)
        self.fencing = FencingToken(value)
        self.text = text
    }

    /// A positive number without sign or leading zeros; nil for anything else.
    private static func number(_ digits: Span<UInt8>) -> Int64? {
        guard (1...19).contains(digits.count), digits[0] != UInt8(ascii: "0") else { return nil }
        var value: Int64 = 0
        for index in digits.indices {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digits[index]) else { return nil }
            let (tens, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = tens.addingReportingOverflow(Int64(digits[index] - UInt8(ascii: "0")))
            guard !overflows, !overflowsToo else { return nil }
            value = sum
        }
        return value
    }

    // As with units; and hardly two leases have the same number.
    package static func == (left: LeaseID, right: LeaseID) -> Bool { left.text == right.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(fencing.value) }
    package static func < (left: LeaseID, right: LeaseID) -> Bool { left.text < right.text }
    package var description: String { text }
}

/// An integer that rises with every lease of a unit, so that a resource may refuse an older holder.
package struct FencingToken: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: Int64
    package init(_ value: Int64) { self.value = value }
    package static func < (left: FencingToken, right: FencingToken) -> Bool { left.value < right.value }
    package var description: String { String(value) }
}

/// The SHA-256 of a lease's secret, in hex. Redis and the agent know only this.
package struct TokenHash: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    package init(_ text: String) { self.text = text }
    /// Matches whatever token is present: an admin's word names the lease alone (design §5).
    package static let any = TokenHash("*")
    package var description: String { text }
}

/// A text that is no valid name, and what would be one.
package struct InvalidName: Error, Equatable, Sendable, CustomStringConvertible {
    package var what: String
    package var got: String
    package var want: String
    package var description: String { "\"\(what)\": got \"\(got)\", want \(want)" }
}

/// The characters that names are made of; they need no escaping in keys, selectors, URLs or logs.
enum Name {
    static func checked(_ text: String, as what: String, limit: Int) throws(InvalidName) -> String {
        guard isName(text.utf8.span, limit: limit) else { throw refusal(of: text, as: what, limit: limit) }
        return text
    }

    /// Why a text is no name.
    static func refusal(of text: String, as what: String, limit: Int = Limits.nameLength) -> InvalidName {
        InvalidName(what: what, got: text.shown(40), want: "1 to \(limit) of A-Z a-z 0-9 . _ -")
    }

    static func isName(_ bytes: Span<UInt8>, limit: Int) -> Bool {
        (1...limit).contains(bytes.count) && bytes.indices.allSatisfy { isNameByte(bytes[$0]) }
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    static func hasControlCharacter(_ text: String) -> Bool {
        text.unicodeScalars.contains { scalar in
            switch scalar.value {
            case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029: true
            default: false
            }
        }
    }
}

extension StringProtocol {
    /// As much as a refusal repeats: scalars, since one character may have any number of them.
    package func shown(_ count: Int) -> String { String(String.UnicodeScalarView(unicodeScalars.prefix(count))) }
}
