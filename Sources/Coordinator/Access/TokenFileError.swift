/// Why a token file, or a change to it, was not taken. No text repeats a name or a hash, in whose place a token may stand.
package struct TokenFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The line, counted from 1; nil where the whole is meant.
    package let line: Int?
    private let text: String

    init(line: Int? = nil, _ text: String) {
        self.line = line
        self.text = text
    }

    /// A whole sentence for people, after the file's path: `line 3: …`.
    package var description: String { line.map { "line \($0): \(text)" } ?? text }
}
