import CSystem

/// Fingerprints, made by OpenSSL.
package enum Digest {
    /// The SHA-256 of `bytes`, 32 bytes.
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        let isMade =
            EVP_DigestInit_ex2(context, sha256Method, nil) == 1
            && EVP_DigestUpdate(context, bytes, bytes.count) == 1 && EVP_DigestFinal_ex(context, &digest, nil) == 1
        precondition(isMade, "OpenSSL has SHA-256")
        return digest
    }

    /// Looked up once: OpenSSL's own `SHA256` looks it up at each call, which costs twice as much as the digest.
    /// `nonisolated(unsafe)` holds because nobody changes it.
    nonisolated(unsafe) private static let sha256Method = EVP_MD_fetch(nil, "SHA256", nil)

    /// The SHA-256 of a text's UTF-8, as 64 lower-case hexadecimal characters.
    package static func sha256Hex(_ text: String) -> String { hex(sha256(Array(text.utf8))) }

    /// The SHA-1 of `bytes`, as Redis names scripts; not for secrets.
    package static func sha1Hex(_ bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: 20)
        _ = SHA1(bytes, bytes.count, &digest)
        return hex(digest)
    }

    /// Lower-case hexadecimal, two characters a byte.
    package static func hex(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 2) { text in
            for (index, byte) in bytes.enumerated() {
                text[2 * index] = digit(byte >> 4)
                text[2 * index + 1] = digit(byte & 15)
            }
            return bytes.count * 2
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// Whether two secrets are equal, in a time that tells nothing about where they differ; lengths may show.
    package static func equalsInConstantTime(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for (x, y) in zip(a, b) { difference |= x ^ y }
        return difference == 0
    }
}
