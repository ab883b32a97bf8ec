/// What INFO tells.
struct ServerReport {
    private let values: [Substring: Substring]

    init(_ reply: RedisReply) {
        var values: [Substring: Substring] = [:]
        for line in (reply.text ?? "").split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            values[line[..<colon]] = line[line.index(after: colon)...]
        }
        self.values = values
    }

    /// A sentence when the server may throw keys away.
    func refusalOfEviction() -> String? {
        guard let policy = values["maxmemory_policy"] else {
            return "Redis does not tell its maxmemory-policy"
        }
        return policy == "noeviction"
            ? nil
            : "Redis has maxmemory-policy \(policy) and may forget what it stores: set it to noeviction"
    }
}

/// What HELLO tells.
struct ServerGreeting {
    private let version: String?
    private let role: String?

    init(_ reply: RedisReply) {
        let words = reply.array ?? []
        func value(_ name: String) -> String? {
            stride(from: 0, to: words.count - 1, by: 2).first { words[$0].text == name }.flatMap { words[$0 + 1].text }
        }
        version = value("version")
        role = value("role")
    }

    /// A sentence when the server is too old, or does not say how old it is.
    func refusal(ofVersionsBefore oldest: RedisVersion) -> String? {
        guard let version, let parsed = RedisVersion(parsing: version) else {
            return "Redis does not tell its version: it has to be \(oldest) or newer"
        }
        return parsed < oldest ? "Redis is version \(version), want \(oldest) or newer: update it" : nil
    }

    /// A sentence when the server copies another one and takes no writes.
    func objectionToReplica() -> String? {
        role == "replica" ? "this Redis is a replica, which takes no writes; waiting until it is the primary" : nil
    }
}
