import Foundation
import Settings
import Testing

@testable import leasehold

/// `docs/cli.md` from its marker on is made from the tables of options.
///
/// `LEASEHOLD_WRITE_DOCS=1 swift test --filter ReferenceTests` writes it anew.
@Suite struct ReferenceTests {
    private static let marker = "<!-- From here on made from the tables of options by ReferenceTests. -->\n"

    private static var path: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/cli.md")
    }

    @Test func `the reference says what the tables say`() throws {
        let text = try String(contentsOf: Self.path, encoding: .utf8)
        let start = try #require(text.range(of: Self.marker)).upperBound
        if ProcessInfo.processInfo.environment["LEASEHOLD_WRITE_DOCS"] == "1" {
            try (text[..<start] + Self.reference).write(to: Self.path, atomically: true, encoding: .utf8)
        } else {
            #expect(text[start...] == Self.reference[...], "write it anew with LEASEHOLD_WRITE_DOCS=1")
        }
    }

    @Test func `what is written by hand names commands that there are`() throws {
        let text = try String(contentsOf: Self.path, encoding: .utf8)
        let names = Set(CommandTable.all.map(\.name))
        for match in text.matches(of: /`leasehold ([a-z][a-z-]*)/) {
            #expect(names.contains(String(match.1)), "\(match.0)")
        }
    }

    private static var reference: String {
        var text = "\n## The service: options of every command that calls it\n\n"
        text += OptionTable(program: "leasehold", summary: "", options: ServiceOptions.all).markdown
        for group in Command.Group.allCases {
            for command in CommandTable.all where command.group == group { text += section(of: command) }
        }
        return text
    }

    private static func section(of command: Command) -> String {
        var text = "\n## leasehold \(command.name)\n\n" + part(command.table, extra: command.actions.isEmpty)
        for action in command.actions { text += "\n### \(action.program)\n\n" + part(action, extra: false) }
        return text
    }

    private static func part(_ table: OptionTable, extra: Bool) -> String {
        var text = table.summary + "\n\n    \(table.program) [OPTION...]\(table.operands.map { " " + $0 } ?? "")\n"
        let common = Set(ServiceOptions.all.map(\.help))
        let own = table.options.filter { !common.contains($0.help) }
        if !own.isEmpty {
            text += "\n" + OptionTable(program: table.program, summary: "", options: own).markdown
        }
        if extra, own.count < table.options.count {
            text += "\nAnd those of [the service](#the-service-options-of-every-command-that-calls-it).\n"
        }
        if !table.examples.isEmpty {
            text += "\n"
            for example in table.examples { text += "- `\(example.line)`: \(example.what)\n" }
        }
        for note in table.notes where note != ExitCode.meaning { text += "\n\(note)\n" }
        return text
    }
}
