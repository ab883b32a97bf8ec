import HTTP
import RedisClient
import Testing

@testable import Coordinator

@Suite struct `What a joining agent is told` {
    private static let joiner = Caller(name: "rollout", roles: [.agent])

    private static func answer(
        own: String = "redis://10.0.0.5:6379", forAgents: String? = nil, peer: AccessRequest.Peer = .other,
        isSecure: Bool = true, headers: HTTPHeaders = [:], caller: Caller = joiner
    ) throws -> Result<String, JoinTerms.Refusal> {
        let request = HTTPRequest(
            method: .post, path: "/v1/agent/join", headers: headers,
            peer: peer == .unix ? "unix" : peer == .loopback ? "127.0.0.1:9" : "10.0.0.7:9", isSecure: isSecure)
        let terms = JoinTerms(
            own: try RedisEndpoint(parsing: own), forAgents: try forAgents.map { try RedisEndpoint(parsing: $0) })
        return terms.address(for: AccessRequest(request, permission: .join), caller).map(\.revealed)
    }

    @Test func `is where agents reach Redis, and else where the coordinator does`() throws {
        #expect(try Self.answer() == .success("redis://10.0.0.5:6379/0"))
        #expect(
            try Self.answer(own: "redis://c:x@10.0.0.5", forAgents: "redis://agent:p%40ss@10.0.0.5:6379/2")
                == .success("redis://agent:p%40ss@10.0.0.5:6379/2"))
        // A forwarder on each machine, as docs/redis.md has it for TLS, is what somebody has to say.
        #expect(try Self.answer(forAgents: "redis://127.0.0.1:6379") == .success("redis://127.0.0.1:6379/0"))
    }

    @Test(arguments: [
        "redis://127.0.0.1:6379", "redis://localhost", "redis://[::1]:6379", "unix:///run/redis.sock",
        "redis://0.0.0.0",
        "sentinel://127.0.0.1:26379,10.0.0.5:26379/pool", "redis+cluster://localhost:7000",
    ])
    func `is nothing that means another Redis there`(own: String) throws {
        #expect(try Self.answer(own: own) == .failure(.noAddress))
        // On the coordinator's own machine it means the same.
        #expect(try Self.answer(own: own, peer: .loopback, isSecure: false).isTold)
        #expect(try Self.answer(own: own, peer: .unix, isSecure: false).isTold)
        let proxied: HTTPHeaders = ["X-Forwarded-For": "10.0.0.7", "X-Forwarded-Proto": "https"]
        #expect(try Self.answer(own: own, peer: .loopback, headers: proxied) == .failure(.noAddress))
    }

    @Test func `is told only where nobody else can read it`() throws {
        #expect(try Self.answer(isSecure: false) == .failure(.inClear))
        #expect(try Self.answer(peer: .loopback, isSecure: false).isTold)
        #expect(try Self.answer(peer: .unix, isSecure: false).isTold)
        for name in ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"] {
            #expect(try Self.answer(peer: .loopback, isSecure: false, headers: [name: "x"]) == .failure(.inClear))
            let withTLS: HTTPHeaders = [name: "x", "X-Forwarded-Proto": "https"]
            #expect(try Self.answer(peer: .loopback, isSecure: false, headers: withTLS).isTold)
            // What a stranger claims of itself is no proxy's word.
            #expect(try Self.answer(isSecure: false, headers: withTLS) == .failure(.inClear))
        }
        #expect(try Self.answer(isSecure: false, headers: ["X-Forwarded-Proto": "https"]) == .failure(.inClear))
    }

    @Test(arguments: ["Origin", "Sec-Fetch-Site"]) func `is told to no page`(header: String) throws {
        #expect(try Self.answer(headers: [header: "http://localhost"]) == .failure(.byPage))
        #expect(try Self.answer(peer: .loopback, headers: [header: "same-origin"], caller: .local) == .failure(.byPage))
    }

    @Test func `has a password in it only for somebody who has proved to be somebody`() throws {
        let secret = "redis://:hunter2@127.0.0.1:6379"
        #expect(try Self.answer(own: secret, peer: .loopback, caller: .local) == .failure(.withoutTokens))
        #expect(try Self.answer(own: secret, peer: .unix, caller: .local) == .failure(.withoutTokens))
        #expect(try Self.answer(own: "redis://127.0.0.1", peer: .unix, caller: .local).isTold)
        let root = Caller(name: "user.root", roles: .all)
        #expect(try Self.answer(own: secret, peer: .unix, caller: root) == .success(secret + "/0"))
    }

    @Test func `is refused with words`() {
        #expect(
            JoinTerms.Refusal.allCases.map { "\($0.reply.status)" } == ["403", "403", "403", "409"])
    }
}

extension Result where Failure == JoinTerms.Refusal {
    fileprivate var isTold: Bool { (try? get()) != nil }
}
