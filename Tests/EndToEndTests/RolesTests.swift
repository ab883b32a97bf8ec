import EventLoop
import HTTP
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Every call by everybody, over real HTTP: whom it lets in, and what it does to somebody else's lease.
    @Suite struct `Each call` {
        /// Those who call; each has a token, and each is the name of its role too, but for `other`, a second client.
        private static let callers = ["viewer", "client", "other", "operator", "admin", "agent"]

        /// What a call may do to the lease and the waiting request of another caller that knows neither's token.
        private enum Reach {
            /// Nothing, whoever calls.
            case none
            /// Those who may call may end it: it is what the call is for.
            case ends
        }

        private struct Row {
            var opens: Set<String>
            /// A body that aims at what `client` has.
            var aim = ""
            /// What the path ends with, where it ends with a name.
            var name = ""
            var reach = Reach.none
        }

        private static let viewers: Set = ["viewer", "client", "other", "operator", "admin"]
        private static let clients: Set = ["client", "other", "operator", "admin"]
        private static let operators: Set = ["operator", "admin"]

        /// docs/access.md, written out once more. A call of openapi.json without a row fails the test.
        private static let table: [String: Row] = [
            "post /v1/gpu/lock": Row(
                opens: clients, aim: #"{"id":"victim","request_id":"held","takeover":true,"timeout":0}"#),
            "post /v1/gpu/unlock": Row(opens: clients, aim: #"{"id":"victim"}"#),
            "post /v1/gpu/renew": Row(opens: clients, aim: #"{"token":"LEASE.0123456789abcdef0123456789abcdef"}"#),
            "get /v1/gpu/requests/{request_id}": Row(opens: viewers, name: "held"),
            "get /v1/gpu/status": Row(opens: viewers),
            "post /v1/gpu/verify": Row(opens: viewers, aim: #"{"unit":"h1/0","fencing_token":1}"#),
            "get /v1/gpu/events": Row(opens: viewers),
            "get /metrics": Row(opens: viewers),
            "post /v1/gpu/reset": Row(opens: operators, aim: #"{"holder":"victim"}"#, reach: .ends),
            "post /v1/gpu/cordon": Row(opens: operators, aim: #"{"host":"h1","on":false}"#),
            "post /v1/gpu/drain": Row(opens: operators, aim: #"{"host":"nowhere"}"#),
            "post /v1/gpu/force-release-all": Row(opens: ["admin"], reach: .ends),
            "post /v1/agent/join": Row(opens: ["agent"], aim: #"{"host":"h1"}"#),
        ]
        /// Without a token.
        private static let open: Set = ["get /health", "get /ready", "get /openapi.json"]

        @Test func `opens to the roles of its row alone, and touches nobody else's lease`() async throws {
            try await withService { service in
                let tokens = "\(service.redis.directory)/tokens"
                let lines = Self.callers.map { name in
                    "\(name) roles=\(name == "other" ? "client" : name) sha256=\(Digest.sha256Hex("lh_\(name)"))\n"
                }
                try Files.append(Array(lines.joined().utf8), to: tokens)
                let bridge = try await service.startBridge("--tokens", tokens)
                let calls = try await Self.calls(bridge)
                try #require(
                    Set(calls) == Set(Self.table.keys).union(Self.open), "a call without a row, or a row without a call"
                )

                var victim = try await Self.occupy(bridge)
                for call in calls {
                    guard let row = Self.table[call] else {
                        for header in [nil, "Bearer lh_wrong", "Bearer lh_viewer"] {
                            #expect(
                                try await Self.call(bridge, call, Row(opens: []), header, victim).status == 200,
                                "\(call)")
                        }
                        continue
                    }
                    for header in [nil, "Bearer lh_wrong", "Bearer", "Basic bGg6YWRtaW4=", "Bearer \(victim.token)"] {
                        let answer = try await Self.call(bridge, call, row, header, victim)
                        #expect(answer.status == 401, "\(call), \(header ?? "no token"): \(answer)")
                        try await Self.stands(victim, bridge)
                    }
                    for caller in Self.callers where caller != "client" {
                        let answer = try await Self.call(bridge, call, row, "Bearer lh_\(caller)", victim)
                        let mayCall = row.opens.contains(caller)
                        #expect(
                            (answer.status == 403) != mayCall && answer.status != 401, "\(call), \(caller): \(answer)")
                        for secret in [victim.token, victim.secret] {
                            #expect(!answer.text.contains(secret), "\(call), \(caller)")
                        }
                        if mayCall, row.reach == .ends {
                            #expect(
                                answer.status == 200 && answer.number("released") == 1, "\(call), \(caller): \(answer)")
                            let ended = victim
                            try await eventually("its lease is over", is: 410) {
                                try await Self.renew(ended, bridge).status
                            }
                            victim = try await Self.occupy(bridge)
                        } else {
                            try await Self.stands(victim, bridge)
                        }
                    }
                }
            }
        }

        /// The caller `client` holds the one unit.
        private struct Victim {
            var token: String
            var lease: String
            var secret: String { String(token[token.index(after: token.lastIndex(of: ".") ?? token.startIndex)...]) }
        }

        private static let client: HTTPHeaders = ["Authorization": "Bearer lh_client"]

        private static func occupy(_ bridge: Bridge) async throws -> Victim {
            let answer = try await bridge.post(
                "lock", Bridge.lock("victim", ttl: 600, timeout: 60, request: "held"), headers: client)
            try #require(answer.isAcquired, "\(answer)")
            return Victim(token: answer.token, lease: answer.word("lease"))
        }

        /// Whether its lease is still there, by its own word.
        private static func stands(_ victim: Victim, _ bridge: Bridge) async throws {
            let answer = try await renew(victim, bridge)
            #expect(answer.status == 200 && answer.word("status") == "renewed", "\(answer)")
        }

        private static func renew(_ victim: Victim, _ bridge: Bridge) async throws -> Answer {
            try await bridge.post("renew", #"{"token":"\#(victim.token)"}"#, headers: client)
        }

        /// Makes a call with that `Authorization`. Of a stream the past is taken for the answer.
        private static func call(
            _ bridge: Bridge, _ call: String, _ row: Row, _ authorization: String?, _ victim: Victim
        ) async throws -> Answer {
            let words = call.split(separator: " ")
            let isStream = words[1].hasSuffix("/events")
            let path = words[1].replacing("{request_id}", with: row.name) + (isStream ? "?after=0-0" : "")
            let body = row.aim.replacing("LEASE", with: victim.lease)
            let field = authorization.map { "Authorization: \($0)\r\n" } ?? ""
            let wire = try Wire.connect(port: bridge.port)
            defer { wire.close() }
            wire.send(
                "\(words[0].uppercased()) \(path) HTTP/1.1\r\nHost: localhost\r\n\(field)Connection: close\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            try await eventually("an answer to \(call)") {
                wire.hasEnded || (isStream && wire.text.contains("granted") && wire.text.contains(victim.lease))
            }
            let text = wire.text
            let head = try #require(text.firstRange(of: "\r\n\r\n"), "\(call): \(text)")
            let status = try #require(Int(text.dropFirst("HTTP/1.1 ".count).prefix(3)), "\(call): \(text)")
            return Answer(HTTPResponse(status: status, body: Array(text[head.upperBound...].utf8)))
        }

        /// The calls that openapi.json names, as `get /path`.
        private static func calls(_ bridge: Bridge) async throws -> [String] {
            let document = try await bridge.get("/openapi.json")
            let paths = try #require(document["paths"]?.object)
            return paths.members.flatMap { path, calls in
                (calls.object?.members ?? []).map { "\($0.name) \(path)" }
            }.sorted()
        }
    }
}
