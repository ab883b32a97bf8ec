/// A script's text, put together from what it needs and no more.
///
/// Redis runs a script's whole text at each call. A function that is made and not called costs it some 300 instructions
/// each time, so of a shared piece only the functions and constants go in that are named by what else goes in.
struct ScriptText {
    /// A shared piece as it is read once.
    struct Piece {
        /// A statement at the outermost level, with the name that it makes known; nil where it has to stay for what it
        /// does.
        fileprivate struct Statement {
            let name: [UInt8]?
            let text: [UInt8]
            let names: Set<[UInt8]>
        }

        /// The pieces that it needs.
        let uses: [String]
        fileprivate let statements: [Statement]

        /// - Parameter source: Each statement begins at the margin, and nothing else but `end` does.
        init(_ source: [UInt8]) {
            uses = ScriptText.uses(of: source)
            var texts: [[UInt8]] = []
            for line in source.split(separator: newline) where !line.starts(with: "--".utf8) {
                let goesOn = line.first == space || line.starts(with: "end".utf8)
                if goesOn, !texts.isEmpty { texts[texts.count - 1] += line } else { texts.append(Array(line)) }
                texts[texts.count - 1].append(newline)
            }
            statements = texts.map { text in
                let names = ScriptText.names(in: text)
                return Statement(name: Self.name(in: names), text: text, names: Set(names))
            }
        }

        /// The one name of `local function name(`, `function name(`, `local name =` or `local name`.
        private static func name(in words: [[UInt8]]) -> [UInt8]? {
            guard words.count > 1 else { return nil }
            if words[0].elementsEqual("function".utf8) { return words[1] }
            guard words[0].elementsEqual("local".utf8) else { return nil }
            guard words.count > 2 else { return words[1] }
            if words[1].elementsEqual("function".utf8) { return words[2] }
            return words[2].elementsEqual("=".utf8) ? words[1] : nil
        }
    }

    private var statements: [Piece.Statement] = []

    mutating func add(_ piece: Piece) { statements += piece.statements }

    /// What was added and is needed, and then `body`.
    func before(_ body: [UInt8]) -> [UInt8] {
        var needed = Set(Self.names(in: body))
        var kept: Set<Int> = []
        // Again and again, since a function may be declared in front of one that calls it and written behind it.
        var before = -1
        while kept.count > before {
            before = kept.count
            for (index, statement) in statements.enumerated().reversed()
            where !kept.contains(index) && statement.name.map({ needed.contains($0) }) ?? true {
                needed.formUnion(statement.names)
                kept.insert(index)
            }
        }
        return Array(kept.sorted().map { statements[$0].text }.joined()) + body
    }

    /// What the `uses:` line of a script or piece names.
    static func uses(of source: [UInt8]) -> [String] {
        let mark = Array("-- uses: ".utf8)
        let line = source.split(separator: newline).first { $0.starts(with: mark) } ?? []
        return line.dropFirst(mark.count).split(separator: space).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The words of the code in their order, `=` and `,` among them; what stands in comments and texts is left out.
    private static func names(in text: [UInt8]) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var at = 0
        while at < text.count {
            let start = at
            switch text[at] {
            case let byte where isOfWord(byte):
                while at < text.count, isOfWord(text[at]) { at += 1 }
                names.append(Array(text[start..<at]))
                continue
            case UInt8(ascii: "="), UInt8(ascii: ","): names.append([text[at]])
            case UInt8(ascii: "'"), UInt8(ascii: "\""):
                at = text[(at + 1)...].firstIndex(of: text[at]) ?? text.count
            case UInt8(ascii: "-") where at + 1 < text.count && text[at + 1] == text[at]:
                at = text[at...].firstIndex(of: newline) ?? text.count
            default: break
            }
            at += 1
        }
        return names
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

private let newline = UInt8(ascii: "\n")
private let space = UInt8(ascii: " ")
