import HTTP
import LeaseModel

/// What a client is told, in one place: each text says what is wrong or has happened, and what to do.
enum Texts {
    static let queueTimeout = "GPU Queue Timeout"
    static let redisAway = "Redis cannot be reached, so nothing could be granted. Try again; your place is not kept."

    static func forceReleased(by: String, why: String) -> String {
        let reason = why.isEmpty ? "" : " The reason given: \(why)."
        return "An administrator\(by.isEmpty ? "" : " (\(by))") refused all waiting requests.\(reason) "
            + "Nothing was granted to you; ask again later, under another request_id."
    }

    static let shuttingDown =
        "This coordinator is shutting down. Nothing was granted; ask another one, or this one again in a few seconds."
    static let ofUnknownAge =
        "This coordinator stood still and cannot tell how old this call is. Nothing was granted; ask again with the same request_id."
    static let moved =
        "Another coordinator has taken this request up for its client: the call there gets the answer."
    static let replaced = "A later call with the same request_id has taken this one's place: that call gets the answer."
    static func nameTaken(_ requestID: String) -> String {
        "\"request_id\": \"\(requestID.shown(40))\" belongs to a request of another id or for other units. Choose another."
    }
    static func unknownHost(_ host: String) -> String {
        "The pool has no host \"\(host)\". GET /v1/gpu/status lists them; start leasehold-agent there if it is new."
    }
    static func unknownUnit(_ unit: String) -> String {
        "The pool has no unit \"\(unit)\". GET /v1/gpu/status lists them."
    }
    static func tooFewUnits(_ count: Int, widest: Int) -> String {
        let most =
            switch widest {
            case 0: "None has a single one."
            case 1: "The most that one has is 1: call once for each unit."
            default: "The most that one has is \(widest): ask for so many, or call several times."
            }
        return "\"count\": got \(count), but no host has so many units of what the call asks for. \(most)"
    }
    static let noPreemptingSeveral =
        "\"preempt\": a call for several units (\"count\") has nobody asked to give back: leave one of the two out."
    static func tooManyWaiting(_ limit: Int) -> String {
        "\(limit) requests wait at this coordinator already, which is its limit. Try again in a few seconds."
    }

    static let notHeldByToken =
        "This token proves no lease that stands: it was given back, has ended, or was replaced. Nothing was freed."
    static let markedByToken =
        "Neither this lease nor its host is known at present. Nothing was freed; should its agent still have it, it ends when that is back."
    static func notHeldByID(_ id: String) -> String {
        "\"\(id)\" holds no lease of that kind here. Nothing was freed."
    }
    static let unlockNeeds =
        "Send {\"token\": TOKEN} with the token of the lock's answer, or {\"id\": ID} with the id that it was taken with."
    static let renewNeeds = "\"token\" is missing. Send {\"token\": TOKEN} with the token of the lock's answer."

    static func gone(_ reason: EndReason?, by: String, lease: String) -> String {
        let who = by.isEmpty ? "" : " by \(by)"
        let what =
            switch reason {
            case .expired: "was not renewed in time"
            case .revoked: "was revoked\(who)"
            case .reset: "was ended by a reset\(who)"
            case .preempted: "was preempted\(who): its unit was asked for, and it was not given back in its grace"
            case .forceReleased: "was force-released\(who)"
            case .released: "was given back"
            case .lost: "was lost: its agent does not have it any more"
            case .cancelled, .duplicate, .withdrawn: "was never told to a holder"
            case nil: "is not known any more"
            }
        return "The lease \(lease) \(what). Stop using the unit and ask for a new one."
    }
    static let notPresentToken =
        "This token is not the lease's present one: it was replaced when the lease was answered again, or was never its token. Stop using the unit."
    static let unanswered =
        "The agent of this lease's host did not answer in time. The time you were told last goes on; try again."

    static let unavailable =
        "Redis cannot be reached at present. It is not known whether this was done; try again in a second."
    static let copyDegraded =
        "This coordinator cannot tell: what it knows of the pool is out of date. Ask the agent of the unit's host, or try again."
    static func unheard(_ unit: String) -> String {
        "The agent of \"\(unit)\" has not been heard of since Redis lost sight of it, so nobody but that agent can tell. "
            + "Ask it, or try again in a few seconds."
    }
    static let verifyNeeds =
        "Send {\"unit\": \"HOST/0\", \"fencing_token\": NUMBER} with the numbers of the lock's answer."

    static func unknownRequest(_ id: String) -> String {
        "No request \"\(id)\" of this caller waits or holds a lease. It was answered, given up, or never asked."
    }
    static func notFound(_ path: String) -> String {
        "There is nothing at \(path.shown(100)). The calls are listed at /openapi.json."
    }
    static func methodNotAllowed(_ allowed: String) -> String { "Use \(allowed) here." }
    static func otherPool(_ pool: String, served: [String]) -> String {
        let names = served.map { "\"\($0)\"" }.joined(separator: " or ")
        return "\"pool\": got \"\(pool.shown(64))\", want \(names): this coordinator serves no other pool."
    }
    static let noRedis = "Redis cannot be reached."
    static let poolUnread = "The pool has not been read from Redis yet."
    static func ownHostMissing(_ host: String) -> String {
        "The agent of \(host) has not come to the pool yet: its GPUs are being looked for. Try again in a second."
    }
    static let poolsUnread =
        "This coordinator has not read its pools yet, so it cannot tell which of them is meant. Try again, or name it in \"pool\"."
    static let badEventID =
        "\"Last-Event-ID\" (or \"after\"): want an event's id, as in 1764000000000-0, or nothing."
    static func badEventType(_ type: String) -> String {
        "\"type\": got \"\(type.shown(40))\", want types of events apart by commas: "
            + PoolEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
    }
    static func badView(_ view: String) -> String { "\"view\": got \"\(view.shown(40))\", want full or brief" }
    static func tooManySubscribers(_ limit: Int) -> String {
        "\(limit) event streams are open at this coordinator already, which is its limit. Poll the status meanwhile."
    }
    static let oneScope = "Send at most one of \"host\", \"unit\", \"holder\" and \"lease\"; none means all."
    static let drainNeeds = "\"host\" is missing. Send {\"host\": NAME}, and how long holders have in \"deadline\"."
    static let joinInClear =
        "What a joining agent is told lets it write to Redis, and this call came through the network without TLS. Call by "
        + "https, or on the coordinator's own machine; and revoke the token that was sent, since others may have read it."
    static let joinByPage = "A page has no host that could join. Call from leasehold-agent join."
    static let joinWithoutTokens =
        "The Redis of this pool has a password, and without tokens every process of this machine could ask for it. Make "
        + "one with \"leasehold token create NAME --role agent\" and name the file with --tokens."
    static let noAgentRedis =
        "This coordinator reaches its Redis on its own machine, where a joining agent cannot. Who runs it can name the "
        + "address for agents with --agent-redis (LEASEHOLD_AGENT_REDIS)."
    static let cordonNeeds = "Send {\"host\": NAME, \"on\": true} to cordon a host, false to uncordon it."
}
