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
    func take(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let route = Route.at(request.path)
        let caller: Caller
        let cors: String?
        var question = AccessRequest(request, permission: route?.permission)
        if case .process(let user, _) = request.client { question.userName = userNames.name(of: user, at: loop.now) }
        switch access.judge(question) {
        case .refused(let refusal, let origin): return refuse(refusal, exchange, route, cors: origin)
        case .allowed(let judged, let origin): (caller, cors) = (judged, origin)
        }
        if request.method == .options {
            return exchange.respond(BrowserHeaders.answerToOptions(request, cors: cors))
        }
        guard let route else { return exchange.respond(other(request, cors: cors)) }
        let call = BridgeCall(exchange: exchange, route: route, caller: caller, cors: cors)
        guard route.allows(request.method) else {
            let allowed = route.method.rawValue
            var reply = Reply.refusal(405, "method_not_allowed", Texts.methodNotAllowed(allowed))
            reply.headers.add("Allow", allowed)
            return respond(call, reply)
        }
        if let refusal = limits.take(caller, at: now) { return respond(call, refusal) }
        do throws(Malformed) {
            try take(request, call)
        } catch {
            respond(call, .malformed(error))
        }
    }

    private func take(_ request: HTTPRequest, _ call: BridgeCall) throws(Malformed) {
        switch call.route {
        case .lock: try lock(Members(request.body), call)
        case .unlock: try unlock(Members(request.body), call)
        case .renew: try renew(Members(request.body), call)
        case .requests:
            let id = String(request.path.dropFirst(call.route.path.count))
            respond(call, requestReply(id, call.caller))
        case .status: respond(call, statusReply(request.query))
        case .verify: respond(call, try verifyReply(Members(request.body)))
        case .reset: try intervene(Members(request.body), .reset, call)
        case .forceRelease: try intervene(Members(request.body), .forceReleaseAll, call)
        case .cordon: try cordon(Members(request.body), call)
        case .drain: try drain(Members(request.body), call)
        case .events: try follow(request, call)
        case .health:
            let reply = Reply(200) { writer in
                writer.member("status", "ok")
                writer.member("version", settings.version)
            }
            respond(call, reply)
        case .ready: respond(call, readyReply())
        case .metrics: respond(call, Reply(200, type: MetricRegistry.contentType, Array(metricsText().utf8)))
        case .openAPI:
            respond(call, Reply(200, type: "application/json", assets[call.route.path]?.content ?? []))
        }
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
                reply.headers.add("Allow", "GET")
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
