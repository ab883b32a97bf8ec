import EventLoop
import TestSupport
import Testing

@testable import Coordinator
@testable import leasehold

@Suite struct `leasehold audit` {
    @Test func `prints and verifies, and names the entry that was changed`() async throws {
        try await withScene { scene in
            let path = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6)).jsonl"
            defer { try? Files.remove(path) }
            var chain = AuditChain()
            var bytes = chain.line(Array(#"{"marker":"begun","time":"2026-11-24T00:00:00.000Z"}"#.utf8))
            for (number, at) in [(1, 1_764_000_000_000), (2, 1_764_100_000_000)] {
                bytes += chain.line(
                    Array(#"{"id":"\#(number)-0","type":"released","at":\#(at),"by":"alice","why":"w\#(number)"}"#.utf8)
                )
            }
            try Files.replace(path, with: bytes)
            let all = await scene.run(["audit", path])
            #expect(all.code == 0 && all.output.split(separator: "\n").count == 3, "\(all)")
            #expect(all.output.contains("by=alice") && all.output.contains("The file begins"))
            let late = await scene.run(["audit", "--since", "2025-11-25", path])
            #expect(!late.output.contains("why=w1") && late.output.contains("why=w2"))
            #expect(await scene.run(["audit", "--since", "yesterday", path]).code == 2)
            let whole = await scene.run(["audit", "--verify", path])
            #expect(whole.code == 0 && whole.output.contains("Entries 1 to 3 are as they were written."))
            #expect(whole.output.contains(chain.hash))
            let text = String(decoding: bytes, as: UTF8.self)
            try Files.replace(path, with: Array(text.replacing("w1", with: "w9").utf8))
            let broken = await scene.run(["audit", "--verify", path])
            #expect(broken.code == 1 && broken.error.contains("Entry 2 was changed"), "\(broken)")
            let cut = text.split(separator: "\n").dropFirst().joined(separator: "\n") + "\n"
            try Files.replace(path, with: Array(cut.utf8))
            let kept = await scene.run(["audit", "--verify", path])
            #expect(kept.code == 0 && kept.output.contains("the chain begins with it"), "\(kept)")
            #expect(await scene.run(["audit", "/nowhere.jsonl"]).code == 2)
        }
    }
}
