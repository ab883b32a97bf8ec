import LeaseModel

/// The file of tokens: one a line, comments, empty lines. An admin may read and edit it, and it holds no token.
///
///     ci-runner roles=client sha256=2c26b46b… created=2026-11-24T16:13:29.123Z prefix=ci- pool=default
///
/// The name comes first, the other words in any order. Several lines may have one name, so that a token can be
/// exchanged while its leases stand.
package struct TokenFile: Equatable, Sendable {
    package private(set) var entries: [TokenEntry] = []
    /// The line of each entry, counted from 0.
    private var lines: [Int] = []

    /// A line may have `subject=CN=alice,O=Acme%20Corp` in place of `sha256`: then a client certificate with that subject
    /// proves who calls.
    ///
    /// - Throws: `TokenFileError` with the number of the first line that cannot be read; a doubtful file allows nobody.
    package init(_ text: String) throws(TokenFileError) {
        var known: [TokenEntry.Proof: Int] = [:]
        for (number, line) in Self.lines(of: text).enumerated() {
            let words = Self.words(of: line)
            guard let first = words.first, first.first != "#" else { continue }
            let entry = try Self.entry(words, line: number + 1)
            if let twin = known.updateValue(number + 1, forKey: entry.proof) {
                throw TokenFileError(
                    line: number + 1, "the same token or subject as in line \(twin). Remove one of the lines.")
            }
            guard entries.count < AccessLimits.tokens else {
                throw TokenFileError(
                    line: number + 1, "there are more than \(AccessLimits.tokens) tokens. Revoke some.")
            }
            entries.append(entry)
            lines.append(number)
        }
    }

    /// - Throws: `TokenFileError`, also where the bytes are no UTF-8.
    package init(bytes: [UInt8]) throws(TokenFileError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw TokenFileError("the file is not UTF-8. Save it as plain text.")
        }
        try self.init(text)
    }

    // MARK: Changes, as functions from text to text

    /// What a new file begins with.
    package static let heading = """
        # Tokens, one a line: NAME roles=ROLE[,ROLE] sha256=HASH [prefix=TEXT] [pool=NAME] [created=TIME]
        # "leasehold token create" adds a line and shows the token once; here stands only its hash.
        # With subject=SUBJECT in place of sha256=HASH a client certificate proves who calls.

        """

    /// What happens where the name has a token already.
    package enum Twin: Sendable { case refused, allowed }

    /// The text with one more token at its end, comments kept.
    package static func adding(
        _ entry: TokenEntry, to text: String, twin: Twin = .refused
    ) throws(TokenFileError) -> String {
        let file = try TokenFile(text)
        if twin == .refused, let other = file.entries.first(where: { $0.name == entry.name }) {
            throw TokenFileError(
                "\"\(entry.name)\" has a token already, \(other.id). "
                    + "Choose another name, or add --another to give it a second one.")
        }
        var text = text.isEmpty ? heading : text
        if text.utf8.last != 0x0A { text += "\n" }
        text += line(of: entry) + "\n"
        // Read again what was written, so that no change can leave a file that the coordinator refuses.
        let written = try TokenFile(text)
        precondition(written.entries == file.entries + [entry], "a token reads as it was written")
        return text
    }

    /// The text without the tokens of a name, or without the one of them with this id; comments kept.
    package static func removing(
        name: String, id: String? = nil, from text: String
    ) throws(TokenFileError) -> (text: String, removed: [TokenEntry]) {
        let file = try TokenFile(text)
        let gone = file.entries.indices.filter {
            file.entries[$0].name == name && (id == nil || file.entries[$0].id == id)
        }
        guard !gone.isEmpty else {
            let which = id.map { " with the id \(quoted($0))" } ?? ""
            throw TokenFileError(
                "\(quoted(name)) has no token\(which). \"leasehold token list\" tells which there are.")
        }
        let goneLines = Set(gone.map { file.lines[$0] })
        let kept = lines(of: text).enumerated().filter { !goneLines.contains($0.offset) }.map(\.element)
        return (kept.joined(separator: "\n"), gone.map { file.entries[$0] })
    }

    /// A table for people: name, id, roles, and what else applies.
    package var listing: String {
        let head = ["NAME", "ID", "ROLES", "PREFIX", "POOL", "CREATED"]
        let rows =
            [head]
            + entries.map {
                [$0.name, $0.id, $0.roles.text, $0.idPrefix ?? "-", $0.pool?.text ?? "-", $0.created ?? "-"]
            }
        let widths = head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.indices.map { column in
                let isLast = column == row.count - 1
                return row[column] + String(repeating: " ", count: isLast ? 0 : widths[column] - row[column].count)
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }

    static func line(of entry: TokenEntry) -> String {
        let proof =
            switch entry.proof {
            case .token(let digest): "sha256=\(digest.hex)"
            case .certificate(let subject): "subject=\(CertificateSubject.encoded(subject))"
            }
        var words = [entry.name, "roles=\(entry.roles.text)", proof]
        if let prefix = entry.idPrefix { words.append("prefix=\(prefix)") }
        if let pool = entry.pool { words.append("pool=\(pool.text)") }
        if let created = entry.created { words.append("created=\(created)") }
        return words.joined(separator: " ")
    }

    // MARK: Reading

    /// Parted at line feeds alone, so that the numbers are those of an editor.
    private static func lines(of text: String) -> [String] {
        text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { String(Substring($0)) }
    }

    /// Parted at spaces, tabs and the carriage returns of other systems' editors.
    private static func words(of line: String) -> [Substring] {
        line.utf8.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }.map { Substring($0) }
    }

    private static func entry(_ words: [Substring], line: Int) throws(TokenFileError) -> TokenEntry {
        let name = String(words.first ?? "")
        if let why = whyNotName(name) { throw TokenFileError(line: line, why) }
        var values: [Substring: Substring] = [:]
        for (position, word) in words.enumerated().dropFirst() {
            guard let equals = word.utf8.firstIndex(of: UInt8(ascii: "=")) else {
                throw TokenFileError(
                    line: line, "word \(position + 1) has no \"=\": want KEY=VALUE, as in roles=client.")
            }
            let key = word[..<equals]
            guard ["roles", "sha256", "subject", "created", "prefix", "pool"].contains(key) else {
                throw TokenFileError(
                    line: line,
                    "word \(position + 1) begins with an unknown key: want roles, sha256, subject, created, prefix or pool."
                )
            }
            guard values[key] == nil else { throw TokenFileError(line: line, "\"\(key)\" comes twice.") }
            values[key] = word[word.utf8.index(after: equals)...]
        }
        let proof = try proof(sha256: values["sha256"], subject: values["subject"], line: line)
        var entry = TokenEntry(name: name, roles: try roles(values["roles"], line: line), proof: proof)
        if let created = values["created"] {
            guard isTime(created) else {
                throw TokenFileError(
                    line: line, "\"created\": got \(quoted(created)), want a time as in 2026-11-24T16:13:29Z.")
            }
            entry.created = String(created)
        }
        if let prefix = values["prefix"] {
            if let why = whyNotPrefix(String(prefix)) { throw TokenFileError(line: line, why) }
            entry.idPrefix = String(prefix)
        }
        if let pool = values["pool"] {
            do throws(InvalidName) {
                entry.pool = try PoolID(String(pool))
            } catch {
                throw TokenFileError(line: line, "\"pool\": got \(quoted(pool)), want \(error.want).")
            }
        }
        return entry
    }

    private static func proof(
        sha256: Substring?, subject: Substring?, line: Int
    ) throws(TokenFileError) -> TokenEntry.Proof {
        guard let subject else {
            guard let sha256, let digest = TokenDigest(hex: sha256) else {
                throw TokenFileError(
                    line: line,
                    "want sha256= and 64 lower-case hexadecimal digits, which \"leasehold token create\" writes.")
            }
            return .token(digest)
        }
        guard sha256 == nil else {
            throw TokenFileError(line: line, "\"sha256\" and \"subject\" exclude each other. Write two lines.")
        }
        guard let decoded = CertificateSubject.decoded(subject) else {
            throw TokenFileError(line: line, "\"subject\": want \(CertificateSubject.want).")
        }
        return .certificate(subject: decoded)
    }

    private static func roles(_ text: Substring?, line: Int) throws(TokenFileError) -> Roles {
        guard let text else { throw TokenFileError(line: line, "\"roles\" is missing: want \(Role.words).") }
        var roles: Roles = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let role = Role(rawValue: String(word)) else {
                throw TokenFileError(line: line, "\"roles\": got \(quoted(word)), want \(Role.words).")
            }
            roles.insert(Roles(role))
        }
        return roles
    }

    // MARK: What the parts may be; the token command asks the same

    /// Nil where `name` may be a token's. Does not repeat it: somebody may have written a token in its place.
    package static func whyNotName(_ name: String) -> String? {
        guard Access.Caller.isName(name) else {
            return "the name: want 1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -"
        }
        guard !name.hasPrefix(TokenText.prefix) else {
            return "the name begins with \(TokenText.prefix), as tokens do. A token itself is never written here."
        }
        guard !UserNames.prefixes.contains(where: { name.hasPrefix($0) }) else {
            return "the name: what begins with user. or uid. stands for users of this machine. Choose another one."
        }
        guard !Access.Caller.reservedNames.contains(name) else {
            return "the name: \"\(name)\" stands for callers without a token. Choose another one."
        }
        return nil
    }

    /// Nil where `prefix` may be what the ids of a caller begin with.
    package static func whyNotPrefix(_ prefix: String) -> String? {
        let isPlain = prefix.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate, .privateUse,
                .unassigned:
                false
            default: true
            }
        }
        guard isPlain, (1...AccessLimits.prefixBytes).contains(prefix.utf8.count) else {
            return "\"prefix\": got \(quoted(prefix)), want 1 to \(AccessLimits.prefixBytes) bytes without blanks."
        }
        return nil
    }

    /// `2026-11-24T16:13:29Z`, fractions allowed.
    private static func isTime(_ text: Substring) -> Bool {
        let pattern = Array("0000-00-00T00:00:00".utf8)
        let bytes = Array(text.utf8)
        guard bytes.count > pattern.count, bytes.count <= 32, bytes.last == UInt8(ascii: "Z") else { return false }
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        for (byte, wanted) in zip(bytes, pattern) {
            guard isDigit(wanted) ? isDigit(byte) : byte == wanted else { return false }
        }
        let fraction = bytes[pattern.count...].dropLast()
        guard let dot = fraction.first else { return true }
        return dot == UInt8(ascii: ".") && fraction.count > 1 && fraction.dropFirst().allSatisfy(isDigit)
    }

    /// In quotes, short, and without what could steer a terminal.
    static func quoted(_ text: some StringProtocol) -> String {
        let shown = text.unicodeScalars.prefix(40).map { scalar in
            (0x20..<0x7F).contains(scalar.value) ? String(scalar) : "\u{FFFD}"
        }
        return "\"" + shown.joined() + (text.unicodeScalars.count > 40 ? "…" : "") + "\""
    }
}
