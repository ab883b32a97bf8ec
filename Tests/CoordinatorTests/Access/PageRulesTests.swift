import HTTP
import LeaseModel
import Testing

@testable import Coordinator

/// What pages may do, with tokens and without.
@Suite struct PageRulesTests {
    static func request(
        _ method: HTTPMethod, _ permission: Permission?, origin: String?, host: String? = "localhost:8080",
        site: String? = nil, isSecure: Bool = false
    ) -> AccessRequest {
        AccessRequest(
            method: method, permission: permission, authorization: Callers.bearer("admin"), origin: origin, host: host,
            fetchSite: site, isSecure: isSecure)
    }

    @Test(arguments: [
        "http://localhost:3000", "https://localhost", "http://LOCALHOST:1", "http://app.localhost:3000",
        "http://127.0.0.1:5173", "http://127.0.0.2", "https://[::1]:8443",
    ])
    func `pages of this machine may call and read`(origin: String) {
        for access in [Callers.open, Callers.guarded] {
            for method in [HTTPMethod.get, .post] {
                let verdict = access.judge(Self.request(method, .lock, origin: origin))
                #expect(verdict.status == 200 && verdict.cors == origin)
            }
        }
    }

    @Test(arguments: [
        "https://evil.example", "http://evil.example:8080", "null", "", "http://localhost.evil.example",
        "http://localhost@evil.example", "http://evillocalhost:3000", "http://127.0.0.1.evil.example",
        "http://localhost:3000/", "http://localhost:3000 http://evil.example", "file://", "http://localhost:",
        "localhost",
        "http://localhost:99999", "http://localhost:0", "http://localhost:08080", "chrome-extension://localhost",
        "http://[::1", "http://[evil]:80", "http://user:pw@localhost", "http://localhost:3000#",
        "http://\u{212A}localhost",
    ])
    func `a page of elsewhere changes nothing and reads nothing`(origin: String) {
        for access in [Callers.open, Callers.guarded] {
            for method in [HTTPMethod.post, .put, .delete, .patch, .options, .other] {
                for permission in [nil, .view, .lock, .administer] as [Permission?] {
                    let verdict = access.judge(Self.request(method, permission, origin: origin))
                    #expect(verdict.refusal?.word == "wrong_origin" && verdict.status == 403 && verdict.cors == nil)
                }
            }
            #expect(access.judge(Self.request(.get, .view, origin: origin)).refusal?.word == "wrong_origin")
            let open = access.judge(Self.request(.get, nil, origin: origin))
            #expect(open.status == 200 && open.cors == nil)
        }
    }

    @Test(arguments: [
        ("http://localhost:8080", "localhost:8080", false, true), ("http://gpu:8080", "gpu:8080", false, true),
        ("http://gpu:8080", "GPU:8080", false, true), ("http://gpu", "gpu:80", false, true),
        ("https://gpu", "gpu", true, true), ("https://gpu", "gpu:443", true, true), ("https://gpu", "gpu", false, true),
        ("http://gpu", "gpu", true, false), ("http://gpu:8080", "gpu:8081", false, false),
        ("https://gpu", "gpu:80", false, false), ("http://gpu2:8080", "gpu:8080", false, false),
        ("http://10.0.0.1:8080", "10.0.0.1:8080", false, true),
        ("http://[fd00::1]:8080", "[fd00::1]:8080", false, true),
        ("ftp://gpu", "gpu", false, false),
    ])
    func `its own pages may call it`(origin: String, host: String, isSecure: Bool, isAllowed: Bool) throws {
        let access = Access(tokens: TokenList(Callers.entries), origins: try OriginRules([]), hosts: ["gpu"])
        let verdict = access.judge(
            Self.request(.post, .administer, origin: origin, host: host, isSecure: isSecure))
        #expect((verdict.status == 200) == isAllowed)
        #expect(verdict.cors == nil)
        #expect(isAllowed || verdict.refusal == .wrongOrigin(origin))
    }

    @Test func `a list of origins takes the place of the standard one`() throws {
        let rules = try OriginRules(["https://app.example.com", "http://dev.example.com:*", "app://main"])
        let access = Access(tokens: nil, origins: rules)
        for (origin, isAllowed) in [
            ("https://app.example.com", true), ("https://app.example.com:443", true), ("HTTPS://APP.example.com", true),
            ("http://app.example.com", false), ("https://app.example.com:8443", false),
            ("https://x.app.example.com", false), ("https://app.example.com.evil.example", false),
            ("http://dev.example.com", true), ("http://dev.example.com:3000", true),
            ("https://dev.example.com:3000", false),
            ("app://main", true), ("http://localhost:3000", false), ("http://localhost:8080", true),
        ] {
            let verdict = access.judge(Self.request(.post, .lock, origin: origin))
            #expect((verdict.status == 200) == isAllowed, "\(origin)")
        }
        let both = Access(tokens: nil, origins: try OriginRules(["https://a.example", "localhost"]))
        #expect(both.judge(Self.request(.post, .lock, origin: "http://localhost:3000")).status == 200)
    }

    @Test(arguments: [
        "*", "", "null", "app.example.com", "https://", "https://*.example.com", "https://a/b", "https://a:*/",
        "http://a:x",
        "https://a:80:*", "http://a b", "://a", "1a://b",
    ])
    func `what is no origin is not taken into the list`(text: String) {
        #expect(throws: OriginError.self) { try OriginRules([text]) }
    }

    @Test(
        arguments: [
            (nil, 200, 200), ("none", 200, 200), ("same-origin", 200, 200), ("same-site", 200, 403),
            ("cross-site", 403, 403),
            ("anything", 403, 403),
        ] as [(String?, Int, Int)])
    func `a browser that tells the site but no origin is believed`(site: String?, reading: Int, changing: Int) {
        for access in [Callers.open, Callers.guarded] {
            #expect(access.judge(Self.request(.get, .view, origin: nil, site: site)).status == reading)
            #expect(access.judge(Self.request(.post, .view, origin: nil, site: site)).status == changing)
            #expect(access.judge(Self.request(.get, nil, origin: nil, site: site)).status == 200)
        }
    }

    @Test func `a refusal can be read by the page that may call`() {
        let request = AccessRequest(
            method: .post, permission: .administer, authorization: Callers.bearer("viewer"),
            origin: "http://localhost:3000")
        let verdict = Callers.guarded.judge(request)
        #expect(verdict.refusal?.word == "forbidden" && verdict.cors == "http://localhost:3000")
        let without = AccessRequest(method: .post, permission: .lock, origin: "http://localhost:3000")
        #expect(Callers.guarded.judge(without) == .refused(.noToken, cors: "http://localhost:3000"))
    }

    @Test func `a preflight needs no token and is refused to pages of elsewhere`() {
        let asked = AccessRequest(method: .options, permission: .administer, origin: "http://localhost:3000")
        #expect(Callers.guarded.judge(asked) == .allowed(.anonymous, cors: "http://localhost:3000"))
        let foreign = AccessRequest(method: .options, permission: .administer, origin: "https://evil.example")
        #expect(Callers.guarded.judge(foreign).refusal == .wrongOrigin("https://evil.example"))
    }

    @Test func `an unlock by sendBeacon is held to the same rules`() {
        let beacon = { (origin: String) in
            let request = HTTPRequest(
                method: .post, path: "/v1/gpu/unlock",
                headers: [
                    "Host": "localhost:8080", "Origin": origin, "Content-Type": "text/plain;charset=UTF-8",
                    "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors",
                ], body: Array("{\"token\":\"t\"}".utf8), peer: "127.0.0.1:5000")
            return Callers.open.judge(AccessRequest(request, permission: .lock)).status
        }
        #expect(beacon("http://127.0.0.1:3000") == 200)
        #expect(beacon("https://evil.example") == 403)
        #expect(beacon("null") == 403)
    }
}

/// The guard against names that come to point at this machine.
@Suite struct HostRulesTests {
    static let own = [
        "localhost", "localhost:8080", "LocalHost:8080", "localhost.", "app.localhost:1", "127.0.0.1", "127.1.2.3:80",
        "[::1]", "[::1]:8080", "10.0.0.7:8080", "192.168.1.5", "[fe80::1]:80", "[2001:db8::7]", "gpu1.example.com:8080",
        "GPU1.example.com", "gpu1.example.com.", "node7:9090",
    ]
    static let foreign = [
        "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "",
        ":8080", "gpu1.example.com.evil.example", "xgpu1.example.com", "1.2.3.4.5", "256.1.1.1", "1.2.3", "0x7f.1",
        "2130706433", "[evil]", "[", "[]", "[::1].evil.example", "1.2.3.4evil", "node7.evil.example", "localhost..",
        ".",
    ]

    @Test func `its own names and addresses in numbers are taken`() {
        let rules = HostRules(
            names: ["gpu1.example.com"], addresses: ["0.0.0.0:80", "*:80", "Node7:8080", ":8080", "unix:/run/l.sock"])
        for host in Self.own { #expect(rules.allow(host), "\(host)") }
        for host in Self.foreign { #expect(!rules.allow(host), "\(host)") }
    }

    @Test func `a rebound name is refused where there are no tokens`() {
        let access = Access(tokens: nil, hosts: ["gpu1.example.com"], addresses: ["node7:8080"])
        for method in [HTTPMethod.get, .post] {
            for permission in [nil, .view, .administer] as [Permission?] {
                for host in Self.foreign {
                    let request = AccessRequest(method: method, permission: permission, host: host)
                    #expect(access.judge(request).refusal == .wrongHost(host))
                    // The page has the very name that it was rebound under, so its origin looks like our own.
                    let page = PageRulesTests.request(method, permission, origin: "http://\(host)", host: host)
                    #expect(access.judge(page).refusal == .wrongHost(host))
                }
                for host in Self.own {
                    #expect(
                        access.judge(AccessRequest(method: method, permission: permission, host: host)).status == 200)
                }
            }
        }
    }

    @Test func `with tokens programs may call it what they like, pages may not`() {
        for host in Self.foreign where !host.isEmpty {
            let program = AccessRequest(
                method: .post, permission: .lock, authorization: Callers.bearer("client"), host: host)
            #expect(Callers.guarded.judge(program).status == 200)
            var page = program
            page.origin = "http://\(host)"
            #expect(Callers.guarded.judge(page).refusal == .wrongHost(host))
        }
    }

    @Test func `an old client without a Host is a program`() {
        #expect(Callers.open.judge(AccessRequest(method: .get, permission: .view, host: nil)).status == 200)
        let page = PageRulesTests.request(.post, .view, origin: "https://evil.example", host: nil)
        #expect(Callers.open.judge(page).status == 403)
    }
}

@Suite struct BrowserHeadersTests {
    static func options(_ extra: [(String, String)]) -> HTTPRequest {
        HTTPRequest(method: .options, path: "/v1/gpu/lock", headers: HTTPHeaders([("Host", "localhost")] + extra))
    }

    @Test func `a preflight is told what the browser client needs`() {
        let response = BrowserHeaders.answerToOptions(
            Self.options([("Access-Control-Request-Method", "POST")]), allowed: nil, cors: "http://localhost:3000")
        #expect(response.status == 204 && response.body.isEmpty)
        let headers = response.headers
        #expect(headers["Access-Control-Allow-Origin"] == "http://localhost:3000")
        #expect(headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS")
        #expect(headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, Last-Event-ID")
        #expect(headers["Access-Control-Max-Age"] != nil && headers["Vary"] == "Origin")
        #expect(headers["Access-Control-Allow-Private-Network"] == nil)
        #expect(headers["Access-Control-Allow-Credentials"] == nil)
    }

    @Test func `a page from the internet may reach into a private network where it is allowed`() {
        let asks = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Private-Network", "true")]
        let allowed = BrowserHeaders.answerToOptions(Self.options(asks), allowed: nil, cors: "https://app.example.com")
        #expect(allowed.headers["Access-Control-Allow-Private-Network"] == "true")
        let refused = BrowserHeaders.answerToOptions(Self.options(asks), allowed: nil, cors: nil)
        #expect(refused.headers["Access-Control-Allow-Private-Network"] == nil)
        #expect(refused.headers["Access-Control-Allow-Methods"] == nil)
    }

    @Test func `OPTIONS of a program is answered with what there is`() {
        let response = BrowserHeaders.answerToOptions(Self.options([]), allowed: Route.lock.allowed, cors: nil)
        #expect(response.headers["Allow"] == "POST, OPTIONS")
        #expect(!response.headers.contains { $0.name.hasPrefix("Access-Control") })
    }

    @Test func `the dashboard takes nothing from elsewhere and is framed by nobody`() throws {
        var headers = HTTPHeaders()
        BrowserHeaders.add(to: &headers, kind: .page, cors: nil)
        let policy = try #require(headers["Content-Security-Policy"])
        for part in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            #expect(policy.contains(part))
        }
        #expect(!policy.contains("unsafe"))
        #expect(headers["X-Content-Type-Options"] == "nosniff" && headers["Referrer-Policy"] == "no-referrer")
        #expect(headers["Cross-Origin-Opener-Policy"] == "same-origin")
    }

    @Test func `the module can be imported from allowed origins, data is not embedded`() {
        var module = HTTPHeaders()
        BrowserHeaders.add(to: &module, kind: .module, cors: "http://localhost:3000")
        #expect(module["Cross-Origin-Resource-Policy"] == "cross-origin")
        #expect(module["Access-Control-Allow-Origin"] == "http://localhost:3000" && module["Vary"] == "Origin")
        var data = HTTPHeaders()
        BrowserHeaders.add(to: &data, cors: nil)
        #expect(data["Cross-Origin-Resource-Policy"] == "same-origin" && data["Access-Control-Allow-Origin"] == nil)
        #expect(data["Vary"] == "Origin" && data["X-Content-Type-Options"] == "nosniff")
    }
}
