/// A script's text, put together from what it needs and no more.
///
/// Redis runs a script's whole text at each call. A function that is made and not called costs it some 300 instructions
/// each time, so of a shared piece only the functions and constants go in that are named by what else goes in.
struct ScriptText {
    /// A statement at the outermost level, with the name that it makes known; nil where it has to stay for what it does.
    private struct Statement {
        let name: Substring?
        let text: String
    }

    private var statements: [Statement] = []

    /// - Parameter piece: A shared piece. Each of its statements begins at the margin, and nothing else but `end` does.
    mutating func add(_ piece: [UInt8]) {
        var lines: [Substring] = []
        func finish() {
            guard let first = lines.first else { return }
            statements.append(Statement(name: Self.name(in: first), text: lines.map { $0 + "\n" }.joined()))
            lines = []
        }
        for line in String(decoding: piece, as: UTF8.self).split(separator: "\n") where !line.hasPrefix("--") {
            if !line.hasPrefix(" "), !line.hasPrefix("end") { finish() }
            lines.append(line)
        }
        finish()
    }

    /// What was added and is needed, and then `body`.
    func before(_ body: [UInt8]) -> [UInt8] {
        var needed = Self.names(in: String(decoding: body, as: UTF8.self))
        var kept: Set<Int> = []
        // Again and again, since a function may be declared in front of one that calls it and written behind it.
        var before = -1
        while kept.count > before {
            before = kept.count
            for (index, statement) in statements.enumerated().reversed()
            where !kept.contains(index) && statement.name.map({ needed.contains(String($0)) }) ?? true {
                needed.formUnion(Self.names(in: statement.text))
                kept.insert(index)
            }
        }
        return Array(kept.sorted().map { statements[$0].text }.joined().utf8) + body
    }

    /// The one name of `local function name(`, `local name =`, or of one declared first: `local name`, `function name(`.
    private static func name(in line: Substring) -> Substring? {
        let words = line.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" && $0 != "=" && $0 != "," })
        guard words.count > 1 else { return nil }
        if words[0] == "function" { return words[1] }
        guard words[0] == "local", !words[1].hasSuffix(",") else { return nil }
        if words[1] == "function" { return words.count > 2 ? words[2] : nil }
        return words.count == 2 || words[2] == "=" ? words[1] : nil
    }

    /// All words of the code, those in comments and texts left out.
    private static func names(in text: String) -> Set<String> {
        var names: Set<String> = []
        var word: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                word.append(byte)
                continue
            case UInt8(ascii: "'"), UInt8(ascii: "\""): rest = rest.drop { $0 != byte }.dropFirst()
            case UInt8(ascii: "-") where rest.first == byte: rest = rest.drop { $0 != UInt8(ascii: "\n") }
            default: break
            }
            names.insert(String(decoding: word, as: UTF8.self))
            word.removeAll(keepingCapacity: true)
        }
        names.insert(String(decoding: word, as: UTF8.self))
        return names
    }
}
