import LeaseModel

@testable import Coordinator

/// An `Authorization` header opens with the right token alone; a token file reads as it was written, or not at all.
enum Proofs {
    private static let token = "lh_right"
    private static let guarded = Access(
        tokens: TokenList([TokenEntry(name: "right", roles: [.admin], digest: TokenDigest(of: token))]))

    static func look(at bytes: [UInt8]) throws {
        let header = String(decoding: bytes, as: UTF8.self)
        let words = header.utf8.split(separator: 0x20).map { String(Substring($0)) }
        let isRight =
            words.count == 2 && words[0].lowercased() == "bearer" && words[1] == token && header.utf8.first != 0x20
            && header.utf8.last != 0x20
        let verdict = guarded.judge(AccessRequest(method: .post, permission: .administer, authorization: header))
        if case .allowed = verdict {
            try kept(isRight, "\(header.debugDescription) opens")
        } else {
            try kept(!isRight, "\(header.debugDescription) does not open")
        }
        try lookAtFile(header)
    }

    private static func lookAtFile(_ text: String) throws {
        let file: TokenFile
        do throws(TokenFileError) {
            file = try TokenFile(text)
        } catch {
            // A token may have been written in any word's place.
            try kept(error.description.utf8.count < 600, "the refusal is long: \(error)")
            return
        }
        let again = try TokenFile(file.entries.map { TokenFile.line(of: $0) + "\n" }.joined())
        try kept(again.entries == file.entries, "it reads differently when written: \(text.debugDescription)")
        for entry in file.entries {
            let rest = try TokenFile(try TokenFile.removing(name: entry.name, from: text).text)
            try kept(rest.entries == file.entries.filter { $0.name != entry.name }, "\(entry.name) is not gone alone")
        }
        _ = file.listing
    }
}
