/// What a token's owner is to the pool; each may do all that those before it may.
package enum Role: String, CaseIterable, Comparable, Sendable {
    /// Looks at status, requests, events and metrics, and verifies fencing tokens.
    case viewer
    /// Locks, and unlocks and renews its own leases.
    case client
    /// Resets leases, cordons and drains hosts.
    case `operator`
    /// Refuses every waiter and frees every unit at once.
    case admin

    package static func < (left: Role, right: Role) -> Bool { left.position < right.position }

    /// The roles' words in their order, as help and errors show them.
    package static var words: String {
        allCases.dropLast().map(\.rawValue).joined(separator: ", ") + " or " + admin.rawValue
    }

    fileprivate var position: UInt8 {
        switch self {
        case .viewer: 0
        case .client: 1
        case .operator: 2
        case .admin: 3
        }
    }
}

/// The roles of one token.
package struct Roles: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A set of that one role.
    package init(_ role: Role) { self.init(rawValue: 1 << role.position) }

    package static let viewer = Roles(rawValue: 1)
    package static let client = Roles(rawValue: 2)
    package static let `operator` = Roles(rawValue: 4)
    package static let admin = Roles(rawValue: 8)

    /// Every role: what everybody is where no token is configured.
    package static let all: Roles = [.viewer, .client, .operator, .admin]

    /// In their order.
    package var list: [Role] { Role.allCases.filter { contains(Roles($0)) } }

    /// As the token file writes it, `client,operator`.
    package var text: String { list.map(\.rawValue).joined(separator: ",") }

    /// Whether one of these roles allows it: the permission's own, or one above.
    func allow(_ permission: Permission) -> Bool { rawValue >> permission.leastRole.position != 0 }
}

/// What a call does, as far as a role has to allow it.
enum Permission: CaseIterable, Sendable {
    /// Status, requests, events, metrics, verify.
    case view
    /// Lock, unlock, renew.
    case lock
    /// Reset, cordon, drain.
    case operate
    /// Force-release-all.
    case administer

    /// The lowest role that allows it.
    var leastRole: Role {
        switch self {
        case .view: .viewer
        case .lock: .client
        case .operate: .operator
        case .administer: .admin
        }
    }
}
