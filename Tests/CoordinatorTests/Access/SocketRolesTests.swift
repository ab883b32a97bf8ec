import EventLoop
import HTTP
import JSON
import LeaseModel
import TestSupport
import Testing

@testable import Coordinator

@Suite struct `Users of this machine on a unix socket` {
    private static let roles = SocketRoles(
        [
            .init(.user(1000), .operator), .init(.group(50), .client), .init(.group(60), .agent),
            .init(.everybody, .viewer),
        ], owner: 7)

    private static func judge(
        user: UInt32?, groups: [UInt32] = [], _ permission: Permission, tokens: TokenList? = nil,
        authorization: String? = nil, isForwarded: Bool = false, peer: AccessRequest.Peer = .unix
    ) -> Access.Verdict {
        var request = AccessRequest(
            method: .post, permission: permission, authorization: authorization, peer: peer,
            client: user.map { .process(user: $0, groups: groups) } ?? .unknown)
        request.userName = "user.alice"
        request.isForwarded = isForwarded
        return Access(tokens: tokens, socketRoles: roles).judge(request)
    }

    @Test(
        arguments: [
            (0, [], .admin), (7, [], .admin), (1000, [], .operator), (1000, [50], .operator), (1001, [50], .client),
            (1001, [3, 50, 4], .client), (1001, [51], .viewer), (50, [1000, 0, 7], .viewer),
            (1000, [60], .operator),
        ] as [(UInt32, [UInt32], Role)])
    func `may do what they, their groups and everybody were given`(user: UInt32, groups: [UInt32], highest: Role) {
        for permission in Permission.allCases {
            let verdict = Self.judge(user: user, groups: groups, permission)
            let isAllowed = AccessTests.table.contains { row in
                row.permission == permission && row.allowed.contains(highest)
            }
            // Root and the coordinator's own user are everything, also what stands beside the ladder.
            if isAllowed || [0, 7].contains(user) || (permission == .join && groups.contains(60)) {
                #expect(verdict.caller?.name == "user.alice" && verdict.caller?.by == "user.alice")
            } else {
                #expect(verdict.refusal?.word == "forbidden", "\(user) \(permission)")
            }
        }
    }

    @Test func `whoever is named nowhere may do nothing`() {
        let access = Access(tokens: nil, socketRoles: SocketRoles([.init(.user(1000), .admin)], owner: 7))
        var request = AccessRequest(
            method: .get, permission: .view, peer: .unix, client: .process(user: 1001, groups: [1000]))
        request.userName = "user.bob"
        #expect(access.judge(request).refusal == .noSocketRole("user.bob"))
        request.client = .unknown
        #expect(access.judge(request).status == 401)
    }

    @Test func `a token that is sent counts, and a proxy's own user does not`() {
        let tokens = TokenList([TokenEntry(name: "ci", roles: [.client], digest: TokenDigest(of: "t"))])
        #expect(Self.judge(user: 0, .lock, tokens: tokens, authorization: "Bearer t").caller?.name == "ci")
        #expect(Self.judge(user: 0, .operate, tokens: tokens, authorization: "Bearer t").status == 403)
        #expect(Self.judge(user: 0, .view, tokens: tokens, authorization: "Bearer x").status == 401)
        #expect(Self.judge(user: 0, .view, tokens: tokens).caller?.name == "user.alice")
        #expect(Self.judge(user: 0, .view, tokens: tokens, isForwarded: true).refusal == .noToken)
        #expect(Self.judge(user: 0, .view, isForwarded: true).refusal == .forwarded)
        for name in ["X-Forwarded-For", "forwarded", "Via", "X-Real-IP"] {
            let request = HTTPRequest(method: .get, path: "/", headers: [name: "x"])
            #expect(AccessRequest(request, permission: .view).isForwarded)
        }
    }

    @Test func `nobody else gets in by it`() {
        #expect(Self.judge(user: nil, .view, peer: .loopback).refusal == .notThisMachine)
        let addresses = ["unix:/run/l.sock", "localhost:8080"]
        #expect(
            Access.refusalToListen(on: addresses, tokens: nil, socketRoles: Self.roles)?.contains("--tokens") == true)
        #expect(Access.refusalToListen(on: addresses, tokens: TokenList([]), socketRoles: Self.roles) == nil)
        #expect(Access.refusalToListen(on: ["unix:/run/l.sock"], tokens: nil, socketRoles: Self.roles) == nil)
    }

    @Test func `are granted roles by name or number`() {
        typealias Grant = SocketRoles.Grant
        #expect(Grant(parsing: "user:root=admin") == Grant(.user(0), .admin))
        #expect(Grant(parsing: "group:root=client") == Grant(.group(0), .client))
        #expect(Grant(parsing: "user:1234567=viewer") == Grant(.user(1_234_567), .viewer))
        #expect(Grant(parsing: "everybody=viewer") == Grant(.everybody, .viewer))
        for text in [
            "", "root=admin", "user:=admin", "user:no-such-user-here=admin", "group:no-such-group=client",
            "user:root=boss", "user:root", "everybody:x=viewer", "other=viewer", "user:nobody=client",
            "group:65534=client", "user:-1=viewer",
        ] {
            #expect(Grant(parsing: text) == nil, "\(text)")
        }
    }

    @Test func `have names that no token has`() {
        var names = UserNames()
        #expect(names.name(of: 0, at: .zero) == "user.root")
        #expect(names.name(of: 4_000_000_000, at: .zero) == "uid.4000000000")
        for name in ["user.root", "uid.0"] { #expect(TokenFile.whyNotName(name) != nil) }
    }

    @Test func `without roles are this machine, but events tell who it was`() {
        var request = AccessRequest(
            method: .post, permission: .administer, peer: .unix, client: .process(user: 5, groups: []))
        request.userName = "user.games"
        let caller = Callers.open.judge(request).caller
        #expect(caller?.name.isEmpty == true && caller?.by == "user.games")
    }

    /// With curl, under another user where the tests run as root.
    @Test func `are known by the kernel's word`() async throws {
        try await withRedis { redis in
            let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
            try Files.makeDirectory(directory, mode: 0o755)
            defer { try? Files.removeTree(directory) }
            var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
            settings.listen = [.unix(path: "\(directory)/l.sock")]
            settings.socketRoles = SocketRoles([.init(.group(12_345), .client)], owner: Environment.userID)
            let coordinator = Coordinator(settings: settings, loop: redis.loop, log: .silent)
            try await coordinator.start()
            try await eventually("the coordinator is ready") { await coordinator.isReady }

            func call(_ who: [String], _ path: String, _ body: String? = nil) async throws -> String {
                let send = body.map { ["--data", $0] } ?? []
                let command = ChildCommand(
                    who + ["curl", "--silent", "--unix-socket", "\(directory)/l.sock"] + send
                        + ["--write-out", "%{http_code}", "http://localhost\(path)"])
                let result = try await ChildProcess.run(command, deadline: .seconds(30), on: redis.loop)
                return String(decoding: result.output, as: UTF8.self)
            }

            #expect(try await call([], "/v1/gpu/status").hasSuffix("200"))
            #expect(try await call([], "/v1/gpu/reset", "{}").hasSuffix("200"))
            if Environment.userID == 0 {
                let member = ["setpriv", "--reuid", "12000", "--regid", "12000", "--groups", "4,12345"]
                let other = ["setpriv", "--reuid", "12000", "--regid", "12000", "--clear-groups"]
                #expect(try await call(member, "/v1/gpu/status").hasSuffix("200"))
                #expect(try await call(member, "/v1/gpu/unlock", #"{"id":"x"}"#).hasSuffix("200"))
                let refused = try await call(member, "/v1/gpu/reset", "{}")
                #expect(refused.hasSuffix("403") && refused.contains("uid.12000"), "\(refused)")
                #expect(try await call(other, "/v1/gpu/status").hasSuffix("403"))
                #expect(try await call(other, "/health").hasSuffix("200"))
            }
            await redis.loop.spawn { await coordinator.stop() }.value
        }
    }
}
