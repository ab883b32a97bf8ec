import HTTP
import TestSupport
import Testing

extension Faults {
    @Suite struct `Bad input` {
        private struct Case: Sendable {
            var path: String
            var body: String
            var status: Int
            /// The answer holds this.
            var says: String

            init(_ path: String, _ body: String, _ status: Int, _ says: String) {
                self.path = path
                self.body = body
                self.status = status
                self.says = says
            }
        }

        private static let bodies = [
            Case("lock", "", 400, #"\"id\" is missing"#),
            Case("lock", "{}", 400, #"\"id\" is missing"#),
            Case("lock", #"{"id":null}"#, 400, #"\"id\" is missing"#),
            Case("lock", "id=Root-Mic", 400, "The body is not JSON"),
            Case("lock", #"{"id":"a"} x"#, 400, "something follows the value"),
            Case("lock", #"{"id":"a","id":"b"}"#, 400, "The body is not JSON"),
            Case("lock", #"["id"]"#, 400, "not an object"),
            Case("lock", #"{"id":7}"#, 400, #"\"id\": got 7, want a text"#),
            Case("lock", #"{"id":["a"]}"#, 400, #"\"id\": got [\"a\"], want a text"#),
            Case("lock", #"{"id":""}"#, 400, #"\"id\": got \"\", want 1 to 200 bytes"#),
            Case("lock", #"{"id":"\#(String(repeating: "x", count: 10_000))"}"#, 400, "want 1 to 200 bytes"),
            Case("lock", #"{"id":"a\u0000b"}"#, 400, "without control characters"),
            Case("lock", #"{"id":"a\nb"}"#, 400, "without control characters"),
            Case("lock", #"{"id":"a\ud800"}"#, 400, "The body is not JSON"),
            Case("lock", #"{"id":"a","ttl":-5}"#, 400, #"\"ttl\": got -5, want 0.1 to 600 seconds"#),
            Case("lock", #"{"id":"a","ttl":0}"#, 400, "want 0.1 to 600 seconds"),
            Case("lock", #"{"id":"a","ttl":1e308}"#, 400, "want 0.1 to 600 seconds"),
            Case("lock", #"{"id":"a","ttl":1e999}"#, 400, "The body is not JSON"),
            Case("lock", #"{"id":"a","ttl":"9"}"#, 400, #"\"ttl\": got \"9\", want 0.1 to 600 seconds"#),
            Case("lock", #"{"id":"a","timeout":-1}"#, 400, "want 0 to 3600 seconds"),
            Case("lock", #"{"id":"a","timeout":3601}"#, 400, "want 0 to 3600 seconds"),
            Case("lock", #"{"id":"a","timeout":true}"#, 400, "want 0 to 3600 seconds"),
            Case("lock", #"{"id":"a","priority":-1}"#, 400, "want a whole number from 0 to 100"),
            Case("lock", #"{"id":"a","priority":101}"#, 400, "want a whole number from 0 to 100"),
            Case("lock", #"{"id":"a","priority":0.5}"#, 400, "want a whole number from 0 to 100"),
            Case("lock", #"{"id":"a","priority":99999999999999999999}"#, 400, "want a whole number from 0 to 100"),
            Case("lock", #"{"id":"a","host":"nowhere"}"#, 404, #"The pool has no host \"nowhere\""#),
            Case("lock", #"{"id":"a","unit":"h1/9"}"#, 404, #"The pool has no unit \"h1/9\""#),
            Case("lock", #"{"id":"a","unit":"nowhere/0"}"#, 404, #"The pool has no unit \"nowhere/0\""#),
            Case("lock", #"{"id":"a","unit":"h1"}"#, 400, #"\"unit\": got \"h1\""#),
            Case("lock", #"{"id":"a","host":"../etc"}"#, 400, #"\"host\": got \"../etc\""#),
            Case("lock", #"{"id":"a","kind":"tpu"}"#, 400, "want gpu or model-load"),
            Case("lock", #"{"id":"a","device_type":"quantum"}"#, 400, "want discrete, integrated"),
            Case("lock", #"{"id":"a","labels":["zone"]}"#, 400, "want an object of texts"),
            Case("lock", #"{"id":"a","labels":{"zone":"a&b"}}"#, 400, "want 1 to 64 of"),
            Case("lock", #"{"id":"a","min_vram_mb":-1}"#, 400, "want a whole number from 0 to 100000000"),
            Case("lock", #"{"id":"a","affinity":""}"#, 400, "want a text of 1 to 200 bytes"),
            Case("lock", #"{"id":"a","takeover":"yes"}"#, 400, "want true or false"),
            Case("lock", #"{"id":"a","request_id":""}"#, 400, "want a text of 1 to 200 bytes"),
            Case("lock", #"{"id":"a","pool":"other"}"#, 400, "this coordinator serves no other pool"),
            Case("lock", #"{"id":"a","count":0}"#, 400, "want a whole number from 1 to 64"),
            Case("lock", #"{"id":"a","count":2,"unit":"h1/0"}"#, 400, "1 where the call names the unit h1/0"),
            Case("lock", #"{"id":"a","count":2,"preempt":true}"#, 400, "leave one of the two out"),
            Case(
                "lock", #"{"id":"a","metadata":"\#(String(repeating: "x", count: 3000))"}"#, 400,
                "got 3002 bytes of JSON, want at most 2048"),
            Case(
                "lock",
                #"{"id":"a","metadata":\#(String(repeating: "[", count: 17) + String(repeating: "]", count: 17))}"#,
                400,
                "got more than 16 arrays and objects within each other"),
            Case(
                "lock", #"{"id":"\#(String(repeating: "a\u{301}\u{302}", count: 5000))"}"#, 400, "want 1 to 200 bytes"),
            Case("lock", String(repeating: "[", count: 1000), 400, "The body is not JSON"),
            Case("lock", String(repeating: " ", count: 70_000), 413, "larger than 65536 bytes"),
            Case("unlock", "{}", 400, "or {\\\"id\\\": ID}"),
            Case("unlock", #"{"token":5}"#, 400, #"\"token\": got 5, want a text"#),
            Case("unlock", #"{"id":"a","kind":"tpu"}"#, 400, "want gpu or model-load"),
            Case("unlock", #"{"token":"h1/0#1.x","kind":"tpu"}"#, 400, "want gpu or model-load"),
            Case("cordon", #"{"host":"h1","on":true,"reason":"a","why":"\u0007"}"#, 400, #"\"why\": got"#),
            Case("renew", "{}", 400, #"\"token\" is missing"#),
            Case("renew", #"{"token":"nonsense"}"#, 410, "not the lease's present one"),
            Case("verify", #"{"unit":"h1/0"}"#, 400, #"\"fencing_token\": NUMBER"#),
            Case("verify", #"{"unit":"h1/9","fencing_token":1}"#, 404, "The pool has no unit"),
            Case("reset", #"{"host":"h1","unit":"h1/0"}"#, 400, "Send at most one of"),
            Case("reset", #"{"unit":"h1"}"#, 400, #"\"unit\": got \"h1\""#),
            Case("cordon", "{}", 400, "to cordon a host"),
            Case("drain", "{}", 400, #"\"host\" is missing"#),
            Case("drain", #"{"host":"h1","deadline":-1}"#, 400, "0 to 604800 seconds"),
            Case("drain", #"{"host":"nowhere"}"#, 404, #"The pool has no host \"nowhere\""#),
            Case("cordon", #"{"host":"nowhere","on":true}"#, 404, #"The pool has no host \"nowhere\""#),
        ]

        @Test func `each body is refused with what came and what is wanted`() async throws {
            try await withService { service in
                let bridge = service.bridge
                // A place that is not there is the client's mistake once the pool must have told all of its hosts.
                try await eventually("the pool has settled", within: .seconds(20), is: 404) {
                    try await bridge.lock("early", timeout: 8, more: #""host":"nowhere""#).status
                }
                for wrong in Self.bodies {
                    let answer = try await bridge.post(wrong.path, wrong.body)
                    #expect(
                        answer.status == wrong.status && answer.text.contains(wrong.says),
                        "\(wrong.path) \(wrong.body.prefix(80)): \(answer)")
                    #expect(!answer.word("error").isEmpty)
                    #expect(answer.word("msg").hasSuffix(".") || wrong.status == 400, "\(answer)")
                    #expect(answer.text.utf8.count < 1000)
                }
                #expect(try await bridge.acquire("after all that").isAcquired)
            }
        }

        @Test func `wrong paths and methods are told what is right`() async throws {
            try await withService { service in
                let bridge = service.bridge
                for (request, status, says) in [
                    ("GET /v1/gpu/lock", 405, "Allow: POST"), ("DELETE /v1/gpu/status", 405, "Allow: GET"),
                    ("PUT /v1/gpu/unlock", 405, "Allow: POST"), ("POST /", 405, "Allow: GET"),
                    ("GET /v1/gpu/locks", 404, "openapi.json"), ("POST /v2/gpu/lock", 404, "openapi.json"),
                    ("GET /v1/gpu/requests/", 404, "not_found"), ("GET /v1/gpu/requests/none", 404, "unknown_request"),
                    ("GET /%2e%2e/%2e%2e/etc/passwd", 404, "not_found"), ("BREW /v1/gpu/lock", 501, "not_implemented"),
                    ("GET /v1/gpu/events?type=nonsense", 400, "want types of events"),
                    ("GET /v1/gpu/events?after=nonsense", 400, "want an event's id"),
                    ("GET /v1/gpu/events?type=granted,,", 400, "want types of events"),
                    ("GET /v1/gpu/status?view=half", 400, "want full or brief"),
                    ("PUT /v1/gpu/lock", 405, "Allow: POST, OPTIONS"),
                    ("OPTIONS /v1/gpu/status", 204, "GET, HEAD, OPTIONS"),
                ] {
                    let wire = try Wire.connect(port: bridge.port)
                    wire.send("\(request) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
                    try await eventually("\(request) is answered") {
                        wire.text.hasSuffix("}") || wire.text.contains(" 204 ")
                    }
                    #expect(wire.text.hasPrefix("HTTP/1.1 \(status) ") && wire.text.contains(says), "\(request)")
                    wire.close()
                }
            }
        }

        @Test func `slow, endless and contradictory requests are ended while others are served`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let post = "POST /v1/gpu/lock HTTP/1.1\r\nHost: localhost\r\n"
                func wire(_ text: String) throws -> Wire {
                    let wire = try Wire.connect(port: bridge.port)
                    wire.send(text)
                    return wire
                }
                let dripping = try wire("POST /v1/gpu/lock HTTP/1.1\r\nX-Drip: ")
                let bodiless = try wire(post + "Content-Length: 20\r\n\r\n{\"id\":")
                let endless = try wire(post + "X-Long: " + String(repeating: "x", count: 100_000))
                let twoLengths = try wire(post + "Content-Length: 11\r\nContent-Length: 12\r\n\r\n{\"id\":\"aa\"}")
                let both = try wire(post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                let silent = try wire("")
                for (wire, status) in [(endless, 431), (twoLengths, 400), (both, 400)] {
                    try await eventually("\(status)") { wire.text.contains("\"msg\":") }
                    #expect(wire.text.hasPrefix("HTTP/1.1 \(status) "), "\(wire.text)")
                    try await eventually("it is closed") { wire.hasEnded }
                }
                let began = ContinuousClock().now
                var times: [Duration] = []
                while !(dripping.hasEnded && bodiless.hasEnded) {
                    dripping.send("x")
                    let asked = ContinuousClock().now
                    let held = try await bridge.acquire("somebody")
                    try await bridge.unlock(held.token)
                    times.append(asked.duration(to: ContinuousClock().now))
                    try #require(began.duration(to: ContinuousClock().now) < .seconds(60))
                }
                for wire in [dripping, bodiless] { #expect(wire.text.hasPrefix("HTTP/1.1 408 "), "\(wire.text)") }
                // One that waited for the others would have waited for their deadline, 10 s.
                #expect(try #require(times.median) < .seconds(1))
                #expect(times.allSatisfy { $0 < .seconds(8) }, "\(times.max() ?? .zero)")
                try await eventually("a connection that asks nothing is closed") { silent.hasEnded }
                #expect(try await bridge.status().queueDepth == 0)
            }
        }
    }
}
