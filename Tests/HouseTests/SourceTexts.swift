/// The string literals of a source text, as its compiler takes them apart.
struct SourceTexts {
    struct Literal: Equatable {
        /// What stands between the quotes; an interpolation is `…`.
        var text: String
        /// The word in front of the innermost parenthesis that it stands in, such as `precondition`.
        var call: String
        /// The argument's label, such as `help`.
        var label: String
    }

    private let source: [UInt8]
    private let quotes: [UInt8]
    private let opensInterpolation: [UInt8]
    private var at = 0
    /// The words in front of the parentheses that are open here.
    private var calls: [String] = []
    private(set) var literals: [Literal] = []

    static func swift(_ source: String) -> [Literal] {
        var texts = SourceTexts(source, quotes: "\"", opensInterpolation: "\\(")
        texts.read()
        return texts.literals
    }

    static func script(_ source: String) -> [Literal] {
        var texts = SourceTexts(source, quotes: "\"`", opensInterpolation: "${")
        texts.read()
        return texts.literals
    }

    private init(_ source: String, quotes: String, opensInterpolation: String) {
        self.source = Array(source.utf8)
        self.quotes = Array(quotes.utf8)
        self.opensInterpolation = Array(opensInterpolation.utf8)
    }

    private func stands(_ text: some Collection<UInt8>, _ place: Int) -> Bool {
        place + text.count <= source.count && zip(text, source[place...]).allSatisfy { $0 == $1 }
    }

    private mutating func read() {
        // The literal that one which follows belongs to.
        var joined: Int?
        while at < source.count {
            let byte = source[at]
            if stands("//".utf8, at) {
                while at < source.count, source[at] != UInt8(ascii: "\n") { at += 1 }
            } else if stands("/*".utf8, at) {
                while at < source.count, !stands("*/".utf8, at) { at += 1 }
            } else if isOpening(at) {
                let label = label(before: at)
                if joined == nil {
                    literals.append(Literal(text: "", call: calls.last ?? "", label: label))
                    joined = literals.count - 1
                }
                let text = literal()
                if let joined { literals[joined].text += text }
                continue
            } else {
                if byte == UInt8(ascii: "(") { calls.append(word(before: at)) }
                if byte == UInt8(ascii: ")") { _ = calls.popLast() }
                // Two literals with nothing but a plus between them are one.
                if !" \n+".utf8.contains(byte) { joined = nil }
                if byte == UInt8(ascii: "\n"), !continues(after: at) { joined = nil }
                at += 1
            }
        }
    }

    /// Whether a joining plus comes next, or has just been.
    private func continues(after place: Int) -> Bool {
        let next = source[place...].first { !" \n".utf8.contains($0) }
        let before = source[..<place].last { !" \n".utf8.contains($0) }
        return next == UInt8(ascii: "+") || before == UInt8(ascii: "+")
    }

    private func isOpening(_ place: Int) -> Bool {
        let hashes = source[place...].prefix { $0 == UInt8(ascii: "#") }.count
        return place + hashes < source.count && quotes.contains(source[place + hashes])
            && (hashes == 0 || quotes.count == 1)
    }

    private func word(before place: Int) -> String {
        let isPart = { (byte: UInt8) in
            (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte) || byte == 0x5F
        }
        var start = place
        while start > 0, isPart(source[start - 1]) { start -= 1 }
        return String(decoding: source[start..<place], as: UTF8.self)
    }

    private func label(before place: Int) -> String {
        guard let last = source[..<place].lastIndex(where: { !" \n".utf8.contains($0) }),
            source[last] == UInt8(ascii: ":")
        else { return "" }
        return word(before: last)
    }

    /// Reads on behind the literal that begins here.
    private mutating func literal() -> String {
        let hashes = Array(source[at...].prefix { $0 == UInt8(ascii: "#") })
        at += hashes.count
        let one = source[at]
        let isMany = quotes.count == 1 && stands([one, one, one], at)
        let quote = isMany ? [one, one, one] : [one]
        let opening = hashes.isEmpty ? opensInterpolation : [0x5C] + hashes + [UInt8(ascii: "(")]
        at += quote.count
        var text: [UInt8] = []
        while at < source.count {
            if stands(quote + hashes, at) {
                at += quote.count + hashes.count
                break
            }
            if stands(opening, at), quotes.count == 1 || one == UInt8(ascii: "`") {
                at += opening.count
                interpolation()
                text += Array("…".utf8)
            } else if source[at] == 0x5C, hashes.isEmpty, at + 1 < source.count {
                switch source[at + 1] {
                case UInt8(ascii: "n"): text.append(0x0A)
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "`"): text.append(source[at + 1])
                case 0x0A:
                    at += 2
                    while at < source.count, source[at] == 0x20 { at += 1 }
                    continue
                default: text += source[at...(at + 1)]
                }
                at += 2
            } else {
                text.append(source[at])
                at += 1
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func interpolation() {
        var depth = 1
        let (open, close) = quotes.count == 1 ? (UInt8(ascii: "("), UInt8(ascii: ")")) : (0x7B, 0x7D)
        while at < source.count, depth > 0 {
            if isOpening(at) {
                let label = label(before: at)
                let text = literal()
                literals.append(Literal(text: text, call: "interpolation", label: label))
                continue
            }
            if source[at] == open { depth += 1 }
            if source[at] == close { depth -= 1 }
            at += 1
        }
    }
}
