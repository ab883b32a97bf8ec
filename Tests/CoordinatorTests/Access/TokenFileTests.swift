import EventLoop
import LeaseModel
import Testing

@testable import Coordinator

@Suite struct TokenFileTests {
    static let hash = TokenDigest(of: "secret").hex

    @Test func `a line says whose token it is and what it allows`() throws {
        let text = """
            # people
            alice roles=viewer sha256=\(Self.hash)\r
            \t
              ci.run-7_X   sha256=\(TokenDigest(of: "two").hex)\tpool=lab prefix=ci-é roles=client,operator created=2026-11-24T16:13:29.123Z
            """
        let file = try TokenFile(text)
        #expect(
            file.entries == [
                TokenEntry(name: "alice", roles: [.viewer], digest: TokenDigest(of: "secret")),
                TokenEntry(
                    name: "ci.run-7_X", roles: [.client, .operator], digest: TokenDigest(of: "two"),
                    created: "2026-11-24T16:13:29.123Z", idPrefix: "ci-é", pool: try PoolID("lab")),
            ])
        #expect(try TokenFile("").entries.isEmpty)
        #expect(try TokenFile(TokenFile.heading).entries.isEmpty)
    }

    @Test(arguments: [
        ("alice", "sha256="), ("alice roles=viewer", "sha256="), ("alice sha256=HASH", "\"roles\" is missing"),
        ("alice roles= sha256=HASH", "\"roles\""),
        ("alice roles=boss sha256=HASH", "viewer, client, operator, admin or agent"),
        ("alice roles=viewer, sha256=HASH", "\"roles\""), ("alice roles=Viewer sha256=HASH", "\"roles\""),
        ("alice roles=viewer roles=admin sha256=HASH", "\"roles\" comes twice"),
        ("alice roles=viewer sha256=HASHa", "64 lower-case"), ("alice roles=viewer sha256=", "64 lower-case"),
        ("alice roles=viewer SHA256=HASH", "unknown key"), ("alice roles=viewer sha256=HASH color=red", "unknown key"),
        ("alice roles=viewer sha256=HASH admin", "word 4 has no \"=\""),
        ("al/ice roles=viewer sha256=HASH", "the name"),
        ("älice roles=viewer sha256=HASH", "the name"), ("local roles=viewer sha256=HASH", "the name"),
        ("anonymous roles=viewer sha256=HASH", "the name"), ("roles=viewer sha256=HASH", "the name"),
        ("lh_abc roles=viewer sha256=HASH", "the name"), ("alice roles=viewer sha256=HASH pool=a/b", "\"pool\""),
        ("alice roles=viewer sha256=HASH prefix=", "\"prefix\""),
        ("alice roles=viewer sha256=HASH prefix=a\u{202E}b", "\"prefix\""),
        ("alice roles=viewer sha256=HASH created=yesterday", "\"created\""),
        ("alice roles=viewer sha256=HASH created=2026-11-24T16:13:29", "\"created\""),
        ("alice roles=viewer sha256=HASH created=2026-11-24T16:13:29.Z", "\"created\""),
        ("\u{FEFF}alice roles=viewer sha256=HASH", "the name"),
    ])
    func `a line that is wrong is named by its number`(line: String, complaint: String) throws {
        let filled = line.split(separator: "HASH", omittingEmptySubsequences: false).joined(separator: Self.hash)
        let error = #expect(throws: TokenFileError.self) { try TokenFile("# one\n\n\(filled)\n") }
        let text = try #require(error?.description)
        #expect(text.hasPrefix("line 3: ") && text.contains(complaint))
    }

    @Test func `a line may name the subject of a certificate in place of a hash`() throws {
        let subject = "CN=alice %,OU=R\\C3\\A4ume,O=Acme\\, Inc"
        let entry = TokenEntry(name: "alice", roles: [.admin], proof: .certificate(subject: subject))
        let text = try TokenFile.adding(entry, to: "")
        #expect(text.contains("subject=CN=alice%20%25,OU=R\\C3\\A4ume,O=Acme\\,%20Inc"))
        #expect(try TokenFile(text).entries == [entry])
        for (line, complaint) in [
            ("a roles=viewer subject=alice", "RFC2253"), ("a roles=viewer subject=CN=a%2", "RFC2253"),
            ("a roles=viewer subject=CN=ä", "RFC2253"), ("a roles=viewer subject=", "RFC2253"),
            ("a roles=viewer subject=CN=a sha256=\(Self.hash)", "exclude each other"),
            ("b roles=viewer subject=CN=alice%20%25,OU=R\\C3\\A4ume,O=Acme\\,%20Inc", "the same token or subject"),
        ] {
            let error = #expect(throws: TokenFileError.self) { try TokenFile(text + line) }
            #expect(error?.description.contains(complaint) == true, "\(line)")
        }
    }

    @Test func `an error does not repeat what may be a token`() throws {
        for line in [
            "lh_secretsecret", "alice lh_secretsecret", "alice roles=viewer sha256=lh_secretsecret",
            "alice roles=viewer token=lh_secretsecret", "lh_secretsecret roles=viewer", "secretsecret! roles=viewer",
            "alice roles=viewer lh_secretsecret=x",
        ] {
            let error = #expect(throws: TokenFileError.self) { try TokenFile(line) }
            #expect(error?.description.contains("secretsecret") == false)
        }
    }

    @Test func `the same token twice is refused, the same name is not`() throws {
        let line = "a roles=viewer sha256=\(Self.hash)\n"
        let error = #expect(throws: TokenFileError.self) { try TokenFile(line + "\n" + line) }
        #expect(error?.line == 3 && error?.description.contains("line 1") == true)
        #expect(try TokenFile(line + "a roles=viewer sha256=\(TokenDigest(of: "x").hex)").entries.count == 2)
    }

    @Test func `more tokens than a request can look at are refused`() {
        let lines = (0...AccessLimits.tokens).map { "a roles=viewer sha256=\(TokenDigest(of: "\($0)").hex)\n" }
        #expect(throws: Never.self) { try TokenFile(lines.dropLast().joined()) }
        let error = #expect(throws: TokenFileError.self) { try TokenFile(lines.joined()) }
        #expect(error?.line == AccessLimits.tokens + 1)
    }

    @Test func `bytes that are no text are refused`() {
        #expect(throws: TokenFileError.self) { try TokenFile(bytes: [0x61, 0xFF]) }
        #expect(throws: Never.self) { try TokenFile(bytes: Array(TokenFile.heading.utf8)) }
    }

    @Test func `what was created is there until it is revoked, and comments stay`() throws {
        let old = "# mine\nbob roles=admin sha256=\(TokenDigest(of: "bob").hex)  \n# end"
        let entry = TokenEntry(
            name: "ci", roles: [.client], digest: TokenDigest(of: "ci"), created: "2026-11-24T16:13:29Z",
            idPrefix: "ci-",
            pool: try PoolID("lab"))
        let more = try TokenFile.adding(entry, to: old)
        #expect(more.hasPrefix(old + "\n") && more.hasSuffix("\n"))
        #expect(try TokenFile(more).entries.last == entry)
        let (less, removed) = try TokenFile.removing(name: "ci", from: more)
        #expect(less == old + "\n" && removed == [entry])
        let fresh = try TokenFile.adding(entry, to: "")
        #expect(fresh.hasPrefix("# Tokens"))
        #expect(try TokenFile(fresh).entries == [entry])
    }

    @Test func `a name gets a second token only on purpose, and each can go alone`() throws {
        let first = TokenEntry(name: "ci", roles: [.client], digest: TokenDigest(of: "1"))
        let second = TokenEntry(name: "ci", roles: [.client], digest: TokenDigest(of: "2"))
        let one = try TokenFile.adding(first, to: "")
        let error = #expect(throws: TokenFileError.self) { try TokenFile.adding(second, to: one) }
        #expect(error?.description.contains("--another") == true)
        let two = try TokenFile.adding(second, to: one, twin: .allowed)
        #expect(try TokenFile.removing(name: "ci", id: first.id, from: two).removed == [first])
        #expect(try TokenFile.removing(name: "ci", from: two).removed == [first, second])
        for (name, id) in [("x", nil), ("ci", "00000000"), ("CI", nil)] as [(String, String?)] {
            #expect(throws: TokenFileError.self) { try TokenFile.removing(name: name, id: id, from: two) }
        }
    }

    @Test func `a file with a mistake is not changed`() {
        let entry = TokenEntry(name: "ci", roles: [.client], digest: TokenDigest(of: "1"))
        #expect(throws: TokenFileError.self) { try TokenFile.adding(entry, to: "nonsense\n") }
        #expect(throws: TokenFileError.self) { try TokenFile.removing(name: "ci", from: "nonsense\n") }
        let twin = TokenEntry(name: "other", roles: [.client], digest: TokenDigest(of: "1"))
        #expect(throws: TokenFileError.self) {
            try TokenFile.adding(twin, to: try TokenFile.adding(entry, to: ""))
        }
    }

    @Test func `the listing shows everything but tokens and whole hashes`() throws {
        let entry = TokenEntry(
            name: "ci", roles: [.client, .operator], digest: TokenDigest(of: "1"), created: "2026-11-24T16:13:29Z",
            idPrefix: "ci-")
        let text = try TokenFile(try TokenFile.adding(entry, to: "")).listing
        #expect(
            text == """
                NAME  ID        ROLES            PREFIX  POOL  CREATED
                ci    6b86b273  client,operator  ci-     -     2026-11-24T16:13:29Z

                """)
    }

    @Test func `a drawn token has 256 bits, a prefix, and shows in no text`() {
        let tokens = (0..<100).map { _ in TokenText.draw() }
        #expect(Set(tokens.map(\.revealed)).count == 100)
        for token in tokens {
            #expect(token.revealed.hasPrefix("lh_") && token.revealed.utf8.count == 46)
            #expect(Authorization("Bearer \(token.revealed)") == .bearer(token.revealed[...]))
            #expect("\(token)" == "(secret)")
        }
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"), ("\u{3FF}\u{3BF}~~?", "z7_Ov35-Pw"),
    ])
    func `tokens are written in base64url`(text: String, coded: String) {
        #expect(TokenText.base64URL(Array(text.utf8)) == coded)
    }

    @Test func `a digest is the SHA-256 of the whole token`() {
        #expect(TokenDigest(of: "lh_x").hex == Digest.sha256Hex("lh_x"))
        for text in ["a", "b", "lh_0"] {
            let digest = TokenDigest(of: text)
            #expect(TokenDigest(hex: digest.hex[...]) == digest)
        }
        for index in 0..<64 {
            var other = Array(Self.hash.utf8)
            other[index] = other[index] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
            #expect(TokenDigest(hex: String(decoding: other, as: UTF8.self)[...]) != TokenDigest(of: "secret"))
        }
    }
}
