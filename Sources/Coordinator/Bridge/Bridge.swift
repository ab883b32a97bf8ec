import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// A call and what its answer needs.
struct BridgeCall {
    var exchange: HTTPExchange
    var route: Route
    var caller: Caller
    /// The foreign origin that may read the answer.
    var cors: String?
}

typealias Caller = Access.Caller

/// A lock call that waits for its answer.
struct LockCall {
    var call: BridgeCall
    var terms: LockReplies.Call
    var ticket: TicketID
    var selector: Selector
    var began: BootInstant
    /// Nil before it is queued.
    var score: Int64?
}

/// HTTP to typed commands and back: each call is judged, read, done and answered here.
extension Coordinator {
    /// - Parameter isUnclear: It is not known yet which pool the call is about.
    func take(_ request: HTTPRequest, _ exchange: HTTPExchange, isUnclear: Bool = false) {
        let route = Route.at(request.path)
        let caller: Caller
        let cors: String?
        switch access.judge(question(request, route?.permission)) {
        case .refused(let refusal, let origin): return refuse(refusal, exchange, route, cors: origin)
        case .allowed(let judged, let origin): (caller, cors) = (judged, origin)
        }
        if request.method == .options {
            return exchange.respond(BrowserHeaders.answerToOptions(request, allowed: route?.allowed, cors: cors))
        }
        guard let route else { return exchange.respond(other(request, cors: cors)) }
        let call = BridgeCall(exchange: exchange, route: route, caller: caller, cors: cors)
        guard route.allows(request.method) else {
            var reply = Reply.refusal(405, "method_not_allowed", Texts.methodNotAllowed(route.method.rawValue))
            reply.headers.add("Allow", route.allowed)
            return respond(call, reply)
        }
        // What is open to everybody has no caller to count: strangers would use up the room of those who watch its health.
        if route.permission != nil, let refusal = limits.take(caller, at: now) { return respond(call, refusal) }
        if isUnclear { return respond(call, .refusal(503, "unavailable", Texts.poolsUnread, retryAfter: 1)) }
        do throws(Malformed) {
            if let named = request.pool { try check(named) }
            try take(request, call)
        } catch {
            respond(call, .malformed(error))
        }
    }

    private func take(_ request: HTTPRequest, _ call: BridgeCall) throws(Malformed) {
        switch call.route {
        case .lock: try lock(members(request), call)
        case .unlock: try unlock(members(request), call)
        case .renew: try renew(members(request), call)
        case .requests:
            let id = String(request.path.dropFirst(call.route.path.count))
            respond(call, requestReply(id, call.caller))
        case .status: respond(call, try statusReply(request.query))
        case .verify: try verify(members(request), call)
        case .reset: try intervene(members(request), .reset, call)
        case .forceRelease: try intervene(members(request), .forceReleaseAll, call)
        case .cordon: try cordon(members(request), call)
        case .drain: try drain(members(request), call)
        case .events: try follow(request, call)
        case .join: try join(request, members(request), call)
        case .health:
            let reply = Reply(200) { writer in
                writer.member("status", "ok")
                writer.member("version", settings.version)
            }
            respond(call, reply)
        case .ready: respond(call, readyReply(request.pool != nil))
        case .metrics: respond(call, Reply(200, type: MetricRegistry.contentType, Array(metricsText().utf8)))
        case .openAPI:
            respond(call, Reply(200, type: "application/json", assets[call.route.path]?.content ?? []))
        }
    }

    /// What a request is judged by, with the name of the user behind a unix socket.
    func question(_ request: HTTPRequest, _ permission: Permission?) -> AccessRequest {
        var question = AccessRequest(request, permission: permission)
        if case .process(let user, _) = request.client { question.userName = userNames.name(of: user, at: loop.now) }
        return question
    }

    /// Pages and scripts, or nothing.
    private func other(_ request: HTTPRequest, cors: String?) -> HTTPResponse {
        var reply: Reply
        var kind = BrowserHeaders.Kind.data
        if let asset = assets[request.path] {
            if request.method == .get || request.method == .head {
                reply = Reply(200, type: asset.type, asset.content)
                kind = request.path == Assets.module ? .module : .page
            } else {
                reply = .refusal(405, "method_not_allowed", Texts.methodNotAllowed("GET"))
                reply.headers.add("Allow", Route.allowed(at: .get))
            }
        } else {
            reply = .refusal(404, "not_found", Texts.notFound(request.path))
        }
        BrowserHeaders.add(to: &reply.headers, kind: kind, cors: cors)
        return reply.response
    }

    func respond(_ call: BridgeCall, _ reply: Reply) {
        var reply = reply
        let (route, status) = (call.route.rawValue, reply.status)
        meter.note { $0.count(Catalogue.httpRequests, route, String(status)) }
        BrowserHeaders.add(to: &reply.headers, cors: call.cors)
        call.exchange.respond(reply.response)
    }

    func respond(_ call: BridgeCall, _ refusal: AccessRefusal) {
        refuse(refusal, call.exchange, call.route, cors: call.cors)
    }

    private func refuse(_ refusal: AccessRefusal, _ exchange: HTTPExchange, _ route: Route?, cors: String?) {
        meter.note { $0.count(Catalogue.httpRequests, route?.rawValue ?? "other", String(refusal.status)) }
        var response = refusal.response()
        BrowserHeaders.add(to: &response.headers, cors: cors)
        exchange.respond(response)
    }

    /// Keeps a call that a task works on; `finish` answers it.
    func keep(_ call: BridgeCall) -> UInt64 {
        lastNumber += 1
        bridgeCalls[lastNumber] = call
        return lastNumber
    }

    func finish(_ number: UInt64, _ reply: Reply) {
        if let call = bridgeCalls.removeValue(forKey: number) { respond(call, reply) }
    }

    private func readyReply(_ ofOnePool: Bool) -> Reply {
        guard let reason = unreadyReasons(ofAllPools: !ofOnePool).first else {
            return Reply(200) { $0.member("status", "ready") }
        }
        return .refusal(503, "unavailable", reason, retryAfter: 1)
    }

    /// What is still missing; empty where all is there.
    func unreadyReasons(ofAllPools: Bool) -> [String] {
        var reasons = [degradedReason]
        if ofAllPools { reasons += others.map { $0.assumeIsolated { $0.degradedReason } } }
        if let host = settings.ownHost, !shows(host) { reasons.append(Texts.ownHostMissing(host.text)) }
        return reasons.compactMap { $0 }
    }

    /// The members of a call that is about this pool.
    private func members(_ request: HTTPRequest) throws(Malformed) -> Members {
        let members = try Members(request.body)
        if let named = try members.text("pool", want: "a pool's name") { try check(named) }
        return members
    }

    private func check(_ pool: String) throws(Malformed) {
        guard pool != settings.pool.text else { return }
        throw Malformed(Texts.otherPool(pool, served: settings.pools.map(\.text)))
    }

    /// Why what is shown is old; nil while it is current.
    var degradedReason: String? {
        if !isUp { return Texts.noRedis }
        if !pool.isRead || !pool.isFollowed { return Texts.poolUnread }
        return nil
    }
}
