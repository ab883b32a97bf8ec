import LeaseModel
import TestSupport
import Testing

@testable import Coordinator

@Suite struct AccessFuzzTests {
    static let pieces = [
        "Bearer ", "bearer", " ", "\t", "lh_", "=", ",", "roles=", "roles=admin", "sha256=",
        "sha256=\(TokenFileTests.hash)",
        "prefix=", "pool=", "created=2026-11-24T16:13:29Z", "\n", "\r\n", "#", "client", "é", "\u{2028}", "\u{0}",
        "://",
        "http://", "localhost", ":8080", "[::1]", "null", ".", "@", "*",
    ].map { Array($0.utf8) }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `no Authorization opens a door but the right one`(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let right = Callers.token("admin")
        for _ in 0..<RandomSource.rounds(3000) {
            let bytes = random.mutated(Array("Bearer \(right)".utf8), pieces: Self.pieces)
            let header = String(decoding: bytes, as: UTF8.self)
            let request = AccessRequest(method: .post, permission: .administer, authorization: header)
            let words = header.split(separator: " ", omittingEmptySubsequences: true)
            let isRight =
                words.count == 2 && words[0].lowercased() == "bearer" && words[1] == right && !header.hasPrefix(" ")
                && !header.hasSuffix(" ")
            #expect(
                (Callers.guarded.judge(request).status == 200) == isRight, "seed \(seed): \(header.debugDescription)")
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a token file is read as it was written or refused with its line`(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let line = TokenFile.line(
            of: TokenEntry(
                name: "ci", roles: [.client], digest: TokenDigest(of: "secret"), created: "2026-11-24T16:13:29Z",
                idPrefix: "ci-", pool: try PoolID("lab")))
        let text = "# head\nbob roles=viewer sha256=\(TokenDigest(of: "bob").hex)\n\(line)\n"
        for _ in 0..<RandomSource.rounds(1000) {
            let mutated = String(decoding: random.mutated(Array(text.utf8), pieces: Self.pieces), as: UTF8.self)
            do throws(TokenFileError) {
                let file = try TokenFile(mutated)
                let again = try TokenFile(file.entries.map { TokenFile.line(of: $0) + "\n" }.joined())
                #expect(again.entries == file.entries, "seed \(seed): \(mutated.debugDescription)")
                for entry in file.entries {
                    let removal = try TokenFile.removing(name: entry.name, from: mutated)
                    let rest = try TokenFile(removal.text)
                    #expect(rest.entries == file.entries.filter { $0.name != entry.name })
                }
            } catch {
                #expect((1...(mutated.utf8.filter { $0 == 0x0A }.count + 1)).contains(error.line ?? 0))
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `an origin that is allowed is one that a browser of this machine writes`(seed: UInt64) {
        var random = RandomSource(seed: seed)
        for _ in 0..<RandomSource.rounds(3000) {
            let bytes = random.mutated(Array("http://localhost:8080".utf8), pieces: Self.pieces)
            let text = String(decoding: bytes, as: UTF8.self)
            let request = PageRulesTests.request(.post, .administer, origin: text)
            guard case .allowed = Callers.open.judge(request) else { continue }
            let isLocal =
                text.wholeMatch(
                    of: /(?i)https?:\/\/(([a-z0-9._-]*\.)?localhost\.?|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?/) != nil
            #expect(isLocal, "seed \(seed): \(text.debugDescription)")
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `no Host of another name is taken`(seed: UInt64) {
        var random = RandomSource(seed: seed)
        for _ in 0..<RandomSource.rounds(3000) {
            let bytes = random.mutated(Array("evil.example:8080".utf8), pieces: Self.pieces)
            let text = String(decoding: bytes, as: UTF8.self)
            let isTaken = Callers.open.judge(AccessRequest(method: .get, permission: .view, host: text)).status == 200
            let own = /(?i)(([^:\[\]]*\.)?localhost\.?|\d+(\.\d+){3}|\[[0-9a-f:.]+\]|::1)(:\d*)?/
            #expect(!isTaken || text.wholeMatch(of: own) != nil, "seed \(seed): \(text.debugDescription)")
        }
    }
}
