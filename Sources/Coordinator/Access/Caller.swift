import LeaseModel

extension Access {
    /// Who a request comes from. Its name, never a member of the body, is what leases and events record.
    struct Caller: Hashable, Sendable {
        /// Part of Redis keys: 1 to 64 of `A-Z a-z 0-9 . _ -`; empty where no token is configured.
        var name: String
        var roles: Roles
        /// It may lock only ids that begin with this.
        var idPrefix: String?
        /// It may call only the coordinators of this pool.
        var pool: PoolID?
        /// On a unix socket the user behind a call that needs no name of its own; events record it.
        var user: String?

        /// Everybody who reaches a coordinator without tokens: a process of this machine.
        static let local = Caller(name: "", roles: .all)
        /// Somebody whom an open path did not ask for a token: may do nothing else.
        static let anonymous = Caller(name: "anonymous", roles: [])

        /// Names that events use for callers without a token; no token may have them.
        static let reservedNames = ["local", "anonymous"]

        /// The name as events record it.
        var by: String { name.isEmpty ? user ?? "local" : name }

        /// Why this caller may not lock under this id, nil where it may.
        func refusal(toHold holder: HolderID) -> AccessRefusal? {
            guard let idPrefix else { return nil }
            // Bytes, since a text that begins with other characters may compare as equal.
            return holder.text.utf8.starts(with: idPrefix.utf8) ? nil : .foreignID(caller: name, prefix: idPrefix)
        }

        /// Whether `text` may be a caller's name.
        static func isName(_ text: String) -> Bool {
            (1...Limits.nameLength).contains(text.utf8.count)
                && text.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }
}
