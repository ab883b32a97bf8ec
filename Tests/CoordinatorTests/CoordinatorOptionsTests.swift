import HTTP
import LeaseModel
import RedisClient
import Settings
import Testing

@testable import Coordinator

@Suite struct `What leasehold-coordinator is told` {
    private func options(_ arguments: String..., environment: [String: String] = [:]) throws -> CoordinatorOptions {
        guard
            case .settings(let given) = try CoordinatorOptions.table.read(
                arguments: arguments, environment: environment)
        else { throw SettingsError("no settings") }
        return try CoordinatorOptions(given, environment: environment, version: "1")
    }

    private func refusal(_ arguments: String...) -> String {
        do {
            guard case .settings(let given) = try CoordinatorOptions.table.read(arguments: arguments, environment: [:])
            else { return "no settings" }
            _ = try CoordinatorOptions(given, environment: [:], version: "1")
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    @Test func `nothing serves the default pool on this machine alone`() throws {
        let settings = try options().settings
        #expect(settings.listen == [.tcp(host: "localhost", port: 8080)])
        #expect(settings.pool == .standard && settings.scope == .pool && settings.tls == nil)
        #expect(settings.longestTTL == .seconds(600) && settings.waitingLimit == 10_000)
        #expect(settings.redis.description == "redis://127.0.0.1:6379/0")
    }

    @Test func `flags come before variables`() throws {
        let environment = ["LEASEHOLD_POOL": "b", "LEASEHOLD_SCOPE": "host=n1", "LEASEHOLD_MAX_TTL": "30"]
        let settings = try options("--pool", "a", environment: environment).settings
        #expect(settings.pool.text == "a")
        #expect(settings.scope.text == "host=n1" && settings.longestTTL == .seconds(30))
    }

    @Test func `addresses may be of several kinds`() throws {
        let settings = try options(
            "--listen", "127.0.0.1:0", "--listen=[::1]:9090", "--listen", "*:80", "--listen", "unix:/run/l.sock",
            "--listen", "unix:///run/m.sock"
        ).settings
        #expect(
            settings.listen == [
                .tcp(host: "127.0.0.1", port: 0), .tcp(host: "::1", port: 9090), .tcp(host: "*", port: 80),
                .unix(path: "/run/l.sock"), .unix(path: "/run/m.sock"),
            ])
        #expect(
            settings.listen.map(\.description) == [
                "127.0.0.1:0", "[::1]:9090", "*:80", "unix:/run/l.sock", "unix:/run/m.sock",
            ])
        for text in [
            "", ":", "8080", "host:", ":80", "host:65536", "host:-1", "host:+80", "host:8o", "unix:", "unix://",
        ] {
            #expect(CoordinatorSettings.Listen(parsing: text) == nil, "\(text)")
        }
    }

    @Test func `a scope is the pool or a host`() throws {
        #expect(Scope(parsing: "pool") == .pool)
        #expect(Scope(parsing: "host=n1")?.text == "host=n1")
        for text in ["", "Pool", "host=", "host=a b", "unit=n1/0", "n1"] {
            #expect(Scope(parsing: text) == nil, "\(text)")
        }
        let scope = Scope.host(try HostID("n1"))
        let (own, other) = (try UnitID("n1/0"), try UnitID("n11/0"))
        #expect(scope.covers(own) && !scope.covers(other))
        for text in ["gpu/any", "gpu/host=n1", "gpu/unit=n1/3", "gpu/any?vram=3"] {
            #expect(scope.concerns(gpuSelector: text))
        }
        for text in ["gpu/host=n11", "gpu/unit=n11/0", "model-load/any"] {
            #expect(!scope.concerns(gpuSelector: text), "\(text)")
        }
    }

    @Test func `mistakes are told with the way out`() {
        #expect(refusal("--tls-key", "k") == "--tls-key needs --tls-certificate as well: the path of its certificate.")
        #expect(refusal("--tls-certificate", "c") == "--tls-certificate needs --tls-key as well: the path of its key.")
        #expect(refusal("--max-ttl", "601").contains("--max-ttl"))
        #expect(refusal("--max-waiters", "0").contains("--max-waiters"))
        #expect(refusal("--pool", "a b").contains("--pool"))
        #expect(refusal("--listen", "nowhere").contains("HOST:PORT"))
        #expect(refusal("--nonsense") != "taken" && refusal("extra") != "taken")
        #expect(!refusal("--redis", "http://user:hunter2@x").contains("hunter2"))
    }

    @Test func `agents may be told another address than the coordinator's own`() throws {
        #expect(try options().settings.agentRedis == nil)
        let settings = try options("--agent-redis", "redis://agent:x@10.0.0.5").settings
        #expect(
            settings.agentRedis
                == RedisEndpoint(address: .tcp(host: "10.0.0.5", port: 6379), user: "agent", password: "x"))
        #expect(settings.redis.description == "redis://127.0.0.1:6379/0")
        #expect(!refusal("--agent-redis", "http://user:hunter2@x").contains("hunter2"))
    }

    @Test func `certificates of clients need a certificate of one's own and a file that says whom they mean`() throws {
        let server = ["--tls-certificate", "/c", "--tls-key", "/k"]
        #expect(refusal("--tls-client-ca", "/ca").contains("needs --tls-certificate"))
        #expect(
            refusal(server[0], server[1], server[2], server[3], "--tls-client-ca", "/ca").contains("needs --tokens"))
        let settings = try options(
            server[0], server[1], server[2], server[3], "--tls-client-ca", "/ca", "--tokens", "/t"
        ).settings
        #expect(settings.tls == TLSSettings(certificatePath: "/c", keyPath: "/k", clientAuthoritiesPath: "/ca"))
    }
}
