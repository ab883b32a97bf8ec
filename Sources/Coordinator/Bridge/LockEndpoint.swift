import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// `lock`: waits until `Waiters` has an answer.
extension Coordinator {
    func lock(_ members: Members, _ call: BridgeCall) throws(Malformed) {
        let caller = call.caller
        let command = try LockCommand(members, scope: settings.scope, longestTTL: settings.longestTTL)
        if let reply = tooWide(command.selector) { return respond(call, reply) }
        if let refusal = refusal(toLock: command, caller) { return respond(call, refusal) }
        lastNumber += 1
        let drawn = Self.draw()
        var asked = LockRequest(
            call: CallID(lastNumber), ticket: Self.ticket(of: command.requestID, caller),
            isResumable: command.requestID != nil, holder: command.holder, caller: caller.name,
            selector: command.selector, namesItsPlace: command.namesItsPlace, priority: command.priority,
            ttl: command.ttl, timeout: command.timeout, metadata: command.metadata, secret: drawn.secret,
            token: drawn.hash, affinity: command.affinity, grace: command.grace, preempts: command.preempts,
            by: caller.by)
        asked.mayBeOld = standstill.mayBeOld(at: now)
        let request = asked
        let terms = LockReplies.Call(
            holder: command.holder, kind: command.selector.kind, requestID: command.requestID,
            priority: command.priority, place: command.selector.scope)
        lockCalls[request.call] = LockCall(
            call: call, terms: terms, ticket: request.ticket, selector: request.selector, began: now)
        call.exchange.onClientGone = {
            guard let call = self.lockCalls.removeValue(forKey: request.call) else { return }
            self.limits.endWait(caller, wanted: call.selector.count)
            let name = PriorityClass(of: command.priority).rawValue
            self.meter.note { $0.count(Catalogue.cancels, name) }
            self.feed(.clientGone(request.call))
        }
        guard command.takesOver else { return feed(.lockRequested(request)) }
        let earlier = Release.oldest(
            of: command.holder, caller: caller.name, kind: command.selector.kind, by: caller.by)
        calls.release(earlier) { outcome in
            // The lock then waits as it would have without.
            if case .failure(let error) = outcome {
                self.log.warning("takeover_failed", ["error": .text(error.message)])
            }
            self.begin(request)
        }
    }

    /// What no host has could never be granted. Nil as well while it is not known what the hosts have.
    private func tooWide(_ selector: Selector) -> Reply? {
        guard selector.count > 1, isUp, waiters.isSettled(at: now), let widest = mirror.widest(selector),
            widest < selector.count
        else { return nil }
        return .refusal(404, "too_few_units", Texts.tooFewUnits(selector.count, widest: widest))
    }

    private func refusal(toLock command: LockCommand, _ caller: Caller) -> AccessRefusal? {
        if let refusal = caller.refusal(toHold: command.holder) { return refusal }
        var held = 0
        if settings.callerLimits.leases != nil {
            for lease in mirror.leases.values where lease.caller == caller.name { held += 1 + lease.also.count }
        }
        return limits.beginWait(caller, held: held, wanted: command.selector.count, at: now)
    }

    private func begin(_ request: LockRequest) {
        if lockCalls[request.call] != nil { feed(.lockRequested(request)) }
    }

    /// docs/protocol.md §1.
    static func ticket(of requestID: String?, _ caller: Caller) -> TicketID {
        guard let requestID else { return TicketID("t-" + SecureRandom.randomHex(bytes: 16)) }
        return TicketID("r-" + Digest.sha256Hex("\(caller.name)\n\(requestID)").prefix(32))
    }

    func answer(_ call: CallID, _ outcome: LockOutcome) {
        guard let waiting = lockCalls.removeValue(forKey: call) else { return }
        limits.endWait(waiting.call.caller, wanted: waiting.selector.count)
        switch outcome {
        case .acquired, .timedOut, .forceReleased, .unknownHost, .unknownUnit: preemptionOver(waiting.ticket)
        case .moved, .shuttingDown: preemptionOver(waiting.ticket, isElsewhere: true)
        case .replaced, .tooManyWaiting, .nameTaken, .ofUnknownAge: break  // another call's
        }
        count(outcome, waiting.terms, began: waiting.began)
        let exchange = waiting.call.exchange
        exchange.onClientGone = nil
        let reply = LockReplies.reply(to: outcome, waiting.terms, position: position(of: waiting)) { units in
            mirror.environment(of: units)
        }
        if case .acquired = outcome {
            exchange.onDelivered = { isDelivered in
                self.feed(isDelivered ? .delivered(call) : .undelivered(call))
            }
        }
        respond(waiting.call, reply)
    }

    /// A call that does not wait is answered before the stream tells of it.
    private func position(of waiting: LockCall) -> Int? {
        mirror.position(of: waiting.ticket)
            ?? waiting.score.map { mirror.position(of: waiting.selector, score: $0) }
    }
}
