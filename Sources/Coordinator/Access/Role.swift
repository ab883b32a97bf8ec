/// What a token's owner is to the pool; each up to `admin` may do all that those before it may.
package enum Role: String, CaseIterable, Sendable {
    /// Looks at status, requests, events and metrics, and verifies fencing tokens.
    case viewer
    /// Locks, and unlocks and renews its own leases.
    case client
    /// Resets leases, cordons and drains hosts.
    case `operator`
    /// Refuses every waiter and frees every unit at once.
    case admin
    /// Lets a new host's agent join, and stands beside the ladder of the others: none of them may do that, and it may do
    /// nothing of theirs. What it is told lets its bearer write to Redis, so an administrator does not have it by the way.
    case agent

    /// The roles' words in their order, as help and errors show them.
    package static var words: String {
        allCases.dropLast().map(\.rawValue).joined(separator: ", ") + " or " + agent.rawValue
    }

    fileprivate var position: UInt8 {
        switch self {
        case .viewer: 0
        case .client: 1
        case .operator: 2
        case .admin: 3
        case .agent: 4
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
    package static let agent = Roles(rawValue: 16)
    private static let ladder = Roles(rawValue: 15)

    /// Every role: what everybody is where no token is configured.
    package static let all: Roles = [.viewer, .client, .operator, .admin, .agent]

    /// In their order.
    package var list: [Role] { Role.allCases.filter { contains(Roles($0)) } }

    /// As the token file writes it, `client,operator`.
    package var text: String { list.map(\.rawValue).joined(separator: ",") }

    /// Whether one of these roles allows it: the permission's own, or one above it on the ladder.
    func allow(_ permission: Permission) -> Bool {
        switch permission {
        case .view, .lock, .operate, .administer:
            intersection(.ladder).rawValue >> permission.leastRole.position != 0
        case .join: contains(.agent)
        }
    }
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
    /// Join as an agent.
    case join

    /// The lowest role that allows it.
    var leastRole: Role {
        switch self {
        case .view: .viewer
        case .lock: .client
        case .operate: .operator
        case .administer: .admin
        case .join: .agent
        }
    }
}
