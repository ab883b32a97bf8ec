import Testing

@testable import Coordinator

/// Every call by everybody: what opens, and what does not.
@Suite struct RouteRolesTests {
    private static let everybody: Set<Role> = [.viewer, .client, .operator, .admin]
    private static let clients: Set<Role> = [.client, .operator, .admin]
    private static let operators: Set<Role> = [.operator, .admin]

    /// docs/access.md, written out once more: the routes' own permissions are what is tested.
    private static let table: [Route: Set<Role>] = [
        .lock: clients, .unlock: clients, .renew: clients,
        .requests: everybody, .status: everybody, .verify: everybody, .events: everybody, .metrics: everybody,
        .reset: operators, .cordon: operators, .drain: operators, .forceRelease: [.admin], .join: [.agent],
    ]
    /// Without a token.
    private static let open: Set<Route> = [.health, .ready, .openAPI]

    @Test func `no route is without its row`() {
        #expect(Set(Self.table.keys).union(Self.open) == Set(Route.allCases))
        #expect(Self.open.isDisjoint(with: Self.table.keys))
    }

    @Test(arguments: Route.allCases)
    func `a call is open to the roles of its row alone`(route: Route) throws {
        func status(_ authorization: String?) -> Int {
            Callers.guarded.judge(
                AccessRequest(method: route.method, permission: route.permission, authorization: authorization)
            ).status
        }
        if Self.open.contains(route) {
            for header in [nil, "Bearer lh_wrong"] + Role.allCases.map({ Callers.bearer($0.rawValue) }) {
                #expect(status(header) == 200, "\(header ?? "no token")")
            }
            return
        }
        let allowed = try #require(Self.table[route])
        #expect(status(nil) == 401 && status("Bearer lh_wrong") == 401)
        for role in Role.allCases {
            #expect(status(Callers.bearer(role.rawValue)) == (allowed.contains(role) ? 200 : 403), "\(role)")
        }
    }
}
