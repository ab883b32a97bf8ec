import EventLoop

/// What processes of this machine may do on the coordinator's unix sockets, by their users and groups.
package struct SocketRoles: Hashable, Sendable {
    private var users: [UInt32: Roles] = [:]
    private var groups: [UInt32: Roles] = [:]
    private var everybody: Roles = []

    /// Root and the coordinator's own user may do everything: they could read its tokens and end it as well.
    ///
    /// - Parameter owner: The user that the coordinator runs as.
    package init(_ grants: [Grant], owner: UInt32 = Environment.userID) {
        users[owner] = .all
        users[0] = .all
        for grant in grants {
            switch grant.who {
            case .user(let user): users[user, default: []].insert(Roles(grant.role))
            case .group(let group): groups[group, default: []].insert(Roles(grant.role))
            case .everybody: everybody.insert(Roles(grant.role))
            }
        }
    }

    /// The roles of a process: what its user, each of its groups and everybody have been given.
    func roles(user: UInt32, groups: [UInt32]) -> Roles {
        groups.reduce(everybody.union(users[user] ?? [])) { $0.union(self.groups[$1] ?? []) }
    }

    /// One `--socket-role`.
    package struct Grant: Hashable, Sendable {
        package enum Who: Hashable, Sendable {
            case user(UInt32)
            case group(UInt32)
            case everybody
        }

        package var who: Who
        package var role: Role

        /// What the kernel tells in place of a user or group that a namespace hides (user_namespaces(7)): it may be anybody.
        static let hidden: UInt32 = 65534

        package init(_ who: Who, _ role: Role) {
            self.who = who
            self.role = role
        }

        /// Reads `user:NAME=ROLE`, `group:NAME=ROLE` (a name or a number) and `everybody=ROLE`. Nil where it is none of
        /// these, or this machine has no such user or group; nor for `nobody` and `nogroup`, behind which the kernel
        /// hides others.
        package init?(parsing text: String) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let role = Role(rawValue: String(parts[1])) else { return nil }
            let who = parts[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch (who.first, who.count) {
            case ("everybody", 1): self.init(.everybody, role)
            case ("user", 2):
                let user = UInt32(who[1]) ?? Environment.userID(named: who[1])
                guard let user, user != Self.hidden else { return nil }
                self.init(.user(user), role)
            case ("group", 2):
                let group = UInt32(who[1]) ?? Environment.groupID(named: who[1])
                guard let group, group != Self.hidden else { return nil }
                self.init(.group(group), role)
            default: return nil
            }
        }
    }
}

/// The names under which users of this machine call: `user.NAME`, or `uid.NUMBER` where their name is not in
/// `/etc/passwd` or is no caller's name. No directory elsewhere is asked, since everything would wait for it.
struct UserNames: Sendable {
    /// No token may have a name that begins so.
    static let prefixes = ["user.", "uid."]
    /// How long what was read counts.
    static let age = Duration.seconds(60)

    private var names: [UInt32: String] = [:]
    private var readAt: Duration?

    mutating func name(of user: UInt32, at now: Duration) -> String {
        if readAt.map({ now - $0 >= Self.age }) ?? true {
            names = Environment.localUserNames()
            readAt = now
        }
        let name = names[user].map { "user." + $0 }
        return name.flatMap { Access.Caller.isName($0) ? $0 : nil } ?? "uid.\(user)"
    }
}
