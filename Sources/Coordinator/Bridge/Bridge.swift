import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// A lock call that waits for its answer.
struct LockCall {
    var exchange: HTTPExchange
    var call: LockReplies.Call
    var ticket: TicketID
    var began: BootInstant
}

/// Who calls, as far as it matters to leases and the audit.
struct Caller: Equatable, Sendable {
    /// The name of its token; empty where none is configured.
    var name: String
    /// What the events say did it.
    var by: String { name.isEmpty ? "local" : name }
}

/// HTTP to typed commands and back: each call is read, done and answered here.
extension Coordinator {
    func take(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let route = Route.at(request.path) else { return exchange.respond(other(request).response) }
        guard route.allows(request.method) else {
            let allowed = route.method.rawValue
            var reply = Reply.refusal(405, "method_not_allowed", Texts.methodNotAllowed(allowed))
            reply.headers.add("Allow", allowed)
            return respond(exchange, reply, route)
        }
        let caller = Caller(name: "")
        do throws(Malformed) {
            try take(request, route, exchange, caller)
        } catch {
            respond(exchange, .malformed(error), route)
        }
    }

    private func take(
        _ request: HTTPRequest, _ route: Route, _ exchange: HTTPExchange, _ caller: Caller
    ) throws(Malformed) {
        switch route {
        case .lock: try lock(Members(request.body), exchange, caller)
        case .unlock: try unlock(Members(request.body), exchange, caller)
        case .renew: try renew(Members(request.body), exchange)
        case .requests:
            respond(exchange, requestReply(String(request.path.dropFirst(route.path.count)), caller), route)
        case .status: respond(exchange, statusReply(request.query), route)
        case .verify: respond(exchange, try verifyReply(Members(request.body)), route)
        case .reset: try intervene(Members(request.body), .reset, exchange, caller)
        case .forceRelease: try intervene(Members(request.body), .forceReleaseAll, exchange, caller)
        case .cordon: try cordon(Members(request.body), exchange, caller)
        case .events: try follow(request, exchange)
        case .health:
            respond(
                exchange,
                Reply(200) { writer in
                    writer.member("status", "ok")
                    writer.member("version", settings.version)
                }, route)
        case .ready: respond(exchange, readyReply(), route)
        case .metrics: respond(exchange, Reply(200, type: MetricRegistry.contentType, Array(metricsText().utf8)), route)
        case .openAPI:
            respond(exchange, Reply(200, type: "application/json", assets["/openapi.json"]?.content ?? []), route)
        }
    }

    /// Pages and scripts, or nothing.
    private func other(_ request: HTTPRequest) -> Reply {
        guard let asset = assets[request.path] else {
            return .refusal(404, "not_found", Texts.notFound(request.path))
        }
        guard request.method == .get || request.method == .head else {
            var reply = Reply.refusal(405, "method_not_allowed", Texts.methodNotAllowed("GET"))
            reply.headers.add("Allow", "GET")
            return reply
        }
        return Reply(200, type: asset.type, asset.content)
    }

    func respond(_ exchange: HTTPExchange, _ reply: Reply, _ route: Route) {
        meter.note { $0.count(Catalogue.httpRequests, route.rawValue, String(reply.status)) }
        exchange.respond(reply.response)
    }

    /// Keeps the exchange of a call that a task works on; `finish` answers it.
    func keep(_ exchange: HTTPExchange) -> UInt64 {
        lastNumber += 1
        exchanges[lastNumber] = exchange
        return lastNumber
    }

    func finish(_ number: UInt64, _ reply: Reply, _ route: Route) {
        if let exchange = exchanges.removeValue(forKey: number) { respond(exchange, reply, route) }
    }

    private func readyReply() -> Reply {
        guard let reason = degradedReason else { return Reply(200) { $0.member("status", "ready") } }
        return .refusal(503, "unavailable", reason, retryAfter: 1)
    }

    /// Why what is shown is old; nil while it is current.
    var degradedReason: String? {
        if !isUp { return "Redis cannot be reached." }
        if !pool.isRead || !pool.isFollowed { return "The pool has not been read from Redis yet." }
        return nil
    }
}
