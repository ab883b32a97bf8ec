import RedisClient
import Testing

@Suite struct RedisEndpointTests {
    @Test(arguments: [
        ("redis://h", tcp("h")),
        ("redis://h:6380", tcp("h", 6380)),
        ("redis://h:6380/", tcp("h", 6380)),
        ("redis://h/2", tcp("h", database: 2)),
        ("redis://h?db=2", tcp("h", database: 2)),
        ("REDIS://10.0.0.1:1/0", tcp("10.0.0.1", 1)),
        ("redis://[::1]:7000/1", tcp("::1", 7000, database: 1)),
        ("redis://[fe80::1]", tcp("fe80::1")),
        ("redis://:secret@h", tcp("h", password: "secret")),
        ("redis://u:p@h", tcp("h", user: "u", password: "p")),
        ("redis://u:@h", tcp("h", user: "u", password: "")),
        ("redis://u%3a:a%40b%2Fc:d@h", tcp("h", user: "u:", password: "a@b/c:d")),
        ("redis://u:p@q@h", tcp("h", user: "u", password: "p@q")),
        ("localhost", tcp("localhost")),
        ("localhost:6390", tcp("localhost", 6390)),
        ("unix:///run/redis.sock", unix("/run/redis.sock")),
        ("unix:///run/redis.sock?db=4", unix("/run/redis.sock", database: 4)),
        ("unix://u:p@/run/r%20s", unix("/run/r s", user: "u", password: "p")),
        ("/run/redis.sock", unix("/run/redis.sock")),
        ("./redis.sock", unix("./redis.sock")),
    ])
    func `an address is understood`(text: String, endpoint: RedisEndpoint) throws {
        #expect(try RedisEndpoint(parsing: text) == endpoint)
    }

    @Test func `an address that is written out is understood as the same`() throws {
        let odd = ["a", "p@ss:w/rd", "100%", "ü", "?db=1&x#y", "[]", "a,b", "-._~", "", "\u{1}\n"]
        for user in odd {
            for password in odd {
                let name = user.isEmpty ? nil : user
                let written = [
                    Self.tcp("h", 1, user: name, password: password, database: 7), Self.tcp("fe80::1%eth0"),
                    Self.unix("/run/r s/ü?", user: name, password: password, database: 3),
                    Self.sentinels(
                        ["a": 1, "::1": 2], "my/master?", user: name, password: password, database: 2,
                        at: (user, password)),
                    Self.cluster(["a": 1, "b": 6379], password: password),
                ]
                for endpoint in written {
                    #expect(try RedisEndpoint(parsing: endpoint.revealed) == endpoint, "\(endpoint.revealed)")
                    // One line of a file, without quotes.
                    #expect(
                        endpoint.revealed.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x5C && $0 != 0x22 })
                }
            }
        }
    }

    @Test(arguments: [
        ("sentinel://a/m", sentinels(["a": 26379], "m")),
        ("sentinel://a:1,b:2,[::1]:3,a:1/my%2Fmaster", sentinels(["a": 1, "b": 2, "::1": 3], "my/master")),
        (
            "redis+sentinel://u:p@a:1,b/m/2",
            sentinels(["a": 1, "b": 26379], "m", user: "u", password: "p", database: 2)
        ),
        (
            "sentinel://:p@a/m?sentinel-user=s&sentinel-password=x%26y&db=3",
            sentinels(["a": 26379], "m", password: "p", database: 3, at: ("s", "x&y"))
        ),
        ("redis+cluster://a,b:7001", cluster(["a": 6379, "b": 7001])),
        ("cluster://:p@a:7000/0", cluster(["a": 7000], password: "p")),
    ])
    func `sentinels and clusters are understood, and again from their description`(
        text: String, endpoint: RedisEndpoint
    ) throws {
        #expect(try RedisEndpoint(parsing: text) == endpoint)
        #expect(!endpoint.description.contains("p@") && !endpoint.description.contains("password"))
        if !text.contains("%2F") {
            let again = try RedisEndpoint(parsing: endpoint.description)
            #expect(again.description == endpoint.description)
        }
    }

    @Test(arguments: [
        "sentinel://a", "sentinel://a/", "sentinel:///m", "sentinel://a,,b/m", "sentinel://a:0/m", "sentinel://a/m/x",
        "sentinel://a/m/1?db=2", "sentinel://a/m?password=x", "sentinel://a/m?sentinel-password", "sentinel://u@a/m",
        "redis+cluster://", "redis+cluster://a,", "redis+cluster://a/1", "redis+cluster://a?db=0", "cluster://a:x",
    ])
    func `what is neither is refused`(text: String) {
        let error = #expect(throws: RedisError.self) { try RedisEndpoint(parsing: text) }
        #expect(error?.kind == .badURL)
    }

    @Test(arguments: [
        "", "redis://", "redis://:6379", "redis://h:", "redis://h:0", "redis://h:65536", "redis://h:+1", "redis://h:1x",
        "redis://h:123456", "redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h/1?db=2", "redis://h?x=1",
        "redis://u@h", "redis://::1", "redis://[::1", "redis://[::1]x", "redis://h%", "redis://h%4", "redis://h%zz",
        "redis://h%00", "redis://h%ff", "redis://u:p%@h", "redis://a b", "redis://a\n", "rediss://h", "http://h",
        "unix://", "unix://host", "unix://host/path", "unix:///p?db=", "unix:///p?db=99999", "a:b:c",
        "/" + String(repeating: "x", count: 107),
    ])
    func `what is no address is refused`(text: String) {
        let error = #expect(throws: RedisError.self) { try RedisEndpoint(parsing: text) }
        #expect(error?.kind == .badURL)
    }

    @Test func `a password is never shown`() throws {
        let endpoint = try RedisEndpoint(parsing: "redis://anna:hunter2@h/1")
        #expect(!"\(endpoint) \(String(reflecting: endpoint)) \(String(describing: [endpoint]))".contains("hunter2"))
        var dumped = ""
        dump(endpoint, to: &dumped)
        #expect(!dumped.contains("hunter2"))
        for text in [
            "redis://anna:hunter2@h:x", "redis://anna:hunter2@h/y", "rediss://a:hunter2@h", "unix://a:hunter2@h/",
        ] {
            let error = #expect(throws: RedisError.self) { try RedisEndpoint(parsing: text) }
            #expect(error?.message.contains("hunter2") == false)
        }
    }

    @Test func `no text traps, and what is understood is understood again from its description`() throws {
        let pieces = [
            "redis://", "unix://", "rediss://", "sentinel://", "redis+cluster://", ",", "/m", "/", "//", ":", "@", "?",
            "db=", "[", "]", "::1", "%", "%2", "%2f",
            "%ff",
            "%00", "h", "6379", "0", "99999999999999999999", "-1", "é", "🙂", "u", "=", "&", "#", ".", " ", "\u{0}",
        ]
        var generator = SplitMix(state: 20_261_124)
        for _ in 0..<50_000 {
            let text = (0..<Int.random(in: 0...7, using: &generator))
                .map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            guard let endpoint = try? RedisEndpoint(parsing: text) else { continue }
            #expect(endpoint.database >= 0)
            if case .server(.tcp(let host, let port)) = endpoint.target {
                #expect(!host.isEmpty && (1...65535).contains(port), "\(text)")
            }
        }
    }

    private static func nodes(_ places: KeyValuePairs<String, Int>) -> [RedisEndpoint.Address] {
        places.map { .tcp(host: $0.key, port: $0.value) }
    }

    private static func sentinels(
        _ places: KeyValuePairs<String, Int>, _ master: String, user: String? = nil, password: String? = nil,
        database: Int = 0, at logIn: (String?, String?) = (nil, nil)
    ) -> RedisEndpoint {
        let sentinels = RedisEndpoint.Sentinels(
            nodes: nodes(places), master: master, user: logIn.0, password: logIn.1)
        return RedisEndpoint(target: .sentinels(sentinels), user: user, password: password, database: database)
    }

    private static func cluster(_ places: KeyValuePairs<String, Int>, password: String? = nil) -> RedisEndpoint {
        RedisEndpoint(target: .cluster(seeds: nodes(places)), password: password)
    }

    private static func tcp(
        _ host: String, _ port: Int = 6379, user: String? = nil, password: String? = nil, database: Int = 0
    ) -> RedisEndpoint {
        RedisEndpoint(address: .tcp(host: host, port: port), user: user, password: password, database: database)
    }

    private static func unix(
        _ path: String, user: String? = nil, password: String? = nil, database: Int = 0
    ) -> RedisEndpoint {
        RedisEndpoint(address: .unix(path: path), user: user, password: password, database: database)
    }
}

/// The same numbers on every run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
