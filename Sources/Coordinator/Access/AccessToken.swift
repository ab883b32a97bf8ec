import EventLoop
import LeaseModel
import Telemetry

/// The SHA-256 of a token, all that a coordinator and its file know of it.
///
/// One round and no salt are enough for tokens of 256 random bits: salt and slow hashes make it dear to try likely
/// passwords against a stolen file, and among 2^256 equally likely tokens there are none. A shared token that somebody
/// made up (`BRIDGE_TOKEN`) is hashed in memory only and never written.
package struct TokenDigest: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// The digest of a token's whole text, its prefix included: what `printf %s TOKEN | sha256sum` prints.
    package init(of token: String) { self.init(bytes: Digest.sha256(Array(token.utf8))) }

    /// Nil unless `hex` is 64 lower-case hexadecimal characters.
    package init?(hex: Substring) {
        guard hex.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        var high: UInt8?
        for character in hex.utf8 {
            let value: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.init(bytes: bytes)
    }

    private init(bytes: [UInt8]) {
        precondition(bytes.count == 32, "SHA-256 has 32 bytes")
        func word(_ start: Int) -> UInt64 { bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        words = (word(0), word(8), word(16), word(24))
    }

    package var hex: String {
        [words.0, words.1, words.2, words.3].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// Equality in a time that tells nothing about where two digests differ.
    package static func == (left: TokenDigest, right: TokenDigest) -> Bool {
        let first = (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1)
        let second = (left.words.2 ^ right.words.2) | (left.words.3 ^ right.words.3)
        return first | second == 0
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// One caller as the token file has it: what proves who calls, and what it allows; without the token itself.
package struct TokenEntry: Hashable, Sendable {
    /// What a caller shows.
    package enum Proof: Hashable, Sendable {
        /// The token of this digest.
        case token(TokenDigest)
        /// A client certificate with this subject, as RFC 2253 writes it.
        case certificate(subject: String)
    }

    package var name: String
    package var roles: Roles
    package var proof: Proof
    /// When it was made, RFC 3339; for show.
    package var created: String?
    package var idPrefix: String?
    package var pool: PoolID?

    package init(
        name: String, roles: Roles, digest: TokenDigest, created: String? = nil, idPrefix: String? = nil,
        pool: PoolID? = nil
    ) {
        self.init(
            name: name, roles: roles, proof: .token(digest), created: created, idPrefix: idPrefix, pool: pool)
    }

    package init(
        name: String, roles: Roles, proof: Proof, created: String? = nil, idPrefix: String? = nil, pool: PoolID? = nil
    ) {
        self.name = name
        self.roles = roles
        self.proof = proof
        self.created = created
        self.idPrefix = idPrefix
        self.pool = pool
    }

    /// What tells two entries of one name apart: the first 8 characters of the token's or the subject's digest.
    package var id: String {
        switch proof {
        case .token(let digest): String(digest.hex.prefix(8))
        case .certificate(let subject): String(Digest.sha256Hex(subject).prefix(8))
        }
    }

    var caller: Access.Caller { Access.Caller(name: name, roles: roles, idPrefix: idPrefix, pool: pool) }
}

/// The making of tokens.
package enum TokenText {
    /// What every token begins with, so that people and scanners know one when they see it.
    package static let prefix = "lh_"

    /// A new token: the prefix and 256 random bits as 43 characters of base64url.
    package static func draw() -> Secret<String> { Secret(prefix + base64URL(SecureRandom.bytes(32))) }

    /// RFC 4648 §5, without padding.
    static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var held: UInt32 = 0
        var count = 0
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(held >> UInt32(count) & 63)])
            }
        }
        if count > 0 { text.append(alphabet[Int(held << UInt32(6 - count) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
