import Foundation
import Testing

/// `docs/api.txt` lists what `GPULease` promises to strangers, so that no promise is made or broken unseen.
@Suite struct `The public API` {
    @Test func `is the one that is written down`() throws {
        let sources = `The floor plan`.files(under: "Sources/GPULease", suffix: ".swift")
        try #require(sources.count > 5)
        let found = sources.map { "// \($0.path)\n" + Self.promises(in: $0.text).joined(separator: "\n") + "\n" }
            .filter { $0.contains("public") }.joined(separator: "\n")
        let list = `The floor plan`.root.appendingPathComponent("docs/api.txt")
        if ProcessInfo.processInfo.environment["LEASEHOLD_WRITE_API"] != nil {
            try found.write(to: list, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: list, encoding: .utf8)
        #expect(
            written == found,
            "Was this meant? Then: LEASEHOLD_WRITE_API=1 swift test --skip-build --filter HouseTests, and say so in the changelog."
        )
    }

    @Test func `is all of it there for strangers, and only there`() {
        for (path, text) in `The floor plan`.files(under: "Sources", suffix: ".swift") {
            guard !path.hasPrefix("GPULease/") else { continue }
            let promises = text.split(separator: "\n").filter { $0.drop { $0 == " " }.hasPrefix("public ") }
            #expect(promises.isEmpty, "\(path) makes a promise to strangers")
        }
    }

    /// The public declarations of a file without their bodies, and the cases of its public enums.
    private static func promises(in text: String) -> [String] {
        var found: [String] = []
        var enumIndents: [Int] = []
        var open: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            let word = line.drop { $0 == " " }
            let indent = line.count - word.count
            if let begun = open {
                open = begun + (begun.hasSuffix("(") || word.hasPrefix(")") ? "" : " ") + word
            } else {
                if word == "}" { enumIndents.removeAll { $0 == indent } }
                let isCase = word.hasPrefix("case ") && enumIndents.contains(indent - 4)
                guard word.hasPrefix("public ") || isCase else { continue }
                if word.hasPrefix("public enum") { enumIndents.append(indent) }
                open = line
            }
            guard let whole = open, whole.count(where: { $0 == "(" }) == whole.count(where: { $0 == ")" }),
                !whole.hasSuffix(",")
            else { continue }
            found.append(whole.components(separatedBy: " {")[0])
            open = nil
        }
        return found
    }
}
