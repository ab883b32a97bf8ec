/// Rows under headings, never wider than they may be: long cells end in an ellipsis.
struct Table {
    struct Column {
        enum Side { case left, right }

        let title: String
        var side = Side.left
        /// What it keeps when the table is too wide.
        var least = 6
    }

    struct Cell: ExpressibleByStringInterpolation {
        let text: String
        var ink: Style.Ink?

        init(_ text: String, _ ink: Style.Ink? = nil) {
            self.text = text
            self.ink = ink
        }

        init(stringLiteral value: String) { self.init(value) }
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []

    init(_ columns: [Column]) { self.columns = columns }

    var isEmpty: Bool { rows.isEmpty }

    /// The texts may come from outside.
    mutating func add(_ cells: [Cell]) {
        precondition(cells.count == columns.count, "a row has as many cells as there are columns")
        rows.append(cells.map { Cell(Words.visible($0.text), $0.ink) })
    }

    /// The lines, the headings first.
    func lines(width: Int, style: Style) -> [String] {
        let widths = fittedWidths(width)
        let head = line(columns.map { Cell($0.title, .faint) }, widths, style)
        return [head] + rows.map { line($0, widths, style) }
    }

    private func fittedWidths(_ width: Int) -> [Int] {
        var widths = columns.indices.map { index in
            rows.reduce(Columns.of(columns[index].title)) { max($0, Columns.of($1[index].text)) }
        }
        let space = 2 * (columns.count - 1)
        while widths.reduce(0, +) + space > width {
            // The widest gives way first; those at their least give nothing any more.
            let givers = columns.indices.filter { widths[$0] > columns[$0].least }
            guard let widest = givers.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
        }
        return widths
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ style: Style) -> String {
        var line = ""
        for index in cells.indices {
            let text = Columns.fitted(cells[index].text, widths[index])
            let space = String(repeating: " ", count: max(0, widths[index] - Columns.of(text)))
            let isLast = index == cells.count - 1
            switch columns[index].side {
            case .left: line += style(cells[index].ink, text) + (isLast ? "" : space)
            case .right: line += space + style(cells[index].ink, text)
            }
            if !isLast { line += "  " }
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
