import JSON
import LeaseModel
import LeaseStore

/// What a lock call, once answered, is answered with.
struct LockReplies {
    /// What the answer needs to know of the call.
    struct Call: Sendable {
        var holder: HolderID
        var kind: UnitKind
        var requestID: String?
        var priority: Priority
        var place: Selector.Scope
    }

    private static func acquired(_ lease: AcquiredLease, _ call: Call, environment: [(String, String)]) -> Reply {
        Reply(200) { writer in
            writer.member("status", "acquired")
            writer.member("token", lease.secret.token(of: lease.lease))
            writer.member("lease", lease.lease.text)
            writer.member("fencing_token", lease.lease.fencing.value)
            writer.member("unit", lease.lease.unit.text)
            writer.key("units")
            writer.array { writer in
                writer.string(lease.lease.unit.text)
                for unit in lease.also { writer.string(unit.text) }
            }
            writer.member("kind", call.kind.rawValue)
            writer.member("host", lease.lease.unit.host.text)
            writer.member("holder", call.holder.text)
            writer.seconds("ttl", lease.ttl)
            writer.seconds("expires_in", lease.expiresIn)
            writer.member("waited_ms", lease.waited.milliseconds)
            writer.member("request_id", call.requestID)
            writer.key("env")
            writer.object { writer in
                for (name, value) in environment { writer.member(name, value) }
            }
        }
    }

    /// - Parameters:
    ///   - position: Where the request stood last; asked for only where it timed out.
    ///   - environment: The variables of the units' devices; asked for only where some were granted.
    static func reply(
        to outcome: LockOutcome, _ call: Call, position: @autoclosure () -> Int?,
        environment: ([UnitID]) -> [(String, String)]
    ) -> Reply {
        switch outcome {
        case .acquired(let lease): acquired(lease, call, environment: environment([lease.lease.unit] + lease.also))
        case .timedOut(let waited, let isDegraded): timedOut(waited, isDegraded: isDegraded, position: position())
        case .forceReleased(let by, let why):
            Reply(503) { writer in
                writer.member("status", "refused")
                writer.member("error", "force_released")
                writer.member("msg", Texts.forceReleased(by: by, why: why))
                writer.member("by", by)
                writer.member("why", why)
            }
        case .shuttingDown:
            Reply(503, retryAfter: 1) { writer in
                writer.member("status", "unavailable")
                writer.member("error", "shutting_down")
                writer.member("msg", Texts.shuttingDown)
            }
        case .ofUnknownAge:
            Reply(503, retryAfter: 1) { writer in
                writer.member("status", "unavailable")
                writer.member("error", "unavailable")
                writer.member("msg", Texts.ofUnknownAge)
            }
        case .moved: .refusal(409, "moved", Texts.moved)
        case .replaced: .refusal(409, "replaced", Texts.replaced)
        case .unknownHost: .refusal(404, "unknown_host", Texts.unknownHost(hostName(of: call)))
        case .unknownUnit: .refusal(404, "unknown_unit", Texts.unknownUnit(unitName(of: call)))
        case .nameTaken: .refusal(409, "request_id_taken", Texts.nameTaken(call.requestID ?? ""))
        case .tooManyWaiting(let limit):
            .refusal(429, "too_many_waiting", Texts.tooManyWaiting(limit), retryAfter: 5)
        }
    }

    private static func timedOut(_ waited: Duration, isDegraded: Bool, position: Int?) -> Reply {
        Reply(503) { writer in
            writer.member("status", "timeout")
            writer.member("error", "timeout")
            writer.member("msg", Texts.queueTimeout)
            writer.member("waited_ms", waited.milliseconds)
            writer.number("position", position.map { Int64($0) })
            writer.member("reason", isDegraded ? Texts.redisAway : nil)
        }
    }

    private static func hostName(of call: Call) -> String {
        switch call.place {
        case .any: ""
        case .host(let host): host.text
        case .unit(let unit): unit.host.text
        }
    }

    private static func unitName(of call: Call) -> String {
        if case .unit(let unit) = call.place { unit.text } else { hostName(of: call) }
    }
}

/// A preemption as its lease's holder, and status, are told.
struct Asked {
    var holder: String
    var priority: Int
    /// What is left of the grace, as this coordinator's copy has it; the agent's own clock decides.
    var left: Duration

    /// - Parameter poolNow: ms.
    init?(_ preemption: PreemptionRecord?, poolNow: Int64) {
        guard let preemption else { return nil }
        holder = preemption.holder
        priority = preemption.priority
        left = max(.zero, .milliseconds(preemption.since.milliseconds - poolNow) + preemption.grace)
    }

    static func write(_ asked: Asked?, to writer: inout JSONWriter) {
        writer.key("preemption")
        guard let asked else { return writer.null() }
        writer.object { writer in
            writer.member("by", asked.holder)
            writer.member("priority", asked.priority)
            writer.seconds("release_within", asked.left)
        }
    }
}

extension RenewalOutcome {
    /// The lease that was renewed.
    var renewedLease: LeaseID? { if case .renewed(let lease, _, _) = self { lease } else { nil } }

    /// - Parameter asked: Who wants its unit.
    func reply(asked: Asked?) -> Reply {
        switch self {
        case .renewed(let lease, let ttl, let expiresIn):
            Reply(200) { writer in
                writer.member("status", "renewed")
                writer.member("lease", lease.text)
                writer.seconds("ttl", ttl)
                writer.seconds("expires_in", expiresIn)
                Asked.write(asked, to: &writer)
            }
        case .gone(let lease, let reason, let by):
            Reply(410) { writer in
                writer.member("error", Self.word(reason))
                writer.member("msg", Texts.gone(reason, by: by, lease: lease.text))
                writer.member("lease", lease.text)
                writer.member("by", by.isEmpty ? nil : by)
            }
        case .wrongToken(let lease):
            Reply(410) { writer in
                writer.member("error", "not_held")
                writer.member("msg", Texts.notPresentToken)
                writer.member("lease", lease.text)
            }
        case .noAnswer: .refusal(503, "unanswered", Texts.unanswered, retryAfter: 1)
        case .shuttingDown: .refusal(503, "shutting_down", Texts.shuttingDown, retryAfter: 1)
        }
    }

    /// The stable word for why a lease is gone.
    private static func word(_ reason: EndReason?) -> String {
        switch reason {
        case .expired: "expired"
        case .revoked, .reset: "revoked"
        case .preempted: "preempted"
        case .forceReleased: "force_released"
        case .released: "released"
        case .lost: "lost"
        case .cancelled, .duplicate, .withdrawn, nil: "not_held"
        }
    }
}
