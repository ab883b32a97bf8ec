import HTTP
import JSON
import LeaseModel
import LeaseStore

/// `status` and `requests/{id}`, from this coordinator's own copy.
extension Coordinator {
    func statusReply(_ query: [(String, String)]) throws(Malformed) -> Reply {
        let word = query.last { $0.0 == "view" }?.1 ?? "full"
        guard word == "full" || word == "brief" else { throw Malformed(Texts.badView(word)) }
        let setting = StatusReply.Setting(
            pools: settings.pools, scope: settings.scope, version: settings.version, coordinator: instance,
            now: pool.clock(at: now), degradedReason: degradedReason, age: pool.age(at: now))
        let view: StatusReply.View = word == "brief" ? .brief : .full
        if view == .full { mirror.renderStatus() }
        let status = StatusReply(&mirror, setting)
        return Reply(200, type: "application/json", status.body(view))
    }

    func requestReply(_ id: String, _ caller: Caller) -> Reply {
        let ticket = Self.ticket(of: id, caller)
        if let waiter = mirror.waiters[ticket] { return waitingReply(id, waiter) }
        if let lease = mirror.lease(of: ticket) {
            return Reply(200) { writer in
                writer.member("state", lease.state == .offered ? "offered" : "held")
                writer.member("request_id", id)
                writer.member("holder", lease.holder)
                writer.member("priority", lease.priority)
                writer.member("lease", lease.lease.text)
                writer.member("unit", lease.lease.unit.text)
                writer.seconds("expires_in", milliseconds: lease.expires.map { max(0, $0 - pool.clock(at: now)) })
            }
        }
        guard let times = waiters.times(of: ticket, at: now) else {
            return .refusal(404, "unknown_request", Texts.unknownRequest(id.shown(40)))
        }
        // Asked for, and not yet heard of in the stream.
        return Reply(200) { writer in
            writer.member("state", "queued")
            writer.member("request_id", id)
            writer.number("position", nil)
            writer.member("waited_ms", times.waited.milliseconds)
            writer.member("time_left_ms", times.left.milliseconds)
        }
    }

    private func waitingReply(_ id: String, _ waiter: PoolMirror.Waiter) -> Reply {
        let why = mirror.explanation(of: waiter, at: pool.clock(at: now), aging: settings.aging)
        let times = waiters.times(of: waiter.ticket, at: now)
        return Reply(200) { writer in
            writer.member("state", "queued")
            writer.member("request_id", id)
            writer.member("holder", waiter.holder)
            writer.member("priority", waiter.priority)
            writer.member("class", PriorityClass(ofValue: waiter.priority).rawValue)
            writer.member("selector", waiter.selector)
            writer.member("position", why.ahead.count + 1)
            writer.member("queue_depth", why.depth)
            writer.key("ahead")
            writer.array { writer in for other in why.ahead.prefix(20) { writer.string(other.holder) } }
            writer.member("waited_ms", max(0, pool.clock(at: now) - waiter.since))
            writer.number("time_left_ms", times?.left.milliseconds)
            writer.number("expected_wait_ms", why.expectedWait)
            writer.key("blocked_by")
            writer.array { writer in
                for lease in why.blocking.prefix(8) {
                    writer.object { writer in
                        writer.member("unit", lease.lease.unit.text)
                        writer.member("lease", lease.lease.text)
                        writer.member("holder", lease.holder)
                        writer.member("priority", lease.priority)
                        writer.seconds(
                            "expires_in", milliseconds: lease.expires.map { max(0, $0 - pool.clock(at: now)) })
                    }
                }
            }
            writer.member("why", why.sentence)
            writer.member("lease", nil)
            writer.member("unit", nil)
        }
    }
}
