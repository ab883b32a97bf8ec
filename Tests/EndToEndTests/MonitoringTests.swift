import EventLoop
import HTTP
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The alerts and the dashboard of `deploy/monitoring` against what running programs show.
    @Suite struct `What is watched` {
        /// What one program shows: each metric with the label values of its series.
        private struct Scrape {
            private(set) var series: [String: [[String: String]]] = [:]

            mutating func take(_ text: String) throws {
                for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                    let match = try #require(line.wholeMatch(of: /([a-z_]+)(?:\{(.*)\})? ([-+0-9.eInfNa]+)/), "\(line)")
                    let labels = (match.2 ?? "").matches(of: /([a-z_]+)="((?:[^"\\]|\\.)*)"/)
                    series[String(match.1), default: []].append(
                        Dictionary(uniqueKeysWithValues: labels.map { (String($0.1), String($0.2)) }))
                }
            }
        }

        private static func file(_ name: String) throws -> String {
            let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            return String(decoding: try Files.read("/\(root)/deploy/monitoring/\(name)"), as: UTF8.self)
        }

        /// The queries of both files.
        private static func queries() throws -> [String] {
            let alerts = try file("alerts.yaml").matches(of: /(?m)^ +expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)/)
                .map { String($0.1 ?? $0.2 ?? "") }
            let dashboard = try #require(try JSONParser.parse(Array(try file("dashboard.json").utf8)).object)
            let panels = try #require(dashboard["panels"]?.array)
            let drawn = panels.flatMap { $0.object?["targets"]?.array ?? [] }.compactMap { $0.object?["expr"]?.string }
            try #require(alerts.count > 15 && drawn.count > 20)
            return alerts + drawn
        }

        @Test func `is shown by programs that run, with the labels that are asked for`() async throws {
            try await withService(bridges: 0) { service in
                let bridge = try await service.startBridge("--max-waiters", "1")
                // What is shown only once it has happened.
                _ = try await bridge.acquire("holder")
                let waiting = bridge.waiting("next")
                try await bridge.expectQueued(["next"])
                #expect(try await bridge.lock("too-many").status == 429)
                _ = try await bridge.unlock(id: "holder")
                #expect(try await waiting.value.isAcquired)

                let agent = HTTPEndpoint.unix(path: "\(service.redis.directory)/agent/agent.sock")
                #expect(
                    try await service.client.send(.post, "/metrics", to: agent, timeout: .seconds(10)).status == 405)
                // Nothing has gone wrong here, so the agent has rejected nothing.
                let unseen: Set = ["leasehold_agent_rejects_total"]
                let names = try Set(
                    Self.queries().flatMap { $0.matches(of: /leasehold_[a-z_]+/).map { String($0.output) } })
                @Sendable func look() async throws -> Scrape {
                    var scrape = Scrape()
                    try scrape.take(try await bridge.get("/metrics").text)
                    let shown = try await service.client.send(.get, "/metrics", to: agent, timeout: .seconds(10))
                    #expect(shown.headers["Content-Type"]?.hasPrefix("text/plain; version=0.0.4") == true)
                    try scrape.take(String(decoding: shown.body, as: UTF8.self))
                    return scrape
                }
                // What a coordinator reads from the pool's events it counts a moment later.
                try await eventually("each series is shown by somebody", is: [String]()) {
                    let series = try await look().series
                    return names.subtracting(unseen).filter { series[$0] == nil }.sorted()
                }
                let scrape = try await look()

                for query in try Self.queries() {
                    for match in query.matches(of: /(leasehold_[a-z_]+)(?:\{([^}]*)\})?/) {
                        let name = String(match.1)
                        guard !unseen.contains(name) else { continue }
                        let series = try #require(scrape.series[name], "\(name) is shown by nobody")
                        for wish in (match.2 ?? "").matches(of: /([a-z_]+)(=|!=|=~|!~)"([^"]*)"/) {
                            let label = String(wish.1)
                            // Prometheus itself adds these.
                            if ["job", "instance"].contains(label) { continue }
                            let values = series.compactMap { $0[label] }
                            #expect(values.count == series.count, "\(name) has no label \(label)")
                            if wish.2 == "=" { #expect(values.contains(String(wish.3)), "\(match.0)") }
                        }
                    }
                    for match in query.matches(of: /by \(([a-z, ]+)\)/) {
                        for label in match.1.split(separator: ",").map({ $0.drop { $0 == " " } }) {
                            let isKnown =
                                ["le", "instance", "reason"].contains(label)
                                || scrape.series.values.contains { $0.contains { $0[String(label)] != nil } }
                            #expect(isKnown, "\(match.0)")
                        }
                    }
                }
            }
        }

        @Test func `tells how hosts and their agents are`() async throws {
            try await withService(units: 2) { service in
                let agent = HTTPEndpoint.unix(path: "\(service.redis.directory)/agent/agent.sock")
                @Sendable func agents() async throws -> [Substring] {
                    let answer = try await service.client.send(.get, "/metrics", to: agent, timeout: .seconds(10))
                    return String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
                }
                @Sendable func pool() async throws -> [Substring] {
                    try await service.bridge.get("/metrics").text.split(separator: "\n")
                }
                _ = try await service.bridge.acquire("train")
                let own = try await agents()
                for line in [
                    "leasehold_agent_units{state=\"held\"} 1", "leasehold_agent_units{state=\"free\"} 2",
                    "leasehold_agent_confirms_total 1", "leasehold_agent_sessions_total 1", "leasehold_redis_up 1",
                    "leasehold_agent_probe_runs_total 1", "leasehold_agent_journal_failures_total 0",
                ] {
                    #expect(own.contains(line[...]), "\(line)")
                }
                let shown = try await pool()
                #expect(shown.contains("leasehold_pool_gpus{state=\"held\"} 1"))
                #expect(shown.contains("leasehold_pool_gpus{state=\"free\"} 1"))
                #expect(shown.contains("leasehold_host_present{host=\"h1\"} 1"))

                await service.agent.terminate()
                try await eventually("the host is away", is: true) {
                    try await pool().contains("leasehold_host_present{host=\"h1\"} 0")
                }
                let before = try await pool().first { $0.contains("{host=\"h1\",event=\"registered\"}") }
                try await service.startAgent()
                try await eventually("the agent has registered once more") {
                    let lines = try await pool()
                    return lines.contains("leasehold_host_present{host=\"h1\"} 1")
                        && lines.first { $0.contains("{host=\"h1\",event=\"registered\"}") } != before
                }
            }
        }
    }
}
