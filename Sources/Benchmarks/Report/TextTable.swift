import JSON

/// Rows of text under heads.
struct TextTable: Sendable {
    var title: String
    var heads: [String]
    var rows: [[String]] = []

    /// For a terminal.
    var aligned: String {
        let widths = heads.indices.map { column in ([heads] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            cells.enumerated().map { (column, cell) in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + space : space + cell
            }.joined(separator: "  ") + "\n"
        }
        return "\(title)\n" + line(heads) + rows.map(line).joined()
    }

    var markdown: String {
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
        return line(heads) + line(heads.indices.map { $0 == 0 ? "---" : "---:" }) + rows.map(line).joined()
    }

    var json: JSONValue {
        .object([
            "title": .string(title), "heads": .array(heads.map { .string($0) }),
            "rows": .array(rows.map { .array($0.map { .string($0) }) }),
        ])
    }
}
