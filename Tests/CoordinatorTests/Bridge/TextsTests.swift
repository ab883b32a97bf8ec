import LeaseModel
import Testing

@testable import Coordinator

@Suite struct `What clients are told` {
    /// Every text, so that a change of one is seen and read.
    @Test func `reads well`() {
        #expect(Texts.queueTimeout == "GPU Queue Timeout")
        let told = [
            Texts.redisAway, Texts.forceReleased(by: "ops", why: "maintenance"), Texts.forceReleased(by: "", why: ""),
            Texts.shuttingDown, Texts.moved, Texts.replaced, Texts.unknownHost("n9"), Texts.unknownUnit("n1/9"),
            Texts.tooManyWaiting(100), Texts.notHeldByToken, Texts.markedByToken, Texts.notHeldByID("train"),
            Texts.unlockNeeds, Texts.renewNeeds, Texts.notPresentToken, Texts.unanswered, Texts.unavailable,
            Texts.copyDegraded, Texts.verifyNeeds, Texts.unknownRequest("r1"), Texts.notFound("/x"),
            Texts.methodNotAllowed("POST"), Texts.badEventID, Texts.tooManySubscribers(2000), Texts.oneScope,
            Texts.otherPool("x", served: ["a", "b"]), Texts.poolsUnread, Texts.cordonNeeds, Texts.drainNeeds,
            Texts.nameTaken("r1"), Texts.ofUnknownAge, Texts.badView("half"), Texts.unheard("n1/0"), Texts.noRedis,
            Texts.poolUnread,
            Texts.ownHostMissing("n1"),
            Texts.joinInClear, Texts.joinByPage, Texts.joinWithoutTokens, Texts.noAgentRedis,
            Texts.tooFewUnits(3, widest: 2), Texts.tooFewUnits(3, widest: 1), Texts.tooFewUnits(3, widest: 0),
            Texts.noPreemptingSeveral,
        ]
        #expect(
            told == [
                "Redis cannot be reached, so nothing could be granted. Try again; your place is not kept.",
                "An administrator (ops) refused all waiting requests. The reason given: maintenance. Nothing was granted to you; ask again later, under another request_id.",
                "An administrator refused all waiting requests. Nothing was granted to you; ask again later, under another request_id.",
                "This coordinator is shutting down. Nothing was granted; ask another one, or this one again in a few seconds.",
                "Another coordinator has taken this request up for its client: the call there gets the answer.",
                "A later call with the same request_id has taken this one's place: that call gets the answer.",
                "The pool has no host \"n9\". GET /v1/gpu/status lists them; start leasehold-agent there if it is new.",
                "The pool has no unit \"n1/9\". GET /v1/gpu/status lists them.",
                "100 requests wait at this coordinator already, which is its limit. Try again in a few seconds.",
                "This token proves no lease that stands: it was given back, has ended, or was replaced. Nothing was freed.",
                "Neither this lease nor its host is known at present. Nothing was freed; should its agent still have it, it ends when that is back.",
                "\"train\" holds no lease of that kind here. Nothing was freed.",
                "Send {\"token\": TOKEN} with the token of the lock's answer, or {\"id\": ID} with the id that it was taken with.",
                "\"token\" is missing. Send {\"token\": TOKEN} with the token of the lock's answer.",
                "This token is not the lease's present one: it was replaced when the lease was answered again, or was never its token. Stop using the unit.",
                "The agent of this lease's host did not answer in time. The time you were told last goes on; try again.",
                "Redis cannot be reached at present. It is not known whether this was done; try again in a second.",
                "This coordinator cannot tell: what it knows of the pool is out of date. Ask the agent of the unit's host, or try again.",
                "Send {\"unit\": \"HOST/0\", \"fencing_token\": NUMBER} with the numbers of the lock's answer.",
                "No request \"r1\" of this caller waits or holds a lease. It was answered, given up, or never asked.",
                "There is nothing at /x. The calls are listed at /openapi.json.", "Use POST here.",
                "\"Last-Event-ID\" (or \"after\"): want an event's id, as in 1764000000000-0, or nothing.",
                "2000 event streams are open at this coordinator already, which is its limit. Poll the status meanwhile.",
                "Send at most one of \"host\", \"unit\", \"holder\" and \"lease\"; none means all.",
                "\"pool\": got \"x\", want \"a\" or \"b\": this coordinator serves no other pool.",
                "This coordinator has not read its pools yet, so it cannot tell which of them is meant. Try again, or name it in \"pool\".",
                "Send {\"host\": NAME, \"on\": true} to cordon a host, false to uncordon it.",
                "\"host\" is missing. Send {\"host\": NAME}, and how long holders have in \"deadline\".",
                "\"request_id\": \"r1\" belongs to a request of another id or for other units. Choose another.",
                "This coordinator stood still and cannot tell how old this call is. Nothing was granted; ask again with the same request_id.",
                "\"view\": got \"half\", want full or brief",
                "The agent of \"n1/0\" has not been heard of since Redis lost sight of it, so nobody but that agent can tell. Ask it, or try again in a few seconds.",
                "Redis cannot be reached.", "The pool has not been read from Redis yet.",
                "The agent of n1 has not come to the pool yet: its GPUs are being looked for. Try again in a second.",
                "What a joining agent is told lets it write to Redis, and this call came through the network without TLS. Call by https, or on the coordinator's own machine; and revoke the token that was sent, since others may have read it.",
                "A page has no host that could join. Call from leasehold-agent join.",
                "The Redis of this pool has a password, and without tokens every process of this machine could ask for it. Make one with \"leasehold token create NAME --role agent\" and name the file with --tokens.",
                "This coordinator reaches its Redis on its own machine, where a joining agent cannot. Who runs it can name the address for agents with --agent-redis (LEASEHOLD_AGENT_REDIS).",
                "\"count\": got 3, but no host has so many units of what the call asks for. The most that one has is 2: ask for so many, or call several times.",
                "\"count\": got 3, but no host has so many units of what the call asks for. The most that one has is 1: call once for each unit.",
                "\"count\": got 3, but no host has so many units of what the call asks for. None has a single one.",
                "\"preempt\": a call for several units (\"count\") has nobody asked to give back: leave one of the two out.",
            ])
        #expect(
            Texts.badEventType("x").hasPrefix("\"type\": got \"x\", want types of events apart by commas: registered, ")
        )
        #expect(Texts.badEventType(String(repeating: "x", count: 500)).count < 600)
        #expect(Texts.notFound(String(repeating: "x", count: 5000)).count < 200)
    }

    @Test func `of a lease that is over says why and what to do`() {
        let ends = ([nil] + EndReason.allCases).map { Texts.gone($0, by: "ops", lease: "n1/0#5") }
        #expect(
            ends
                == [
                    "is not known any more", "was given back", "was not renewed in time", "was revoked by ops",
                    "was preempted by ops: its unit was asked for, and it was not given back in its grace",
                    "was ended by a reset by ops", "was force-released by ops", "was never told to a holder",
                    "was lost: its agent does not have it any more", "was never told to a holder",
                    "was never told to a holder",
                ].map { "The lease n1/0#5 \($0). Stop using the unit and ask for a new one." })
        #expect(Texts.gone(.revoked, by: "", lease: "l").hasPrefix("The lease l was revoked. "))
    }
}
