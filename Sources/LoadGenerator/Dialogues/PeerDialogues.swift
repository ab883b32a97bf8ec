/// A key set where it is missing, and deleted: the least that a lock in Redis can cost, without proof of ownership.
package struct RedisPairDialogue: Dialogue {
    package static let framing = Framing.redis
    private let set: [UInt8]
    private let delete: [UInt8]

    package init(key: String) {
        set = Self.command(["SET", key, "holder", "NX", "PX", "120000"])
        delete = Self.command(["DEL", key])
    }

    private static func command(_ words: [String]) -> [UInt8] {
        Array(("*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()).utf8)
    }

    package mutating func lock() -> [UInt8] { set }
    package mutating func locked(_ status: Int, _ body: Span<UInt8>) -> Bool { status == Int(UInt8(ascii: "+")) }
    package mutating func unlock() -> [UInt8] { delete }
    package mutating func unlocked(_ status: Int, _ body: Span<UInt8>) -> Bool { body.first(":1", from: 0) == 0 }
}

/// etcd's lock service through its HTTP gateway. A lease is made once a client, as its session.
package struct EtcdDialogue: Dialogue {
    package static let framing = Framing.http
    private let name: String
    private var lease: [UInt8] = []
    private var key: [UInt8] = []

    /// - Parameter name: of the lock, in base64.
    package init(name: String) { self.name = name }

    package mutating func greeting() -> [UInt8] { HTTPText.post("/v3/lease/grant", Array(#"{"TTL": 600}"#.utf8)) }

    package mutating func greeted(_ status: Int, _ body: Span<UInt8>) -> Bool {
        lease = body.text(after: #""ID":""#) ?? []
        return status == 200 && !lease.isEmpty
    }

    package mutating func lock() -> [UInt8] {
        HTTPText.post(
            "/v3/lock/lock", Array(#"{"name": "\#(name)", "lease": ""#.utf8) + lease + Array(#""}"#.utf8))
    }

    package mutating func locked(_ status: Int, _ body: Span<UInt8>) -> Bool {
        key = body.text(after: #""key":""#) ?? []
        return status == 200 && !key.isEmpty
    }

    package mutating func unlock() -> [UInt8] {
        HTTPText.post("/v3/lock/unlock", Array(#"{"key": ""#.utf8) + key + Array(#""}"#.utf8))
    }

    package mutating func unlocked(_ status: Int, _ body: Span<UInt8>) -> Bool { status == 200 }
}

/// PostgreSQL's advisory locks in the simple query protocol, one session a client.
package struct PostgresDialogue: Dialogue {
    package static let framing = Framing.postgres
    private let number: Int
    private let user: String

    package init(number: Int, user: String) {
        self.number = number
        self.user = user
    }

    package mutating func greeting() -> [UInt8] {
        let words = Array("user\0\(user)\0database\0postgres\0\0".utf8)
        return Self.word(8 + words.count) + [0, 3, 0, 0] + words
    }

    package mutating func greeted(_ status: Int, _ body: Span<UInt8>) -> Bool { status == 0 }
    package mutating func lock() -> [UInt8] { Self.query("SELECT pg_advisory_lock(\(number))") }
    package mutating func locked(_ status: Int, _ body: Span<UInt8>) -> Bool { status == 0 }
    package mutating func unlock() -> [UInt8] { Self.query("SELECT pg_advisory_unlock(\(number))") }
    package mutating func unlocked(_ status: Int, _ body: Span<UInt8>) -> Bool { status == 0 }

    private static func query(_ text: String) -> [UInt8] {
        [UInt8(ascii: "Q")] + word(5 + text.utf8.count) + Array(text.utf8) + [0]
    }

    private static func word(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
