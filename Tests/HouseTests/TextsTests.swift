import Foundation
import Testing

/// Each text for people stands in a test of its room, where a change of it is seen and read.
@Suite struct TextsTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test(arguments: [
        ("Coordinator/Bridge", "CoordinatorTests/Bridge"), ("GPULease", "GPULeaseTests"),
        ("Commands/leasehold", "CommandTests"),
    ])
    func `every text is listed`(_ room: String, _ tests: String) throws {
        let source = try String(
            contentsOf: Self.root.appendingPathComponent("Sources/\(room)/Texts.swift"), encoding: .utf8)
        let listed = try String(
            contentsOf: Self.root.appendingPathComponent("Tests/\(tests)/TextsTests.swift"), encoding: .utf8)
        let names = source.matches(of: /\n    static (?:let|func) (\w+)/).map { String($0.1) }
        #expect(names.count > 5)
        for name in names where name != "visible" && name != "quoted" {
            #expect(listed.contains(try Regex("\\bTexts\\.\(name)\\b")), "\(room): \(name)")
        }
    }

    @Test func `there is no other file of texts`() throws {
        let files = FileManager.default.enumerator(atPath: Self.root.appendingPathComponent("Sources").path)
        let found = (files?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix("/Texts.swift") }
        #expect(
            found.sorted() == [
                "Commands/leasehold/Texts.swift", "Coordinator/Bridge/Texts.swift", "GPULease/Texts.swift",
                // Cases of one type, of which MessageTests in HTTPTests looks at every one.
                "HTTP/Texts.swift",
            ])
    }
}
