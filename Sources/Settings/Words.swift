/// Lists, resemblance and lines of text.
enum Words {
    /// `a`, `a or b`, `a, b or c`.
    static func either(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }

    /// The known word that `word` was most likely meant to be; nil when none is near.
    static func nearest(to word: String, among known: [String]) -> String? {
        guard !word.isEmpty else { return nil }
        if let longer = known.filter({ $0.hasPrefix(word) }).min(by: { $0.count < $1.count }), word.count >= 3 {
            return longer
        }
        let reach = max(1, min(word.count, 12) / 3)
        let scored = known.map { (word: $0, distance: distance(word, $0)) }.filter { $0.distance <= reach }
        return scored.min { ($0.distance, $0.word) < ($1.distance, $1.word) }?.word
    }

    /// How many letters must be put in, taken out, changed or swapped with their neighbour.
    private static func distance(_ first: String, _ second: String) -> Int {
        let a = Array(first.utf8.prefix(64))
        let b = Array(second.utf8.prefix(64))
        var before: [Int] = []
        var above = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(above[j] + (a[i] == b[j] ? 0 : 1), above[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
                row.append(best)
            }
            before = above
            above = row
        }
        return above[b.count]
    }

    /// `text` in lines of at most `width` characters where its words allow it, each after `indent` spaces.
    static func wrapped(_ text: String, indent: Int, width: Int = 80) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = ""
            for word in paragraph.split(separator: " ") {
                if !line.isEmpty, indent + line.count + 1 + word.count > width {
                    lines.append(margin + line)
                    line = ""
                }
                line += line.isEmpty ? String(word) : " " + word
            }
            lines.append(line.isEmpty ? "" : margin + line)
        }
        return lines
    }
}
