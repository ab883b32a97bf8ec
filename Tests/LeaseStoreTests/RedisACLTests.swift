import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite struct `A Redis user with the least rights` {
    @Test func `is enough for a lease from its asking to its end, and for nothing else`() async throws {
        try await withUsers { users in
            let (pool, agent) = (users.pool, users.agentStore)
            let origin = try pool.origin()
            let reports = [try pool.report("h1/0"), try pool.report("h1/1")]
            func beat() async throws -> HeartbeatOutcome {
                try await agent.heartbeat(
                    AgentHeartbeat(
                        origin: origin, ancestors: [], isFirst: true, address: "", version: "test",
                        labels: ["zone": "a"], units: reports))
            }
            func confirm(_ ticket: String) async throws -> LeaseID {
                _ = try await pool.ask(ticket)
                let lease = try await pool.requireLease(of: ticket)
                #expect(try await agent.confirm(origin, lease) == .held)
                return lease
            }
            _ = try await beat()
            let first = try await confirm("t1")
            let second = try await confirm("t2")
            _ = try await pool.coordinatorMessages("c1", atLeast: 2)
            let token = TokenHash("hash-t1")
            _ = try await pool.store.renew(first, token: token, nonce: "n1", coordinator: pool.coordinator)
            _ = try await agent.renewed(
                origin, first, nonce: "n1", token: token, ttl: .seconds(60), coordinator: pool.coordinator)
            _ = try await agent.refuseRenewal(
                origin, first, nonce: "n2", coordinator: pool.coordinator, reason: .expired)
            _ = try await pool.store.answerAgain(
                AnswerAgain(TicketID("t1"), coordinator: pool.coordinator, newToken: token, nonce: "n3"))
            _ = try await pool.ask("t3")
            _ = try await pool.ask("t4", selector: #require(Selector(parsing: "gpu/any?vram=24000")))
            #expect(try await pool.store.release(first, token: token, by: "") == .released(1))
            let offered = try await pool.requireLease(of: "t3")
            _ = try await agent.reject(origin, offered, highest: FencingToken(0), why: "test")
            _ = try await beat()
            try await pool.cancel("t4", why: .cancelled)
            _ = try await pool.store.revoke(.all, mode: .forceReleaseAll, by: "ada", why: "test")
            _ = try await agent.end(origin, second, reason: .revoked)
            _ = try await pool.store.cordon(try HostID("h1"), .cordoned, by: "ada", why: "test")
            _ = try await pool.store.drain(try HostID("h1"), deadline: .zero, by: "ada", why: "test")
            _ = try await pool.beat(tickets: ["t9"])
            _ = try await pool.store.snapshot()
            #expect(try await pool.store.history(after: "0", limit: 1000).events.isEmpty == false)
            try await eventually("the stream is read") { users.kinds.withLock { $0.contains(.granted) } }
            _ = try await agent.depart(origin)
            try await pool.store.leave(pool.coordinator)
            #expect(try await users.redis.client.command(["ACL", "LOG"]) == .array([]), "nothing was refused")
            try await users.expectNothingElse()
        }
    }

    @Test func `is told what it misses where that is more than the check of the policy`() async throws {
        try await withRedis { redis in
            for (rules, isConnected) in [(["-info"], true), (["-ping"], false)] {
                _ = try await redis.client.command(
                    ["ACL", "SETUSER", "u", ">p"]
                        + (RedisACL.rules(pools: [.standard]) + [">p"] + rules).map { .text($0) })
                let endpoint = RedisEndpoint(address: .unix(path: redis.socketPath), user: "u", password: "p")
                let client = RedisClient(loop: redis.loop, endpoint: endpoint, name: "u", log: .silent)
                try await redis.loop.run { client.start() }
                try await eventually("\(rules)") {
                    switch try await redis.loop.run({ client.state }) {
                    case .connected: isConnected
                    case .refused(let reason): !isConnected && reason.contains("allow it PING")
                    case .disconnected: false
                    }
                }
                await client.close()
            }
        }
    }
}

/// A Redis with a user for agents and one for coordinators, and what they say.
private final class Users: Sendable {
    let redis: TestRedis
    /// Speaks as the coordinators' user.
    let pool: Pool
    /// Speaks as the agents' user.
    let agentStore: LeaseStore
    let kinds = Mutex<[PoolEvent.Kind]>([])
    private let clients: [RedisClient]
    private let reader: RedisStreamReader

    init(_ redis: TestRedis) async throws {
        self.redis = redis
        var clients: [RedisClient] = []
        var endpoints: [RedisEndpoint] = []
        for role in [RedisACL.Role.agent, .coordinator] {
            let rules = RedisACL.rules(pools: [.standard], role: role) + [">secret"]
            _ = try await redis.client.command(["ACL", "SETUSER", .text(role.rawValue)] + rules.map { .text($0) })
            let endpoint = RedisEndpoint(
                address: .unix(path: redis.socketPath), user: role.rawValue, password: "secret")
            let client = RedisClient(loop: redis.loop, endpoint: endpoint, name: role.rawValue, log: .silent)
            try await connect(client)
            clients.append(client)
            endpoints.append(endpoint)
        }
        self.clients = clients
        agentStore = LeaseStore(client: clients[0], pool: .standard)
        pool = try await Pool(redis, client: clients[1], endpoint: endpoints[1])
        reader = RedisStreamReader(
            loop: redis.loop, endpoint: endpoints[1], name: "events", stream: agentStore.eventStream, log: .silent)
        try await redis.loop.run { [self] in
            reader.start(
                after: "0",
                onEntries: { entries in
                    self.kinds.withLock { $0 += entries.compactMap { Inbox.event($0)?.kind } }
                })
        }
    }

    func expectNothingElse() async throws {
        let foreign: [[RedisArgument]] = [
            ["GET", "foreign"], ["EXISTS", "foreign"], ["EXISTS", "lh:{other}:clock"], ["FLUSHALL"], ["FLUSHDB"],
            ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "GET", "maxmemory"], ["ACL", "LIST"], ["KEYS", "*"],
            ["SHUTDOWN", "NOSAVE"], ["REPLICAOF", "NO", "ONE"], ["SCRIPT", "FLUSH"],
            ["PUBLISH", "foreign", "x"], ["CLIENT", "KILL", "TYPE", "normal"], ["MONITOR"],
            ["EVAL", "return redis.call('GET', 'foreign')", 0],
            ["EVAL", "return redis.call('SET', 'lh:{other}:clock', '1')", 0],
            ["EVAL", "return redis.call('FLUSHALL')", 0],
            ["EVAL", "return redis.call('PUBLISH', 'foreign', 'x')", 0],
        ]
        for role in [RedisACL.Role.agent, .coordinator] {
            let tried = try await redis.client.command(["ACL", "DRYRUN", .text(role.rawValue), "SUBSCRIBE", "foreign"])
            #expect(tried.text?.contains("no permissions") == true)
        }
        for client in clients {
            for command in foreign {
                let error = await #expect(throws: RedisError.self, "\(command)") { try await client.command(command) }
                let message = error?.message ?? ""
                #expect(
                    message.hasPrefix("NOPERM") || message.contains("The user executing the script can't"),
                    "\(command): \(message)")
            }
        }
    }

    func end() async {
        await reader.close()
        await pool.end()
        for client in clients { await client.close() }
    }
}

private func withUsers(_ body: @Sendable (Users) async throws -> Void) async throws {
    try await withRedis { redis in
        let users = try await Users(redis)
        do {
            try await body(users)
            await users.end()
        } catch {
            await users.end()
            throw error
        }
    }
}
