import JSON

/// One thing that was looked at, and what came of it.
struct Check: Equatable, Sendable {
    enum Outcome: Equatable, Sendable {
        case passed(String)
        /// Could not be looked at, or is worth knowing; no fault.
        case noted(String)
        /// What is wrong, and what to do.
        case failed(String)
    }

    let name: String
    let outcome: Outcome
    var took: Duration?

    var hasFailed: Bool { if case .failed = outcome { true } else { false } }

    private var parts: (word: String, ink: Style.Ink, text: String) {
        switch outcome {
        case .passed(let text): ("ok", .green, text)
        case .noted(let text): ("note", .yellow, text)
        case .failed(let text): ("wrong", .red, text)
        }
    }

    /// `ok     health         2ms  version 0.1.0`
    func lines(width: Int, style: Style) -> String {
        let time = took.map { Words.span($0) } ?? ""
        let head =
            style(parts.ink, parts.word.padded(7)) + name.padded(16) + style(.faint, time.padded(7, onLeft: true))
        let text = Words.wrapped(Words.visible(parts.text), width: width - 32)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.enumerated().map { index, line in
            guard index == 0 else { return String(repeating: " ", count: 32) + line }
            return line.isEmpty ? head : head + "  " + line
        }.joined(separator: "\n")
    }

    private var document: JSONObject {
        var members: JSONObject = [
            "name": .string(name), "result": .string(parts.word), "text": .string(parts.text),
        ]
        if let took { members["ms"] = .integer(Int64(took / .milliseconds(1))) }
        return members
    }

    static func document(_ checks: [Check]) -> JSONObject {
        [
            "ok": .bool(!checks.contains(where: \.hasFailed)),
            "checks": .array(checks.map { .object($0.document) }),
        ]
    }

    /// Shows all of them; the exit code tells whether one has failed.
    static func report(_ checks: [Check], json: Bool, _ surroundings: Surroundings) -> ExitCode {
        let failed = checks.count(where: \.hasFailed)
        if json {
            surroundings.output.line(String(decoding: Document.pretty(document(checks)), as: UTF8.self))
        } else {
            let style = Style(surroundings.output)
            for check in checks { surroundings.output.line(check.lines(width: surroundings.width, style: style)) }
            surroundings.output.line()
            surroundings.output.line(Texts.checked(checks.count, failed: failed))
        }
        return failed == 0 ? .done : .negative
    }
}

extension String {
    fileprivate func padded(_ width: Int, onLeft: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - Columns.of(self)))
        return onLeft ? space + self : self + space
    }
}
