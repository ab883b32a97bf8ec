import HTTP
import JSON
import LeaseModel
import Testing

@testable import Coordinator

@Suite struct AccessTests {
    /// docs/http.md, Roles.
    static let table: [(permission: Permission, allowed: Set<Role>)] = [
        (.view, [.viewer, .client, .operator, .admin]), (.lock, [.client, .operator, .admin]),
        (.operate, [.operator, .admin]), (.administer, [.admin]), (.join, [.agent]),
    ]

    @Test func `each role may do what the table says and nothing else`() {
        #expect(Self.table.map(\.permission) == Permission.allCases)
        for (permission, allowed) in Self.table {
            for role in Role.allCases {
                let request = AccessRequest(
                    method: .post, permission: permission, authorization: Callers.bearer(role.rawValue))
                let verdict = Callers.guarded.judge(request)
                if allowed.contains(role) {
                    #expect(verdict.caller == Access.Caller(name: role.rawValue, roles: Roles(role)))
                } else {
                    #expect(verdict.refusal?.word == "forbidden", "\(role) \(permission)")
                    #expect(verdict.status == 403)
                }
            }
        }
    }

    @Test(arguments: [
        nil, "", "Bearer", "Bearer ", "Bearer  ", "Basic bGg6", "Bearer lh_wrong", "bearer lh_token-of-admi",
        "Bearer lh_token-of-admin2", "Bearer lh_token-of-admin lh_token-of-admin", "lh_token-of-admin",
        "Bearerlh_token-of-admin", "Bearer\tlh_token-of-admin", "BearerX lh_token-of-admin", "Bearer LH_TOKEN-OF-ADMIN",
        "Bearer lh_token-of-ädmin", "Bearer \u{0}",
    ])
    func `no token and a wrong token open nothing but open paths`(header: String?) {
        for permission in Permission.allCases {
            let request = AccessRequest(method: .get, permission: permission, authorization: header)
            #expect(Callers.guarded.judge(request).status == 401)
        }
        let open = AccessRequest(method: .get, permission: nil, authorization: header)
        #expect(Callers.guarded.judge(open) == .allowed(.anonymous, cors: nil))
    }

    @Test(arguments: ["Bearer lh_token-of-admin", "bearer lh_token-of-admin", "BEARER   lh_token-of-admin"])
    func `the scheme is read without case`(header: String) {
        let request = AccessRequest(method: .post, permission: .administer, authorization: header)
        #expect(Callers.guarded.judge(request).caller?.name == "admin")
    }

    @Test(arguments: [(512, AccessRefusal.unknownToken), (513, .malformedToken)])
    func `a token of any length is not hashed`(length: Int, refusal: AccessRefusal) {
        let header = "Bearer " + String(repeating: "x", count: length)
        let request = AccessRequest(method: .get, permission: .view, authorization: header)
        #expect(Callers.guarded.judge(request).refusal == refusal)
    }

    @Test func `several roles allow what each of them allows`() throws {
        let entry = TokenEntry(name: "both", roles: [.viewer, .operator], digest: TokenDigest(of: "t"))
        let access = Access(tokens: TokenList([entry]))
        for (permission, status) in [
            (Permission.view, 200), (.lock, 200), (.operate, 200), (.administer, 403), (.join, 403),
        ] {
            let request = AccessRequest(method: .post, permission: permission, authorization: "Bearer t")
            #expect(access.judge(request).status == status)
        }
        let none = Access(tokens: TokenList([TokenEntry(name: "n", roles: [], digest: TokenDigest(of: "t"))]))
        #expect(none.judge(AccessRequest(method: .get, permission: .view, authorization: "Bearer t")).status == 403)
    }

    @Test func `without tokens everybody of this machine may do everything`() {
        for permission in Permission.allCases {
            for peer in [AccessRequest.Peer.unix, .loopback] {
                let request = AccessRequest(method: .post, permission: permission, peer: peer)
                #expect(Callers.open.judge(request) == .allowed(.local, cors: nil))
            }
            let foreign = AccessRequest(method: .post, permission: permission, peer: .other)
            #expect(Callers.open.judge(foreign).refusal == .notThisMachine)
        }
        #expect(Access.Caller.local.name.isEmpty && Access.Caller.local.by == "local")
    }

    @Test func `a token of yesterday does not matter where there are no tokens`() {
        let request = AccessRequest(method: .post, permission: .lock, authorization: "Bearer old")
        #expect(Callers.open.judge(request) == .allowed(.local, cors: nil))
    }

    @Test func `a file whose last token was revoked lets nobody in`() throws {
        let tokens = try TokenList.configured(file: TokenFile("# none\n"), bridgeToken: nil)
        #expect(tokens?.count == 0)
        let access = Access(tokens: tokens)
        for header in [nil, "Bearer ", Callers.bearer("admin")] {
            let request = AccessRequest(method: .get, permission: .view, authorization: header)
            #expect(access.judge(request).status == 401)
        }
    }

    @Test func `a token for another pool is refused here`() throws {
        let entry = TokenEntry(
            name: "a", roles: .all, digest: TokenDigest(of: "t"), pool: try PoolID("lab"))
        let request = AccessRequest(method: .get, permission: .view, authorization: "Bearer t")
        let here = Access(tokens: TokenList([entry]))
        #expect(here.judge(request).refusal == .otherPool(caller: "a", theirs: "lab", ours: "default"))
        let lab = try PoolID("lab")
        #expect(Access(tokens: TokenList([entry]), pool: lab).judge(request).caller?.pool == lab)
    }

    @Test(
        arguments: [
            (nil, "anything", true), ("ci-", "ci-17", true), ("ci-", "ci-", true), ("ci-", "CI-17", false),
            ("ci-", "ci", false), ("ci-", " ci-1", false), ("é", "e\u{301}-1", false), ("é", "é-1", true),
        ] as [(String?, String, Bool)])
    func `a caller with an id prefix locks only such ids`(prefix: String?, id: String, isAllowed: Bool) throws {
        let caller = Access.Caller(name: "ci", roles: [.client], idPrefix: prefix)
        let refusal = caller.refusal(toHold: try HolderID(id))
        #expect((refusal == nil) == isAllowed)
        #expect(refusal.map(\.status) ?? 403 == 403)
    }

    @Test func `the shared token of the original bridge is one entry`() throws {
        let tokens = try #require(try TokenList.configured(file: nil, bridgeToken: "my-secret"))
        let access = Access(tokens: tokens)
        for permission in Permission.allCases {
            let request = AccessRequest(method: .post, permission: permission, authorization: "Bearer my-secret")
            // Who had it before could not join agents by it either.
            guard permission != .join else {
                #expect(access.judge(request).status == 403)
                continue
            }
            #expect(access.judge(request).caller == Access.Caller(name: "bridge", roles: [.client, .operator, .admin]))
        }
        for text in [nil, ""] { #expect(try TokenList.configured(file: nil, bridgeToken: text)?.count == nil) }
        for text in ["a b", "ü", " ", String(repeating: "x", count: 513)] {
            #expect(throws: TokenFileError.self) { try TokenList.configured(file: nil, bridgeToken: text) }
        }
        let file = try TokenFile("x roles=viewer sha256=\(TokenDigest(of: "same").hex)")
        #expect(throws: TokenFileError.self) { try TokenList.configured(file: file, bridgeToken: "same") }
        #expect(try TokenList.configured(file: file, bridgeToken: "other")?.count == 2)
    }

    @Test(arguments: [
        (["127.0.0.1:8080"], true), (["localhost:8080", "[::1]:8080", "::1", "127.8.9.1"], true),
        (["unix:/run/l.sock", "/run/l.sock", "unix:///run/l.sock"], true), (["0.0.0.0:8080"], false), (["*:80"], false),
        (["127.0.0.1:8080", "10.0.0.1:8080"], false), (["[::]:8080"], false), (["gpu1:8080"], false),
        ([":8080"], false),
        (["localhost.example.com:80"], false), (["127.0.0.1.example.com"], false), (["1270.0.0.1"], false),
        ([""], false),
    ])
    func `without tokens it listens on this machine alone`(addresses: [String], isAllowed: Bool) throws {
        let refusal = Access.refusalToListen(on: addresses, tokens: nil)
        #expect((refusal == nil) == isAllowed)
        if let refusal { #expect(refusal.contains("leasehold token create NAME --role client")) }
        #expect(Access.refusalToListen(on: addresses, tokens: TokenList([])) == nil)
    }

    @Test(arguments: [
        ("unix", AccessRequest.Peer.unix), ("127.0.0.1:5000", .loopback), ("[::1]:5000", .loopback),
        ("[::ffff:127.0.0.1]:5000", .loopback), ("10.0.0.7:5000", .other), ("[fe80::1]:5000", .other), ("", .other),
        ("[::ffff:10.0.0.7]:1", .other),
    ])
    func `a peer is known by its address`(text: String, peer: AccessRequest.Peer) {
        #expect(AccessRequest.Peer(text) == peer)
    }

    @Test func `what is judged is read from the request`() {
        let request = HTTPRequest(
            method: .post, path: "/v1/gpu/lock",
            headers: [
                "host": "h:1", "origin": "http://o", "authorization": "Bearer t", "sec-fetch-site": "cross-site",
            ], peer: "10.0.0.7:1", isSecure: true)
        let read = AccessRequest(request, permission: .lock)
        #expect(read.host == "h:1" && read.origin == "http://o" && read.authorization == "Bearer t")
        #expect(read.fetchSite == "cross-site" && read.peer == .other && read.isSecure && read.permission == .lock)
    }

    @Test func `two Authorization headers are none`() {
        let request = HTTPRequest(
            method: .get, path: "/",
            headers: HTTPHeaders([
                ("Host", "localhost"), ("Authorization", Callers.bearer("admin")), ("Authorization", "Bearer x"),
            ]), peer: "127.0.0.1:1")
        #expect(Callers.guarded.judge(AccessRequest(request, permission: .view)).refusal == .malformedToken)
    }
}

@Suite struct AccessRefusalTests {
    static let all: [AccessRefusal] = [
        .noToken, .malformedToken, .unknownToken, .notThisMachine,
        .role(caller: "a", roles: [.viewer], needs: .admin), .otherPool(caller: "a", theirs: "x", ours: "y"),
        .foreignID(caller: "a", prefix: "ci-"), .wrongOrigin("null"), .wrongOrigin("https://\"evil\u{1B}[2J"),
        .crossSite,
        .wrongHost("evil\r\nX: y"), .tooManyRequests(retryAfter: .milliseconds(5)), .tooManyWaiting(limit: 3),
        .tooManyLeases(limit: 3), .tooManyStreams(limit: 3),
    ]

    @Test(arguments: all) func `a refusal says what is wrong and what to do`(refusal: AccessRefusal) throws {
        let response = refusal.response()
        let body = try #require(try JSONParser.parse(response.body).object)
        #expect(body.members.map(\.name) == ["error", "msg"])
        #expect(body["error"]?.string == refusal.word)
        let message = try #require(body["msg"]?.string)
        #expect(message.hasSuffix(".") && message.utf8.allSatisfy { $0 >= 0x20 } && message.count > 40)
        #expect(response.headers["Cache-Control"] == "no-store")
    }

    @Test func `a 401 has the original bridge's words and asks for a token`() {
        for refusal in Self.all where refusal.status == 401 {
            let response = refusal.response()
            #expect(
                String(decoding: response.body, as: UTF8.self).hasPrefix("{\"error\":\"Unauthorized. Invalid Token.\",")
            )
            #expect(response.headers["WWW-Authenticate"]?.hasPrefix("Bearer") == true)
        }
        for refusal in Self.all where refusal.status != 401 {
            #expect(refusal.response().headers["WWW-Authenticate"] == nil)
        }
    }

    @Test(arguments: [(1, "1"), (1000, "1"), (1001, "2"), (0, "1"), (59_999, "60")])
    func `Retry-After is in whole seconds, never too early`(milliseconds: Int, text: String) {
        let response = AccessRefusal.tooManyRequests(retryAfter: .milliseconds(milliseconds)).response()
        #expect(response.status == 429 && response.headers["Retry-After"] == text)
    }
}
