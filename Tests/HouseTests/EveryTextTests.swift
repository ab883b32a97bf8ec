import Foundation
import Testing

/// Everything that the programs and the browser module say to people, in one list, `texts.txt`: made from the sources,
/// so that none is missing, and kept, so that each new one and each change is seen and read.
@Suite struct `Every text that people read` {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let kept = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("texts.txt")

    /// Rooms that only who changes the house meets.
    private static let silentRooms = [
        "Simulation/", "Benchmarks/", "LoadGenerator/", "Commands/bench/", "Commands/simulate/",
    ]
    /// Scripts for shells, headers, and the metrics' help, which other tests read.
    private static let otherTexts = [
        "Completions.swift", "Catalogue.swift", "MetricRegistry.swift", "MessageText.swift", "BrowserHeaders.swift",
        "ScriptText.swift",
    ]
    /// What stops a program that has a mistake of its own.
    private static let ownMistakes = [
        "precondition", "preconditionFailure", "assert", "assertionFailure", "fatalError",
    ]
    /// Help texts: docs/cli.md and docs/http.md show them, and tests hold those against the code.
    private static let helpLabels = ["help", "notes", "exits", "about"]
    private static let helpCalls = ["Command", "Metric"]

    private static func isForPeople(_ literal: SourceTexts.Literal) -> Bool {
        !ownMistakes.contains(literal.call) && !helpLabels.contains(literal.label) && !helpCalls.contains(literal.call)
            && literal.text.contains(/[A-Za-z']{2,}[,:;]? [a-z]{2,}/)
    }

    /// File by file, each text once.
    private static let found = Result { try read() }

    private static func read() throws -> [(file: String, texts: [String])] {
        let sources = root.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(atPath: sources.path)
        let names = (files?.compactMap { $0 as? String } ?? []).filter { name in
            (name.hasSuffix(".swift") || name == "CAssets/files/gpu-controller.js")
                && !silentRooms.contains { name.hasPrefix($0) } && !otherTexts.contains { name.hasSuffix("/\($0)") }
        }
        return try names.sorted().compactMap { name in
            let source = try String(contentsOf: sources.appendingPathComponent(name), encoding: .utf8)
            let literals = name.hasSuffix(".swift") ? SourceTexts.swift(source) : SourceTexts.script(source)
            var texts: [String] = []
            for literal in literals where isForPeople(literal) {
                let text = literal.text.replacing("\n", with: "⏎").trimmingCharacters(in: .whitespaces)
                if !texts.contains(text) { texts.append(text) }
            }
            return texts.isEmpty ? nil : (name, texts)
        }
    }

    @Test func `stands in the list`() throws {
        let now = try Self.found.get().map { file, texts in
            "\(file)\n" + texts.map { "  \($0)\n" }.joined()
        }.joined(separator: "\n")
        if ProcessInfo.processInfo.environment["LEASEHOLD_KEEP_TEXTS"] != nil {
            try now.write(to: Self.kept, atomically: true, encoding: .utf8)
        }
        let before = (try? String(contentsOf: Self.kept, encoding: .utf8)) ?? ""
        let difference = now.split(separator: "\n").difference(from: before.split(separator: "\n"))
        let lines = difference.map { change in
            switch change {
            case .insert(_, let line, _): "+\(line)"
            case .remove(_, let line, _): "-\(line)"
            }
        }
        #expect(
            lines.isEmpty,
            "read these, then `LEASEHOLD_KEEP_TEXTS=1 swift test --skip-build --filter HouseTests`: \(lines)")
    }

    @Test func `reads well`() throws {
        for (file, texts) in try Self.found.get() {
            for text in texts {
                let isTable = text.contains("⏎") || text.hasPrefix("leasehold ") || file.hasSuffix("/Banner.swift")
                #expect(!text.contains("  ") || isTable, "two blanks in \(file): \(text)")
                #expect(!text.contains("!"), "shouts in \(file): \(text)")
                for word in ["Error:", "Sorry", "Please", "Oops", "nvalid argument", "rror occurred", "nknown error"] {
                    #expect(!text.contains(word), "says nothing, in \(file): \(text)")
                }
                // Of several sentences the last one has an end too.
                if text.first?.isUppercase == true, text.contains(". ") {
                    #expect(!text.contains(/\ [a-z]+$/), "a sentence without end in \(file): \(text)")
                }
            }
        }
    }

    @Test func `is found wherever it stands`() {
        let source = ##"""
            // "no text at all"
            throw Failure("one text " + "in \(two ? "many parts" : name("b")) pieces"
                + ", all joined")
            precondition(isTrue, "an own mistake")
            let option = Option(help: "what it does")
            let raw = #"a "raw" \#(thing) quite raw"#
            """##
        let found = SourceTexts.swift(source)
        #expect(found.contains { $0.text == "one text in … pieces, all joined" && $0.call == "Failure" })
        #expect(found.contains { $0.text == "many parts" })
        #expect(found.contains { $0.text == #"a "raw" … quite raw"# })
        #expect(!found.contains { $0.text.contains("no text") })
        #expect(found.filter(Self.isForPeople).count == 3)
        let script = SourceTexts.script("throw new Error(`no ${thing} came`); // `not this one`\nsay(\"plain words\");")
        #expect(script.map(\.text) == ["no … came", "plain words"])
    }
}
