import EventLoop

/// The tokens that a coordinator knows. An empty list knows nobody: that is not the same as having no list.
package struct TokenList: Sendable {
    private var callers: [Access.Caller] = []
    private var digests: [TokenDigest] = []
    private var subjects: [String: Access.Caller] = [:]

    /// - Parameters:
    ///   - file: The token file, nil where none is configured.
    ///   - bridgeToken: The original bridge's one shared token (`BRIDGE_TOKEN`), which allows everything; its caller is
    ///     `bridge`. Nil or empty: there is none.
    /// - Returns: Nil where neither is configured, so that everybody on this machine may do everything.
    package static func configured(file: TokenFile?, bridgeToken: String?) throws(TokenFileError) -> TokenList? {
        var entries = file?.entries ?? []
        // Compose files pass on variables that are empty where nothing was set.
        if let bridgeToken, !bridgeToken.isEmpty {
            guard Authorization.isToken(bridgeToken) else {
                throw TokenFileError(
                    "BRIDGE_TOKEN: want 1 to \(AccessLimits.tokenBytes) visible ASCII characters without blanks.")
            }
            let bridge = TokenEntry(
                name: "bridge", roles: [.client, .operator, .admin], digest: TokenDigest(of: bridgeToken))
            guard !entries.contains(where: { $0.proof == bridge.proof }) else {
                throw TokenFileError("BRIDGE_TOKEN is in the token file too. Remove one of them.")
            }
            entries.append(bridge)
        } else if file == nil {
            return nil
        }
        return TokenList(entries)
    }

    init(_ entries: [TokenEntry]) {
        for entry in entries {
            switch entry.proof {
            case .token(let digest):
                callers.append(entry.caller)
                digests.append(digest)
            case .certificate(let subject): subjects[subject] = entry.caller
            }
        }
    }

    package var count: Int { digests.count + subjects.count }

    /// Whose certificate has this subject.
    func caller(ofSubject subject: String) -> Access.Caller? { subjects[subject] }

    /// Whose token this is, found by its hash; looks at all of them, however early one fits.
    func caller(of token: Substring) -> Access.Caller? {
        let digest = TokenDigest(of: String(token))
        var found: Int?
        for index in digests.indices where digests[index] == digest { found = index }
        return found.map { callers[$0] }
    }
}

/// The `Authorization` header's value (RFC 9110 §11.6.2, RFC 6750 §2.1).
enum Authorization: Equatable {
    case bearer(Substring)
    /// Another scheme, or a token that cannot be one.
    case malformed

    init(_ value: String) {
        let text = value[...]
        let scheme = text.utf8.prefix { $0 != 0x20 }
        let token = Substring(text.utf8.dropFirst(scheme.count).drop { $0 == 0x20 })
        let isBearer =
            scheme.count == 6 && zip(scheme, "bearer".utf8).allSatisfy { $0 | 0x20 == $1 } && Self.isToken(token)
        self = isBearer ? .bearer(token) : .malformed
    }

    /// Visible ASCII of bounded length: wider than RFC 6750 has it, since `BRIDGE_TOKEN` may be anything.
    static func isToken(_ text: some StringProtocol) -> Bool {
        (1...AccessLimits.tokenBytes).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
