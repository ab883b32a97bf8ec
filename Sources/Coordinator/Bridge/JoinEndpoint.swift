import HTTP
import LeaseModel
import RedisClient
import Telemetry

/// What a joining agent may be told. A value: it looks at the call and at the settings, and at nothing else.
struct JoinTerms {
    /// Why an agent is told nothing; each case has a text.
    enum Refusal: CaseIterable, Error {
        /// Others may have read the call, and would read the answer.
        case inClear
        case byPage
        /// There is a secret in the answer, and nobody has proved to be anybody.
        case withoutTokens
        case noAddress

        var reply: Reply {
            switch self {
            case .inClear: .refusal(403, "insecure", Texts.joinInClear)
            case .byPage: .refusal(403, "wrong_origin", Texts.joinByPage)
            case .withoutTokens: .refusal(403, "forbidden", Texts.joinWithoutTokens)
            case .noAddress: .refusal(409, "no_agent_redis", Texts.noAgentRedis)
            }
        }
    }

    /// Where the coordinator itself reaches Redis.
    let own: RedisEndpoint
    /// Where agents do, as an administrator has said.
    let forAgents: RedisEndpoint?

    /// The address that this call is answered with. Whether its caller may join was judged before.
    func address(for request: AccessRequest, _ caller: Caller) -> Result<RedisEndpoint, Refusal> {
        guard request.origin == nil, request.fetchSite == nil else { return .failure(.byPage) }
        let isNear = request.peer != .other && !request.isForwarded
        let isSecret = request.isSecure || isNear || (request.peer != .other && request.isForwardedSecurely)
        guard isSecret else { return .failure(.inClear) }
        guard let address = forAgents ?? (isNear || !own.isOfOneMachine ? own : nil) else {
            return .failure(.noAddress)
        }
        guard !caller.name.isEmpty || address.password == nil else { return .failure(.withoutTokens) }
        return .success(address)
    }
}

extension RedisEndpoint {
    /// Whether it means another server, or none, on every other machine.
    fileprivate var isOfOneMachine: Bool {
        let nodes: [Address] =
            switch target {
            case .server(let address): [address]
            case .sentinels(let sentinels): sentinels.nodes
            case .cluster(let seeds): seeds
            }
        return nodes.contains { node in
            switch node {
            case .unix: true
            case .tcp(let host, _): HostRules.isLoopback(host[...]) || host == "0.0.0.0" || host == "::"
            }
        }
    }
}

/// `POST /v1/agent/join`: where the pool's Redis is, for the agent of a new host.
extension Coordinator {
    func join(_ request: HTTPRequest, _ members: Members, _ call: BridgeCall) throws(Malformed) {
        let host = try members.named("host") { (text) throws(InvalidName) in try HostID(text) }
        let terms = JoinTerms(own: settings.redis, forAgents: settings.agentRedis)
        switch terms.address(for: question(request, call.route.permission), call.caller) {
        case .failure(let refusal): respond(call, refusal.reply)
        case .success(let address):
            log.warning(
                "agent_joins",
                [
                    "joining": .text(host?.text ?? ""), "by": .text(call.caller.by), "peer": .text(request.peer),
                    "redis": .text(address.description),
                ])
            respond(
                call,
                Reply(200) { writer in
                    writer.member("status", "welcome")
                    writer.member("pool", settings.pool.text)
                    writer.member("redis", address.revealed)
                    writer.member("coordinator", instance.text)
                    writer.member("version", settings.version)
                })
        }
    }
}
