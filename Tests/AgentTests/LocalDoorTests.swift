import EventLoop
import HTTP
import JSON
import LeaseModel
import LeaseStore
import Synchronization
import TestSupport
import Testing

@testable import Agent

@Suite struct `An agent's own door` {
    @Test func `tells current from stale, also with Redis down`() async throws {
        try await withScene { scene in
            var settings = try scene.settings()
            settings.verifyListen = (host: "127.0.0.1", port: 0)
            let agent = try await scene.start(settings)
            let lease = try await scene.grant("t1")
            let port = try #require(await agent.verifyPort)
            scene.redis.pause()
            let tcp = HTTPEndpoint.tcp(host: "127.0.0.1", port: port, isSecure: false)
            let unix = HTTPEndpoint.unix(path: Agent.socketPath(in: settings.stateDirectory))
            for endpoint in [tcp, unix] {
                let current = try await scene.post("/v1/gpu/verify", verify(lease), to: endpoint)
                #expect(current.status == 200)
                #expect(current.word("status") == "current")
                #expect(current.word("holder") == "holder-t1")
                let earlier = LeaseID(unit: lease.unit, fencing: FencingToken(7))
                #expect(try await scene.post("/v1/gpu/verify", verify(earlier), to: endpoint).word("status") == "stale")
            }
            scene.redis.resume()
        }
    }

    @Test func `refuses what it does not understand with what to do`() async throws {
        try await withScene { scene in
            let settings = try scene.settings()
            try await scene.start(settings)
            let unix = HTTPEndpoint.unix(path: Agent.socketPath(in: settings.stateDirectory))
            let calls: [(String, String, Int)] = [
                ("/v1/gpu/verify", "{}", 400), ("/v1/gpu/verify", "[", 400),
                ("/v1/gpu/verify", #"{"unit":"h1/9","fencing_token":1}"#, 404), ("/v1/gpu/lock", "{}", 404),
                ("/health", "{}", 405), ("/v1/agent/processes", "{}", 400),
                ("/v1/agent/processes", #"{"token":"h1/0#5.secret","pid":2}"#, 409),
            ]
            for (path, body, status) in calls {
                let answer = try await scene.post(path, body, to: unix)
                #expect(answer.status == status, "\(path) \(body)")
                #expect(answer.word("msg") != nil)
            }
        }
    }

    @Test func `takes what runs under a lease on its socket alone`() async throws {
        try await withScene { scene in
            var settings = try scene.settings()
            settings.verifyListen = (host: "127.0.0.1", port: 0)
            let agent = try await scene.start(settings)
            let secret = SecureRandom.randomHex(bytes: 16)
            _ = try await scene.store.ask(
                Ask(
                    ticket: TicketID("t1"), selector: .anyGPU, holder: try HolderID("run"), caller: "",
                    priority: .standard, ttl: .seconds(60), coordinator: InstanceID("c1"),
                    token: TokenHash(Digest.sha256Hex(secret)), metadata: "", age: .fresh))
            let lease = try await scene.held("t1")
            let child = try await scene.process("sleep 60", for: lease)
            let body = #"{"token":"\#(lease.text).\#(secret)","pid":\#(child.processID)}"#
            let port = try #require(await agent.verifyPort)
            let tcp = HTTPEndpoint.tcp(host: "127.0.0.1", port: port, isSecure: false)
            #expect(try await scene.post("/v1/agent/processes", body, to: tcp).status == 404)
            let unix = HTTPEndpoint.unix(path: Agent.socketPath(in: settings.stateDirectory))
            #expect(try await scene.post("/v1/agent/processes", body, to: unix).word("status") == "watched")
            _ = try await scene.store.revoke(.lease(lease), mode: .revoke, by: "ann", why: "test")
            #expect(await child.finish().exit == .signalled(15))
        }
    }

    @Test func `ends what runs under a lease when who keeps it is gone, and not because it was away itself`()
        async throws
    {
        try await withScene { scene in
            let settings = try scene.settings()
            let first = try await scene.start(settings)
            let secret = SecureRandom.randomHex(bytes: 16)
            _ = try await scene.store.ask(
                Ask(
                    ticket: TicketID("t1"), selector: .anyGPU, holder: try HolderID("run"), caller: "",
                    priority: .standard, ttl: .seconds(600), coordinator: InstanceID("c1"),
                    token: TokenHash(Digest.sha256Hex(secret)), metadata: "", age: .fresh))
            let lease = try await scene.held("t1")
            let child = try await scene.process("sleep 60", for: lease)
            let keeper = try await scene.process("sleep 60", for: lease)
            let body = #"{"token":"\#(lease.text).\#(secret)","pid":\#(child.processID),"keeper":\#(keeper.processID)}"#
            let unix = HTTPEndpoint.unix(path: Agent.socketPath(in: settings.stateDirectory))
            let client = HTTPClient(loop: scene.redis.loop)
            let isOpen = Mutex(false)
            let stream = Task {
                try await client.stream(
                    "/v1/agent/processes", from: unix, body: Array(body.utf8), timeout: .seconds(10),
                    silence: .seconds(60), onOpen: { isOpen.withLock { $0 = true } }, onEvent: { _ in })
            }
            try await eventually("the agent watches") { isOpen.withLock { $0 } }
            await first.stop()
            #expect(try await stream.value.status == 200, "the agent's end is the stream's end")
            client.close()
            let second = try await scene.start(settings)
            #expect(await scene.state(at: second) == "held \(lease)")
            try await scene.redis.loop.run { keeper.signal(.kill) }
            #expect(await child.finish().exit == .signalled(15))
            try await scene.waitUntilGone("t1")
        }
    }

    private func verify(_ lease: LeaseID) -> String {
        #"{"unit":"\#(lease.unit)","fencing_token":\#(lease.fencing)}"#
    }
}

extension Scene {
    fileprivate func post(_ path: String, _ body: String, to endpoint: HTTPEndpoint) async throws -> HTTPResponse {
        let client = HTTPClient(loop: redis.loop)
        let answer = try await client.send(
            .post, path, to: endpoint, headers: ["Content-Type": "application/json"], body: Array(body.utf8),
            timeout: .seconds(10))
        try await redis.loop.run { client.close() }
        return answer
    }
}

extension HTTPResponse {
    fileprivate func word(_ name: String) -> String? { (try? JSONParser.parse(body))?.object?[name]?.string }
}
