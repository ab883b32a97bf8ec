/// The text of a service's file of variables (systemd.exec(5), EnvironmentFile): `NAME=VALUE` lines and comments. Pure.
struct ServiceSettings: Equatable {
    private(set) var lines: [Substring]

    init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
    }

    /// With a line's end behind the last line.
    var text: String { lines.map { $0 + "\n" }.joined() }

    /// What the file sets the variable to, without quotes; the last line counts. Nil where it does not.
    subscript(name: String) -> String? {
        guard let line = lines.last(where: { Self.sets($0, name) }) else { return nil }
        let value = line[line.index(after: line.firstIndex(of: "=") ?? line.startIndex)...].trimmed
        for quote in ["\"", "'"] where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
            return String(value.dropFirst().dropLast())
        }
        return String(value)
    }

    /// The names among these that the file sets to something else.
    func contradicting(_ wanted: [(name: String, value: String)]) -> [String] {
        wanted.filter { self[$0.name].map { [value = $0.value] in $0 != value } ?? false }.map(\.name)
    }

    /// Sets a variable once: in place of its last line, else behind the comment that shows it, else at the end.
    mutating func set(_ name: String, to value: String) {
        let line = Substring("\(name)=\(value)")
        if let last = lines.lastIndex(where: { Self.sets($0, name) }) {
            lines[last] = line
            for index in lines.indices.reversed() where index != last && Self.sets(lines[index], name) {
                lines.remove(at: index)
            }
        } else if let shown = lines.lastIndex(where: { $0.hasPrefix("#\(name)=") }) {
            lines.insert(line, at: shown + 1)
        } else {
            lines.append(line)
        }
    }

    private static func sets(_ line: Substring, _ name: String) -> Bool {
        guard let equals = line.firstIndex(of: "=") else { return false }
        return line[..<equals].trimmed == name
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let isBlank = { (character: Character) in character == " " || character == "\t" || character == "\r" }
        var rest = drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }
}
