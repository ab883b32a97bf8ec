import EventLoop
import JSON
import TestSupport
import Testing

@testable import leasehold

@Suite struct `What people see` {
    private static let plain = Style(Surroundings.Channel(write: { _ in }))

    @Test func `status is a table of units and one of those who wait`() {
        #expect(
            StatusReport(Sample.status()).lines(width: 80, style: Self.plain)
                == [
                    "Pool default: 1 of 2 GPUs free, 1 waiting", "",
                    "UNIT     STATE  HOLDER    HELD    LEFT  DEVICE",
                    "node1/0  held   Root-Mic   26s  1m 33s  NVIDIA GeForce RTX 4090, 26 GB",
                    "node1/1  free                           NVIDIA GeForce RTX 4090, 26 GB", "",
                    "Waiting", "#  HOLDER   PRIORITY  WAITED  EXPECTED  FOR",
                    "1  Dream-0        20  1m 05s       41s  gpu/any",
                ])
    }

    @Test func `status says who is asked to give a unit back`() {
        var body = Sample.status()
        body["leases"] = .array([
            .object([
                "lease": .string(Sample.lease), "unit": .string("node1/0"), "holder": .string("dreamer"),
                "preemption": .object([
                    "by": .string("Root-Mic"), "priority": .integer(0), "release_within": .number(12),
                ]),
            ])
        ])
        #expect(
            StatusReport(body).lines(width: 80, style: Self.plain).prefix(2) == [
                "Pool default: 1 of 2 GPUs free, 1 waiting",
                "Root-Mic asks for node1/0: dreamer has 12s to give it back.",
            ])
    }

    @Test func `no table is wider than it may be, whatever the names`() {
        let long = String(repeating: "Überlänge-名前-", count: 14)
        let body = Sample.status(units: 40, waiters: 40, holder: long)
        for width in [40, 60, 80, 132] {
            for line in StatusReport(body).lines(width: width, style: Self.plain) {
                #expect(Columns.of(line) <= max(width, 70) && (width < 80 || Columns.of(line) <= width), "\(line)")
            }
        }
    }

    @Test func `a screen's rows are shared by units and waiters, and the rest is counted`() {
        let lines = StatusReport(Sample.status(units: 100, waiters: 50)).lines(width: 80, style: Self.plain, rows: 24)
        #expect(lines.count <= 24)
        #expect(lines.contains { $0.hasPrefix("… and") && $0.hasSuffix("units more") })
        #expect(lines.last?.hasSuffix("requests more") == true)
        #expect(lines.contains { $0.contains("1  Dream-0") })
    }

    @Test func `nothing that a name holds steers the terminal`() async throws {
        let evil = "\u{1B}[2J\u{202E}evil\u{9B}1m\n"
        var status = Sample.status(holder: evil)
        status["degraded"] = .bool(true)
        status["degraded_reason"] = .string(evil)
        let answer = status
        try await withScene { (path, _, _) in
            switch path {
            case "/v1/gpu/status": (200, answer)
            case "/v1/gpu/lock": (400, Sample.error("bad_request", evil))
            default: (404, Sample.error("unknown_request", evil))
            }
        } _: { scene in
            for words in [["status"], ["hosts"], ["status", "--json"], ["why", "r1"], ["lock", evil], [evil]] {
                let ended = await scene.run(words)
                for scalar in (ended.output + ended.error).unicodeScalars where scalar != "\n" {
                    #expect(scalar.properties.generalCategory != .control && scalar != "\u{202E}", "\(words)")
                }
            }
            let json = await scene.run(["status", "--json"]).output
            #expect(document(json)?.text("owner") == evil, "escaping changes no value")
        }
    }

    @Test func `colours stand on a terminal alone, and not where NO_COLOR is set`() async throws {
        try await withScene { (_, _, _) in
            (200, Sample.status())
        } _: { scene in
            let size = Terminal.Size(columns: 100, rows: 30)
            #expect(await scene.run(["status"], terminal: size).output.contains("\u{1B}[32mfree"))
            #expect(!(await scene.run(["status"]).output.contains("\u{1B}")))
        }
        try await withLoop { loop in
            let variables = ["NO_COLOR": "1", "TERM": "xterm"]
            #expect(!Surroundings.process(loop: loop, environment: variables).output.hasColours)
        }
    }

    @Test func `monitor repeats tables where there is no terminal`() async throws {
        try await withScene { (_, _, _) in
            (200, Sample.status())
        } _: { scene in
            let ended = await scene.run(["monitor", "--interval", "0.2", "--count", "2"])
            #expect(ended.code == 0)
            #expect(ended.output.split(separator: "\n").count { $0.hasPrefix("UNIT") } == 2)
            #expect(ended.output.contains("100%"), "the unit was held in all the time between two looks")
            #expect(ended.output.contains("1m 05s       41s  gpu/any"), "who waits is told for how long it may be")
            #expect(!ended.output.contains("\u{1B}"))
            let json = await scene.run(["monitor", "--json", "--count", "1"]).output
            #expect(json.split(separator: "\n").count == 1 && document(json) != nil)
        }
    }

    @Test func `monitor fills a terminal and leaves it as it was`() async throws {
        try await withScene { (path, _, count) in
            guard path == "/v1/gpu/status" else { return (404, [:]) }
            return count == 1 ? (500, Sample.error("internal", "Broken.")) : (200, Sample.status(units: 50))
        } _: { scene in
            let size = Terminal.Size(columns: 80, rows: 24)
            let screen = try await scene.run(["monitor", "--interval", "0.2"], terminal: size) {
                try await eventually("four looks") { scene.asked.count { $0 == "/v1/gpu/status" } >= 4 }
                await scene.interruptions.heard(.interrupt)
            }
            #expect(screen.code == 130)
            #expect(screen.output.hasPrefix("\u{1B}[?1049h\u{1B}[?25l"))
            #expect(screen.output.hasSuffix("\u{1B}[?25h\u{1B}[?1049l"))
            #expect(screen.output.contains("Broken."), "a failed look is told and the next one made")
            for frame in screen.output.split(separator: "\u{1B}[H").dropFirst() {
                #expect(frame.split(separator: "\r\n", omittingEmptySubsequences: false).count == 24)
            }
        }
    }

    @Test func `progress names the place, who is before it, and the wait where it is known`() {
        func text(_ position: Int64, _ ahead: [String], _ expected: Double?) -> String? {
            WaitProgress.text([
                "state": .string("queued"), "selector": .string("gpu/any"), "position": .integer(position),
                "ahead": .array(ahead.map { .string($0) }), "expected_wait_ms": expected.map { .number($0) } ?? .null,
                "blocked_by": .array([.object(["unit": .string("n/0"), "holder": .string("x")])]),
            ])
        }
        #expect(text(1, [], nil) == "Waiting for a GPU: 1st, x holds n/0.")
        #expect(text(2, ["Root-Console"], 40_000) == "Waiting for a GPU: 2nd, behind Root-Console; about 40s.")
        #expect(text(3, ["a", "Root-Console"], nil) == "Waiting for a GPU: 3rd, behind Root-Console and 1 more.")
        #expect(Words.wish("gpu/host=node1?vram=24000&label.zone=a") == "a GPU of node1 (vram=24000, label.zone=a)")
        #expect(Words.wish("model-load/host=node1") == "model loading on node1")
        #expect(
            Words.wish("gpu/unit=node1/0") == "node1/0" && Words.wish(nil) == "a unit" && Words.wish("x") == "x"
                && Words.wish("").isEmpty)
        #expect(WaitProgress.text(["state": .string("offered")]) == "A unit was found; its host is being asked.")
    }

    @Test func `numbers read as people say them`() {
        #expect(
            [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map { Words.ordinal($0) }.joined(separator: " ")
                == "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th")
        let spans: [Double] = [0, 0.85, 12, 185, 7800, 270_000]
        #expect(spans.map { Words.span(.seconds($0)) } == ["0ms", "850ms", "12s", "3m 05s", "2h 10m", "3d 3h"])
        #expect([nil, 0, 999, 41_000].map { Words.expected($0) } == ["unknown", "soon", "soon", "41s"])
        #expect([0.04, 1, 1.25, -0.5].map { Words.seconds($0) } == ["0", "1", "1.3", "-0.5"])
        #expect(Words.list(["a", "b", "c", "d"], limit: 2) == "a, b and 2 more")
        #expect(Columns.fitted("日本語テキスト", 7) == "日本語…")
    }

    @Test func `why tells the place, who is ahead and what blocks`() async throws {
        let body: JSONObject = [
            "state": .string("queued"), "holder": .string("train"), "priority": .integer(15),
            "selector": .string("gpu/any"), "position": .integer(3), "queue_depth": .integer(7),
            "ahead": .array([.string("Root-Console"), .string("x")]), "waited_ms": .integer(5120),
            "time_left_ms": .integer(114_880), "expected_wait_ms": .null, "why": .string("3rd for gpu/any."),
            "blocked_by": .array([
                .object(["unit": .string("node1/0"), "holder": .string("y"), "expires_in": .number(41.5)])
            ]),
        ]
        try await withScene { (_, _, _) in
            (200, body)
        } _: { scene in
            let ended = await scene.run(["why", "a b/c"])
            #expect(scene.asked == ["/v1/gpu/requests/a b/c"], "the id is one part of the path")
            #expect(
                ended.output.split(separator: "\n").map(String.init) == [
                    "train waits for a GPU with priority 15: 3rd of 7.", "3rd for gpu/any.",
                    "Ahead: Root-Console and x.", "node1/0 is held by y, for at most 41s unless it renews.",
                    "Waiting for 5s, gives up in 1m 54s.",
                    "Expected wait: unknown, nothing was observed to base it on.",
                ])
        }
    }

    @Test func `an event is a line`() {
        let line = EventLine.text(
            [
                "type": .string("released"), "at": .integer(1_764_000_000_123), "unit": .string("n/0"),
                "lease": .string("n/0#1"), "holder": .string("a b"), "by": .string("ops\u{1B}"),
            ], Self.plain)
        #expect(line == "2025-11-24T16:00:00.123Z  released       holder=\"a b\" lease=n/0#1 by=ops\\u001b")
    }
}
