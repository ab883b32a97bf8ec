import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// `lock`: waits until `Waiters` has an answer.
extension Coordinator {
    func lock(_ members: Members, _ exchange: HTTPExchange, _ caller: Caller) throws(Malformed) {
        let command = try LockCommand(
            members, scope: settings.scope, pool: settings.pool, longestTTL: settings.longestTTL)
        lastNumber += 1
        let drawn = Self.draw()
        let request = LockRequest(
            call: CallID(lastNumber), ticket: Self.ticket(of: command.requestID, caller),
            isResumable: command.requestID != nil, holder: command.holder, caller: caller.name,
            selector: command.selector, namesItsPlace: command.namesItsPlace, priority: command.priority,
            ttl: command.ttl, timeout: command.timeout, metadata: command.metadata, secret: drawn.secret,
            token: drawn.hash)
        let call = LockReplies.Call(
            holder: command.holder, kind: command.selector.kind, requestID: command.requestID,
            priority: command.priority, place: command.selector.scope)
        lockCalls[request.call] = LockCall(exchange: exchange, call: call, ticket: request.ticket, began: now)
        exchange.onClientGone = {
            guard self.lockCalls.removeValue(forKey: request.call) != nil else { return }
            let name = PriorityClass(of: command.priority).rawValue
            self.meter.note { $0.count(Catalogue.cancels, name) }
            self.feed(.clientGone(request.call))
        }
        guard command.takesOver else { return feed(.lockRequested(request)) }
        loop.spawn { [store, log] in
            do throws(StoreError) {
                _ = try await store.release(
                    holder: command.holder, caller: caller.name, kind: command.selector.kind, by: caller.by)
            } catch {
                // The lock then waits as it would have without.
                log.warning("takeover_failed", ["error": .text(error.message)])
            }
            await self.begin(request)
        }
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
        count(outcome, waiting.call, began: waiting.began)
        let exchange = waiting.exchange
        exchange.onClientGone = nil
        let reply: Reply
        switch outcome {
        case .acquired(let lease):
            let details = mirror.units[lease.lease.unit]?.properties.details ?? ""
            reply = LockReplies.acquired(
                lease, waiting.call, environment: DeviceEnvironment.variables(details: details))
            exchange.onDelivered = { isDelivered in
                self.feed(isDelivered ? .delivered(call) : .undelivered(call))
            }
        case .timedOut:
            reply = LockReplies.reply(to: outcome, waiting.call, position: mirror.position(of: waiting.ticket))
        case .forceReleased, .shuttingDown, .moved, .replaced, .unknownHost, .unknownUnit, .tooManyWaiting:
            reply = LockReplies.reply(to: outcome, waiting.call, position: nil)
        }
        respond(exchange, reply, .lock)
    }
}
