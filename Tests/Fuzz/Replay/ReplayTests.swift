import Foundation
import Testing

/// The kept bytes, without a fuzzer: each found something new once, or broke something that was mended.
@Suite struct `Kept bytes` {
    @Test(arguments: FuzzTarget.allCases) func `keep every promise`(target: FuzzTarget) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = folder.appendingPathComponent("Corpus/\(target.rawValue).txt")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count > 10)
        for line in lines {
            let bytes = Array(try #require(Data(base64Encoded: String(line)), "\(target): \(line)"))
            #expect(throws: Never.self, "\(target): \(line)") { try target.look(at: bytes) }
        }
    }
}
