/// A script's text, put together from what it needs and no more.
///
/// Redis runs a script's whole text at each call, and a function that is made and not called costs it some 800 to 1,000
/// instructions each time. So of a shared piece only the functions and constants go in that are named by what else goes
/// in; and those that are called rarely stand inside one function, `rare`, which makes them when the first is called.
struct ScriptText {
    /// A shared piece as it is read once.
    struct Piece {
        /// A statement at the outermost level, with the name that it makes known; nil where it has to stay for what it
        /// does.
        fileprivate struct Statement {
            let name: [UInt8]?
            let text: [UInt8]
            let names: Set<[UInt8]>
            let isFunction: Bool
            var isRare = false
        }

        /// The pieces that it needs.
        let uses: [String]
        /// The pieces of which it calls functions, but not on the way that most calls take.
        let rarely: [String]
        fileprivate let statements: [Statement]

        /// - Parameter source: Each statement begins at the margin, and nothing else but `end` does.
        init(_ source: [UInt8]) {
            uses = ScriptText.words(behind: "-- uses: ", in: source)
            rarely = ScriptText.words(behind: "-- rarely: ", in: source)
            var texts: [[UInt8]] = []
            for line in source.split(separator: newline) where !line.starts(with: "--".utf8) {
                let goesOn = line.first == space || line.starts(with: "end".utf8)
                if goesOn, !texts.isEmpty { texts[texts.count - 1] += line } else { texts.append(Array(line)) }
                texts[texts.count - 1].append(newline)
            }
            statements = texts.map { text in
                let names = ScriptText.names(in: text)
                return Statement(
                    name: Self.name(in: names), text: text, names: Set(names),
                    isFunction: names.starts(with: [Array("local".utf8), Array("function".utf8)]))
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

    /// - Parameter isRare: Whether all calls of its functions are rare.
    mutating func add(_ piece: Piece, isRare: Bool = false) {
        statements += piece.statements.map { statement in
            var statement = statement
            statement.isRare = isRare
            return statement
        }
    }

    /// A script that Calls.lua calls, once for each call that it takes.
    static func once(_ body: [UInt8]) -> [UInt8] {
        Array("local function once(ARGV)\n".utf8) + body + Array("end\n".utf8)
    }

    /// What was added and is needed, and then `body`.
    func before(_ body: [UInt8]) -> [UInt8] {
        let all = statements
        let rareNames = Set(all.filter(\.isRare).compactMap(\.name))
        let named = Set(Self.names(in: body))
        let always = Self.needed(by: named, of: all) { _, statement in !statement.isRare }
        let namedAlways = named.union(always.flatMap { all[$0].names })
        // The scripts are part of this binary: what is no function would be missing where it is not made yet.
        precondition(
            namedAlways.isDisjoint(with: all.filter { $0.isRare && !$0.isFunction }.compactMap(\.name)),
            "a script names a constant of a piece that it uses rarely")
        let called = namedAlways.intersection(rareNames)
        guard !called.isEmpty else { return Self.joined(always, of: all) + body }
        // What only rare functions call is made with them.
        let rare = Self.needed(by: called, of: all) { index, statement in
            !always.contains(index) && statement.name != nil
        }
        let made = rare.filter { all[$0].isFunction && all[$0].isRare }.compactMap { all[$0].name }
            .map { String(decoding: $0, as: UTF8.self) }.sorted().map { "\($0) = \($0)" }
        let text = """
            local rare
            \(String(decoding: Self.joined(always, of: all), as: UTF8.self))rare = function()
            \(String(decoding: Self.joined(rare, of: all), as: UTF8.self))local made = { \(made.joined(separator: ", ")) }
            rare = function() return made end
            return made
            end

            """
        return Self.lateCalls(of: rareNames, in: Array(text.utf8) + body)
    }

    private static func joined(_ indices: Set<Int>, of statements: [Piece.Statement]) -> [UInt8] {
        Array(indices.sorted().map { statements[$0].text }.joined())
    }

    /// The statements that may be taken and that `names` lead to; those without a name always.
    private static func needed(
        by names: Set<[UInt8]>, of statements: [Piece.Statement], where mayTake: (Int, Piece.Statement) -> Bool
    ) -> Set<Int> {
        var names = names
        var kept: Set<Int> = []
        // Again and again, since a function may be declared in front of one that calls it and written behind it.
        var before = -1
        while kept.count > before {
            before = kept.count
            for (index, statement) in statements.enumerated().reversed()
            where !kept.contains(index) && mayTake(index, statement)
                && statement.name.map({ names.contains($0) }) ?? true
            {
                names.formUnion(statement.names)
                kept.insert(index)
            }
        }
        return kept
    }

    /// `text` with `rare().name(` for each call of one of these functions.
    private static func lateCalls(of functions: Set<[UInt8]>, in text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var written = 0
        for range in words(in: text)
        where functions.contains(Array(text[range])) && range.upperBound < text.count
            && text[range.upperBound] == UInt8(ascii: "(")
        {
            let front = text[..<range.lowerBound]
            guard front.last != UInt8(ascii: "."), !front.ends(with: "function ".utf8) else { continue }
            result += text[written..<range.lowerBound] + Array("rare().".utf8)
            written = range.lowerBound
        }
        return result + text[written...]
    }

    /// The words behind a mark at the beginning of a line.
    static func words(behind mark: String, in source: [UInt8]) -> [String] {
        let line = source.split(separator: newline).first { $0.starts(with: mark.utf8) } ?? []
        return line.dropFirst(mark.utf8.count).split(separator: space).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The words of the code in their order, `=` and `,` among them; what stands in comments and texts is left out.
    private static func names(in text: [UInt8]) -> [[UInt8]] { words(in: text).map { Array(text[$0]) } }

    private static func words(in text: [UInt8]) -> [Range<Int>] {
        var words: [Range<Int>] = []
        var at = 0
        while at < text.count {
            let start = at
            switch text[at] {
            case let byte where isOfWord(byte):
                while at < text.count, isOfWord(text[at]) { at += 1 }
                words.append(start..<at)
                continue
            case UInt8(ascii: "="), UInt8(ascii: ","): words.append(at..<(at + 1))
            case UInt8(ascii: "'"), UInt8(ascii: "\""):
                at = text[(at + 1)...].firstIndex(of: text[at]) ?? text.count
            case UInt8(ascii: "-") where at + 1 < text.count && text[at + 1] == text[at]:
                at = text[at...].firstIndex(of: newline) ?? text.count
            default: break
            }
            at += 1
        }
        return words
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

extension ArraySlice<UInt8> {
    fileprivate func ends(with bytes: String.UTF8View) -> Bool { suffix(bytes.count).elementsEqual(bytes) }
}

private let newline = UInt8(ascii: "\n")
private let space = UInt8(ascii: " ")
