import HTTP
import JSON
import Testing

@testable import GPULease

@Suite struct `An answer to a lock call` {
    private func verdict(_ status: Int, _ body: JSONObject, headers: HTTPHeaders = [:]) -> LockVerdict {
        let response = HTTPResponse(status: status, headers: headers, body: JSONValue.object(body).encoded())
        return LockVerdict(Service.Answer(response, of: 0), requestID: "r", sent: .now)
    }

    @Test func `is a lease only where it says so and proves it`() throws {
        let body: JSONObject = [
            "status": "acquired", "token": "t", "lease": "h1/0#7", "fencing_token": 7, "unit": "h1/0", "ttl": 60,
            "expires_in": 58.5, "waited_ms": 1500, "env": ["CUDA_VISIBLE_DEVICES": "GPU-1"],
        ]
        let sent = ContinuousClock.now
        let grant = try #require(Grant(body, requestID: "r", sent: sent))
        // Waited and then told: both count from the moment before the call.
        #expect(grant.certainUntil == sent + .seconds(60))
        #expect(grant.environment == ["CUDA_VISIBLE_DEVICES": "GPU-1"])
        for missing in ["status", "token", "lease", "fencing_token", "unit", "ttl", "expires_in"] {
            var less = body
            less[missing] = nil
            guard case .again = verdict(200, less) else {
                Issue.record("a lease without \(missing)")
                continue
            }
        }
    }

    @Test func `is the end of the request where asking again would not help`() {
        let ends: [(status: Int, body: JSONObject, kind: LeaseError.Kind)] = [
            (503, ["status": "timeout", "position": 4], .timedOut(position: 4)),
            (503, ["status": "timeout", "position": .null], .timedOut(position: nil)),
            (503, ["status": "refused", "by": "ops", "why": ""], .refused(by: "ops", why: nil)),
            (400, ["error": "bad_request", "msg": "\"ttl\": got -5"], .invalid),
            (401, ["error": "Unauthorized. Invalid Token."], .unauthorized),
            (403, ["error": "forbidden", "msg": "the role viewer may not"], .forbidden),
            (404, ["error": "unknown_unit", "msg": "no such unit"], .invalid), (413, [:], .invalid),
        ]
        for (status, body, kind) in ends {
            guard case .over(let error) = verdict(status, body) else {
                Issue.record("\(status) is no end")
                continue
            }
            #expect(error.kind == kind)
            #expect(!error.message.isEmpty)
        }
    }

    @Test func `is tried again where a coordinator or a proxy has trouble of its own`() {
        for (status, word) in [
            (503, "shutting_down"), (503, "unavailable"), (502, ""), (500, ""), (429, "x"), (408, ""),
        ] {
            guard case .again(_, let after) = verdict(status, ["error": .string(word)], headers: ["Retry-After": "5"])
            else {
                Issue.record("\(status) \(word) is not tried again")
                continue
            }
            #expect(after == .seconds(5))
        }
        let page = HTTPResponse(status: 504, body: Array("<html>Gateway Timeout</html>".utf8))
        guard case .again(_, nil) = LockVerdict(Service.Answer(page, of: 0), requestID: "r", sent: .now) else {
            Issue.record("a proxy's page is not tried again")
            return
        }
        guard case .replaced = verdict(409, ["error": "moved"]) else {
            Issue.record("409 is not taken for another call's")
            return
        }
    }
}

@Suite struct `An answer to a renewal` {
    private func verdict(_ status: Int, _ body: JSONObject, sent: ContinuousClock.Instant = .now) -> RenewVerdict {
        let response = HTTPResponse(status: status, body: JSONValue.object(body).encoded())
        return RenewVerdict(Service.Answer(response, of: 0), lease: "h1/0#7", sent: sent)
    }

    @Test func `counts from before the call was sent`() {
        let sent = ContinuousClock.now - .seconds(3)
        let answer: JSONObject = ["status": "renewed", "expires_in": 59, "preemption": .null]
        guard case .renewed(let until, nil) = verdict(200, answer, sent: sent) else {
            Issue.record("not renewed")
            return
        }
        #expect(until == sent + .seconds(59))
    }

    @Test func `tells who asks for the unit`() throws {
        let wish: JSONObject = ["by": "Root-Mic", "priority": 0, "release_within": .number(12.5)]
        let answer: JSONObject = ["status": "renewed", "expires_in": 59, "preemption": .object(wish)]
        guard case .renewed(_, let preemption?) = verdict(200, answer) else {
            Issue.record("no wish is told")
            return
        }
        #expect(preemption.by == "Root-Mic" && preemption.priority == 0)
        #expect(preemption.deadline > .now + .seconds(5) && preemption.deadline <= .now + .seconds(12.5))
    }

    @Test func `is a loss only where it says that the lease is over`() {
        for word in ["expired", "revoked", "preempted", "force_released", "released", "lost", "not_held"] {
            guard case .lost(let error) = verdict(410, ["error": .string(word), "by": "ops"]) else {
                Issue.record("\(word) is no loss")
                continue
            }
            #expect(error.reason?.rawValue == word)
            #expect(error.message.contains("h1/0#7") && error.message.contains("ops"))
        }
        for status in [200, 401, 403, 404, 429, 500, 502, 503] {
            guard case .unknown = verdict(status, [:]) else {
                Issue.record("\(status) is taken for the lease's end")
                continue
            }
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
}

extension JSONValue: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object: JSONObject = [:]
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
}
