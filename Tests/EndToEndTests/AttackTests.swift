import EventLoop
import HTTP
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// What somebody who means harm may try; docs/access.md has the table.
    @Suite struct `Attacks` {
        // MARK: Pages

        @Test func `a foreign page's form frees nothing, nor does one under another name`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let waiting = bridge.waiting("waiter")
                try await bridge.expectQueued(["waiter"])
                let form = "Content-Type: application/x-www-form-urlencoded\r\n"
                let plain = "Content-Type: text/plain\r\n"
                let host = "Host: localhost:\(bridge.port)\r\n"
                for (fields, word) in [
                    ("\(host)\(form)Origin: https://evil.example\r\n", "wrong_origin"),
                    ("\(host)\(plain)Origin: https://evil.example\r\n", "wrong_origin"),
                    ("\(host)\(form)Origin: null\r\n", "wrong_origin"),
                    ("\(host)\(form)Origin: http://localhost.evil.example\r\n", "wrong_origin"),
                    ("\(host)\(form)Origin: http://localhost@evil.example\r\n", "wrong_origin"),
                    ("\(host)\(form)Sec-Fetch-Site: cross-site\r\n", "wrong_origin"),
                    ("\(host)\(form)Sec-Fetch-Site: same-site\r\n", "wrong_origin"),
                    // DNS rebinding: the page's own name, made to point here.
                    ("Host: evil.example:\(bridge.port)\r\n", "wrong_host"),
                    (
                        "Host: evil.example:\(bridge.port)\r\nOrigin: http://evil.example:\(bridge.port)\r\n",
                        "wrong_host"
                    ),
                ] {
                    for path in ["force-release-all", "reset", "unlock"] {
                        let body = path == "unlock" ? #"{"id":"holder"}"# : "why=free"
                        let answer = try await bridge.exchange(
                            "POST /v1/gpu/\(path) HTTP/1.1\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
                        )
                        #expect(answer.hasPrefix("HTTP/1.1 403 ") && answer.contains(word), "\(fields)\(answer)")
                    }
                    // What cannot change anything tells a foreign page nothing either.
                    let read = try await bridge.exchange("GET /v1/gpu/status HTTP/1.1\r\n\(fields)\r\n")
                    let isNeighbour = fields.contains("same-site")
                    #expect(read.hasPrefix("HTTP/1.1 \(isNeighbour ? 200 : 403) "), "\(fields)\(read)")
                    #expect(!read.contains("Access-Control-Allow-Origin"), "\(fields)")
                }
                let status = try await bridge.status()
                #expect(status.owner == "holder" && status.queued == ["waiter"])
                try await bridge.unlock(held.token)
                #expect(try await waiting.value.isAcquired)
            }
        }

        // MARK: Tokens of leases

        @Test func `an unlock that is sent again frees nothing more, whoever sends it`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let first = try await bridge.acquire("one")
                let body = #"{"token":"\#(first.token)"}"#
                let unlock =
                    "POST /v1/gpu/unlock HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                #expect(try await bridge.exchange(unlock).contains(#""status":"released""#))
                let second = try await bridge.acquire("one")
                for _ in 1...3 {
                    #expect(try await bridge.exchange(unlock).contains(#""status":"not_held""#))
                    try await bridge.expectOwner("one")
                }
                #expect(second.token != first.token && second.fencing > first.fencing)
                #expect(try await bridge.renew(first.token).status == 410)
                #expect(try await bridge.unlock(second.token).word("status") == "released")
            }
        }

        @Test func `no guess at a lease's token gets closer to it`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("one")
                let dot = try #require(held.token.lastIndex(of: "."))
                let (lease, secret) = (held.token[..<dot], held.token[held.token.index(after: dot)...])
                #expect(secret.utf8.count >= 32)
                var random = RandomSource(seed: 7)
                let digits = Array("0123456789abcdef")
                var guesses = [
                    "\(lease).", "\(lease).*", "\(lease).\(Digest.sha256Hex(String(secret)))", "*.\(secret)",
                    "\(lease).\(secret.uppercased())", "\(lease).\(secret)0", "\(lease).\(secret.dropLast())",
                    "\(lease)..\(secret)", "\(lease).\(secret)\\n", "h1/0#\(held.fencing - 1).\(secret)",
                    "h1/0#\(held.fencing + 1).\(secret)", "h1/0#0\(held.fencing).\(secret)",
                    "H1/0#\(held.fencing).\(secret)",
                ]
                for _ in 0..<200 {
                    guesses.append("\(lease)." + String((0..<secret.utf8.count).map { _ in random.element(digits) }))
                }
                var texts: Set<String> = []
                for guess in guesses {
                    let answer = try await bridge.unlock(guess)
                    #expect(answer.word("status") == "not_held", "\(guess)")
                    texts.insert(answer.text)
                    #expect(try await bridge.renew(guess).status >= 400, "\(guess)")
                }
                #expect(texts.count <= 2, "what is told does not depend on the guess: \(texts)")
                try await bridge.expectOwner("one")
                #expect(try await bridge.renew(held.token).status == 200)
            }
        }

        // MARK: What strangers are called

        @Test func `no name forges a line of the log, a metric or an event`() async throws {
            try await withService(bridges: 0) { service in
                let bridge = try await service.startBridge("--log-level", "debug")
                try await bridge.expectFree(1)
                let forged = "2026-11-24T16:13:29.123Z error forged"
                let names = [
                    #"a"} evil_total 1"#, #"a\"#, #"" forged="yes"#, "{{evil}}", "<script>alert(1)</script>",
                    "a\u{202E}b\u{200B}", "%0d%0aX-Evil: 1", "lh:{default}:clock", "*", "'; FLUSHALL; --",
                    "a b\u{00A0}c", "$(reboot)", forged,
                ]
                let tail = try await bridge.follow()
                for name in names {
                    let held = try await bridge.lock(
                        name, ttl: 20, request: name, more: #""affinity":"x","metadata":{"a":"\r\n"}"#)
                    #expect(held.isAcquired, "\(held)")
                    #expect(try await bridge.unlock(held.token).word("status") == "released")
                    #expect(try await bridge.post("reset", Bridge.body(["why": name])).status == 200)
                }
                // Those with what ends a line are refused, and tell of it within one.
                for name in ["a\r\n\(forged)", "a\u{2028}b", "a\u{85}b", "\u{1B}[2J"] {
                    #expect(try await bridge.lock(name).status == 400)
                    #expect(try await bridge.post("reset", Bridge.body(["why": name])).status == 400)
                    _ = try await bridge.get("/v1/gpu/requests/" + Self.escaped(name))
                }
                for line in bridge.program.said.split(separator: "\n") {
                    #expect(
                        line.wholeMatch(
                            of:
                                /\d{4}-\d\d-\d\dT\S+Z (debug|info|warning) [\w ]+( \w+=("[^\x00-\x1F\u{2028}\u{202E}]*"|[\w.+-]+))*/
                        )
                            != nil, "\(line)")
                }
                let metrics = try await bridge.get("/metrics").text
                for line in metrics.split(separator: "\n") where !line.hasPrefix("#") {
                    #expect(
                        line.wholeMatch(of: /leasehold_\w+(\{(\w+="[\w.+ -]*",?)+\})? [\d.e+-]+/) != nil, "\(line)")
                }
                try await eventually("all is told", is: names) {
                    tail.events.filter { $0.type == "granted" }.map { $0.word("holder") }
                }
                tail.end()
            }
        }

        private static func escaped(_ text: String) -> String {
            text.utf8.map { byte in
                let digits = String(byte, radix: 16)
                return "%" + (digits.count == 1 ? "0" : "") + digits
            }.joined()
        }

        // MARK: Event streams

        @Test func `no Last-Event-ID makes a stream do more than stand`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("one")
                let largest = "18446744073709551615"
                for id in ["\(largest)-\(largest)", largest, "0-\(largest)", "9999999999999-0"] {
                    let tail = try await bridge.follow(after: id)
                    #expect(try await bridge.renew(held.token).status == 200)
                    try await eventually("it goes on with what is new after \(id)") {
                        tail.events.last?.type == "renewed"
                    }
                    tail.end()
                }
                for (id, status) in [
                    (largest + "0-0", 400), (String(repeating: "9", count: 8000), 400), ("-1-0", 400), ("1-0-0", 400),
                    ("+", 400), ("$", 400), ("(1-0", 400), ("1764000000000-*", 400), ("0x10-0", 400),
                    (String(repeating: "9", count: 1 << 20), 431),
                ] {
                    let answer = try await bridge.exchange(
                        "GET /v1/gpu/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \(id)\r\n\r\n")
                    #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(id.prefix(40)): \(answer)")
                    #expect(answer.utf8.count < 1000)
                }
                try await bridge.expectOwner("one")
            }
        }

        // MARK: Paths

        @Test func `no path leads out of what is served`() async throws {
            try await withService { service in
                let bridge = service.bridge
                for path in [
                    "/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd",
                    "//etc/passwd", "/./etc/passwd", "/gpu-controller.js/../../etc/passwd",
                    "/gpu-controller.js%00.html",
                    "/examples/../../../etc/passwd", "/%5c..%5c..%5cetc%5cpasswd", "/..;/etc/passwd",
                    "/%c0%ae%c0%ae/etc/passwd",
                    "file:///etc/passwd", "http://localhost/../../etc/passwd", "/etc/passwd", "/openapi.json/",
                    "/v1/gpu/requests/..%2fstatus", "/v1/gpu/requests/../status", "/V1/GPU/STATUS", "/v1/gpu/status/",
                    "/v1//gpu/status", "/proc/self/environ",
                ] {
                    let answer = try await bridge.exchange("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    #expect(
                        answer.hasPrefix("HTTP/1.1 404 ") || answer.hasPrefix("HTTP/1.1 400 "), "\(path): \(answer)")
                    #expect(!answer.contains("root:"), "\(path)")
                }
            }
        }

        // MARK: Requests within requests

        @Test func `no request hides within another one`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder")
                let hidden = "POST /v1/gpu/force-release-all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
                let post = "POST /v1/gpu/verify HTTP/1.1\r\nHost: localhost\r\n"
                let chunked = "Transfer-Encoding: chunked\r\n"
                let all = "Content-Length: \(hidden.utf8.count + 5)\r\n"
                // One server would take the hidden request for the body, the next one for a request.
                for (name, text) in [
                    ("length and coding", "\(post)\(all)\(chunked)\r\n0\r\n\r\n\(hidden)"),
                    ("coding and length", "\(post)\(chunked)\(all)\r\n0\r\n\r\n\(hidden)"),
                    ("two lengths", "\(post)Content-Length: 0\r\n\(all)\r\n\(hidden)12345"),
                    ("two lengths, the other way", "\(post)\(all)Content-Length: 0\r\n\r\n\(hidden)12345"),
                    ("a list of lengths", "\(post)Content-Length: 0, \(hidden.utf8.count)\r\n\r\n\(hidden)"),
                    ("a signed length", "\(post)Content-Length: +0\r\n\r\n\(hidden)"),
                    ("a negative length", "\(post)Content-Length: -1\r\n\r\n\(hidden)"),
                    ("a length in hexadecimal", "\(post)Content-Length: 0x0\r\n\r\n\(hidden)"),
                    ("a length with a blank", "\(post)Content-Length: 0 0\r\n\r\n\(hidden)"),
                    ("an empty length", "\(post)Content-Length:\r\n\r\n\(hidden)"),
                    ("a length behind a blank name", "\(post)Content-Length : 0\r\n\r\n\(hidden)"),
                    ("a folded length", "\(post)A: b\r\n Content-Length: 0\r\n\r\n\(hidden)"),
                    ("a folded coding", "\(post)Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n\(hidden)"),
                    ("another coding", "\(post)Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n\(hidden)"),
                    ("two codings", "\(post)Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n\(hidden)"),
                    ("coding twice", "\(post)\(chunked)Transfer-Encoding: x\r\n\r\n0\r\n\r\n\(hidden)"),
                    ("coding twice in a line", "\(post)Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n\(hidden)"),
                    ("coding behind a blank name", "\(post)Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n\(hidden)"),
                    (
                        "coding behind a strange blank",
                        "\(post)Transfer-Encoding: \u{0B}chunked\r\n\r\n0\r\n\r\n\(hidden)"
                    ),
                    ("a quoted coding", "\(post)Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n\(hidden)"),
                    (
                        "coding in HTTP/1.0",
                        "POST /v1/gpu/verify HTTP/1.0\r\nHost: localhost\r\n\(chunked)\r\n0\r\n\r\n\(hidden)"
                    ),
                    ("a bare line feed", "\(post)A: b\nContent-Length: 0\r\n\r\n\(hidden)"),
                    ("a bare line feed before the body", "\(post)Content-Length: 0\r\n\n\(hidden)"),
                    ("a bare return", "\(post)A: b\rContent-Length: 0\r\n\r\n\(hidden)"),
                    ("a zero byte", "\(post)A: \0\r\nContent-Length: 0\r\n\r\n\(hidden)"),
                    ("a chunk's size in other digits", "\(post)\(chunked)\r\n0x0\r\n\r\n\(hidden)"),
                    ("a negative chunk", "\(post)\(chunked)\r\n-1\r\n\r\n\(hidden)"),
                    ("a chunk beyond counting", "\(post)\(chunked)\r\n10000000000000000\r\n\r\n\(hidden)"),
                    ("a blank behind the size", "\(post)\(chunked)\r\n0 \r\n\r\n\(hidden)"),
                    ("a bare line feed behind the size", "\(post)\(chunked)\r\n0\n\r\n\(hidden)"),
                    ("a bare line feed in an extension", "\(post)\(chunked)\r\n2;a=\nxx\r\n0\r\n\r\n\(hidden)"),
                    ("a chunk without its end", "\(post)\(chunked)\r\n1\r\nab\r\n0\r\n\r\n\(hidden)"),
                    ("a chunk that ends in a line feed", "\(post)\(chunked)\r\n1\r\na\n0\r\n\r\n\(hidden)"),
                    ("a length behind the chunks", "\(post)\(chunked)\r\n0\r\nContent-Length: 9\n\r\n\(hidden)"),
                    ("a bare line feed at the end", "\(post)\(chunked)\r\n0\r\n\n\(hidden)"),
                    ("a bare line feed behind a field", "\(post)\(chunked)\r\n0\r\nA: b\r\n\n\(hidden)"),
                    ("a folded field behind the chunks", "\(post)\(chunked)\r\n0\r\nA: b\r\n c\r\n\r\n\(hidden)"),
                    ("a request line in two versions", "\(post.dropLast(2))\r\nA: b\r\n\u{0B}: c\r\n\r\n\(hidden)"),
                ] {
                    let answer = try await bridge.exchange(text)
                    let isRefused = [400, 501].contains { answer.hasPrefix("HTTP/1.1 \($0) ") }
                    #expect(isRefused && answer.answers == 1, "\(name): \(answer)")
                    #expect(!answer.contains("force_released"), "\(name): \(answer)")
                }
                // A body is a body, whatever stands in it.
                for text in [
                    "\(post)Content-Length: \(hidden.utf8.count)\r\n\r\n\(hidden)",
                    "\(post)\(chunked)\r\n\(String(hidden.utf8.count, radix: 16));x=y\r\n\(hidden)\r\n0\r\n\r\n",
                    "GET /v1/gpu/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(hidden.utf8.count)\r\n\r\n\(hidden)",
                    "OPTIONS /v1/gpu/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(hidden.utf8.count)\r\n\r\n\(hidden)",
                ] {
                    let answer = try await bridge.exchange(
                        text + "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    #expect(answer.answers == 2 && answer.contains(#""status":"ok""#), "\(answer)")
                }
                try await bridge.expectOwner("holder")
                #expect(try await bridge.renew(held.token).status == 200)
            }
        }

        // MARK: Crowds

        @Test func `strangers do not use up what watches the service's health`() async throws {
            try await withService { service in
                let tokens = "\(service.redis.directory)/tokens"
                try Files.append(Array("ci roles=client sha256=\(Digest.sha256Hex("lh_ci"))\n".utf8), to: tokens)
                let bridge = try await service.startBridge("--tokens", tokens, "--caller-rate", "1")
                let headers: HTTPHeaders = ["Authorization": "Bearer lh_ci"]
                for _ in 0..<50 {
                    for path in ["/health", "/ready", "/openapi.json"] {
                        #expect(try await bridge.get(path).status == 200)
                    }
                    #expect(try await bridge.post("unlock", #"{"id":"a"}"#).status == 401)
                }
                #expect(try await bridge.post("unlock", #"{"id":"a"}"#, headers: headers).status == 200)
                var refused: Answer?
                for _ in 0..<20 where refused == nil {
                    let answer = try await bridge.post("unlock", #"{"id":"a"}"#, headers: headers)
                    if answer.status == 429 { refused = answer }
                }
                #expect(refused?.word("error") == "too_many_requests" && refused?.headers["Retry-After"] == "1")
                #expect(try await bridge.get("/health").status == 200)
            }
        }

        @Test func `one caller has its own event streams alone`() async throws {
            try await withService { service in
                let tokens = "\(service.redis.directory)/tokens"
                let lines = ["one", "two"].map { "\($0) roles=viewer sha256=\(Digest.sha256Hex("lh_\($0)"))\n" }
                try Files.append(Array(lines.joined().utf8), to: tokens)
                let bridge = try await service.startBridge("--tokens", tokens)
                @Sendable func stream(_ caller: String) async throws -> Wire {
                    let wire = try Wire.connect(port: bridge.port)
                    wire.send(
                        "GET /v1/gpu/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer lh_\(caller)\r\n\r\n")
                    try await eventually("it is answered") {
                        wire.text.contains("retry: 1000") || wire.text.hasSuffix("}")
                    }
                    return wire
                }
                var streams: [Wire] = []
                for _ in 0..<200 { streams.append(try await stream("one")) }
                #expect(streams.allSatisfy { $0.text.hasPrefix("HTTP/1.1 200 ") })
                let refused = try await stream("one")
                #expect(refused.text.hasPrefix("HTTP/1.1 429 ") && refused.text.contains("too_many_streams"))
                #expect(try await stream("two").text.hasPrefix("HTTP/1.1 200 "))
                streams.removeLast().close()
                try await eventually("there is room again") { try await stream("one").text.hasPrefix("HTTP/1.1 200 ") }
            }
        }

        /// `LEASEHOLD_SLOW`: how many attackers (5000).
        @Test(
            .enabled(if: Environment.raiseFileLimit() >= 6_000, "SKIPPED: this needs 6,000 descriptors (ulimit -Hn)"))
        func `thousands of slow connections harm nobody who asks`() async throws {
            try await withService(units: 8) { service in
                let bridge = service.bridge
                let count = Rounds.count(5000, "LEASEHOLD_SLOW")
                let beginnings = [
                    "", "GET /v1/gpu/status HTTP/1.1\r\nX-Drip: ",
                    "POST /v1/gpu/lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{",
                    "POST /v1/gpu/lock HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                ]
                let slow = try (0..<count).map { number in
                    let wire = try Wire.connect(port: bridge.port)
                    wire.send(beginnings[number % beginnings.count])
                    return wire
                }
                let isOver = Shared(false)
                let dripping = Task.detached {
                    while !isOver.withLock({ $0 }) {
                        for wire in slow { _ = wire.sendWithoutWaiting([UInt8(ascii: "x")]) }
                        try? await ContinuousClock().sleep(for: .milliseconds(20))  // the attackers' own pace
                    }
                }
                defer { isOver.withLock { $0 = true } }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for client in 0..<50 {
                        group.addTask {
                            for _ in 0..<4 {
                                let held = try await bridge.acquire("c\(client)", ttl: 60)
                                #expect(try await bridge.unlock(held.token).word("status") == "released")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                // Each of them is told, or closed without a word where it had said nothing.
                for wire in slow {
                    try await eventually("the slow are sent away", within: .seconds(60)) { wire.hasEnded }
                }
                isOver.withLock { $0 = true }
                await dripping.value
                let told = slow.count { $0.text.hasPrefix("HTTP/1.1 408 ") }
                #expect(told > 0, "\(told) of \(count) were told")
                #expect(try await bridge.status().queueDepth == 0)
                for wire in slow { wire.close() }
            }
        }

        /// `LEASEHOLD_DESERTERS`: how many (10,000).
        @Test(.enabled(if: Environment.raiseFileLimit() >= 4_000, "SKIPPED: this needs 4,000 descriptors (ulimit -Hn)"))
        func `ten thousand waits that nobody waits for any more leave the queue as it was`() async throws {
            try await withService { service in
                let bridge = service.bridge
                let held = try await bridge.acquire("holder", ttl: 600)
                let first = bridge.waiting("first", timeout: 600)
                try await bridge.expectQueued(["first"])
                let (count, wave) = (Rounds.count(10_000, "LEASEHOLD_DESERTERS"), 1000)
                for round in 0..<count / wave {
                    let wires = try (0..<wave).map { number in
                        try bridge.bareLock(Bridge.lock("gone-\(round)-\(number)", timeout: 600, priority: 0))
                    }
                    try await bridge.expectQueueDepth(wave + 1, within: .seconds(60))
                    for (number, wire) in wires.enumerated() {
                        if number.isMultiple(of: 2) { wire.close() } else { wire.reset() }
                    }
                    try await bridge.expectQueueDepth(1, within: .seconds(60))
                }
                try await bridge.unlock(held.token)
                let lease = try await first.value
                #expect(lease.isAcquired, "\(lease)")
                try await bridge.unlock(lease.token)
                #expect(try await bridge.status().queueDepth == 0)
            }
        }
    }
}

extension Bridge {
    /// What comes back for these bytes, on a connection of their own, until it has the form of an answer or ends.
    func exchange(_ text: String) async throws -> String {
        let wire = try Wire.connect(port: port)
        defer { wire.close() }
        wire.send(text)
        let isLast = text.contains("Connection: close")
        try await eventually("an answer to \(text.prefix(300).debugDescription)") {
            let came = wire.text
            return wire.hasEnded
                || (!isLast && (came.hasSuffix("}") || (came.contains("\r\n\r\n") && came.contains(" 204 "))))
        }
        return wire.text
    }

    /// A body of texts.
    static func body(_ members: KeyValuePairs<String, String>) -> String {
        var writer = JSONWriter()
        writer.object { writer in for (name, value) in members { writer.member(name, value) } }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Waits until so many GPUs are free.
    func expectFree(_ count: Int) async throws {
        try await eventually("\(count) units are free", is: count) {
            try await self.status().units.count { $0.key != "h1/model-load" && $0.value == "free" }
        }
    }
}

extension String {
    /// How many answers begin in it.
    fileprivate var answers: Int { ranges(of: /HTTP\/1\.1 \d/).count }
}
