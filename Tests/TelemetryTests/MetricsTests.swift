import Telemetry
import Testing

@Suite struct `The metrics` {
    @Test func `are rendered in the text format of Prometheus`() {
        var registry = MetricRegistry([
            Catalogue.grants.metric, Catalogue.degraded.metric, Catalogue.httpRequests.metric,
        ])
        registry.count(Catalogue.grants, "voice")
        registry.count(Catalogue.grants, "voice", by: 2)
        registry.set(Catalogue.degraded, to: true)
        registry.count(Catalogue.httpRequests, "/v1/gpu/lock", "200")
        #expect(
            registry.text == """
                # HELP leasehold_lock_grants_total Lock calls answered with a lease.
                # TYPE leasehold_lock_grants_total counter
                leasehold_lock_grants_total{class="console"} 0
                leasehold_lock_grants_total{class="dreamer"} 0
                leasehold_lock_grants_total{class="standard"} 0
                leasehold_lock_grants_total{class="voice"} 3
                # HELP leasehold_degraded 1 while what the coordinator shows and decides by is old or incomplete.
                # TYPE leasehold_degraded gauge
                leasehold_degraded 1
                # HELP leasehold_http_requests_total HTTP requests, by route and status.
                # TYPE leasehold_http_requests_total counter
                leasehold_http_requests_total{route="/v1/gpu/lock",status="200"} 1

                """)
    }

    @Test func `sort what a histogram is told into buckets that add up`() {
        var registry = MetricRegistry([Catalogue.lockWait.metric])
        for milliseconds in [5, 6, 700_000, 20] {
            registry.observe(Catalogue.lockWait, "voice", took: .milliseconds(milliseconds))
        }
        let lines = registry.text.split(separator: "\n")
        #expect(lines.contains(#"leasehold_lock_wait_seconds_bucket{class="voice",le="0.005"} 1"#))
        #expect(lines.contains(#"leasehold_lock_wait_seconds_bucket{class="voice",le="0.01"} 2"#))
        #expect(lines.contains(#"leasehold_lock_wait_seconds_bucket{class="voice",le="600"} 3"#))
        #expect(lines.contains(#"leasehold_lock_wait_seconds_bucket{class="voice",le="+Inf"} 4"#))
        #expect(lines.contains(#"leasehold_lock_wait_seconds_count{class="voice"} 4"#))
        #expect(lines.contains { $0.hasPrefix(#"leasehold_lock_wait_seconds_sum{class="voice"} 700.03"#) })
        #expect(registry.observations(Catalogue.lockWait, "voice") == 4)
    }

    @Test func `that are set anew forget what is gone`() {
        var registry = MetricRegistry([Catalogue.hostPresent.metric])
        registry.replace(Catalogue.hostPresent, with: [(label: "a", value: 1), (label: "b", value: 0)])
        registry.replace(Catalogue.hostPresent, with: [(label: "b", value: 1)])
        #expect(registry.value(Catalogue.hostPresent.metric, "a") == nil)
        #expect(registry.value(Catalogue.hostPresent.metric, "b") == 1)
        registry.replace(
            Catalogue.hostPresent, with: (0..<30_000).map { (label: "h\($0)", value: 1) })
        #expect(registry.text.split(separator: "\n").count == 20_002)
    }

    @Test func `escape label values`() {
        var registry = MetricRegistry([Catalogue.refusals.metric])
        registry.count(Catalogue.refusals, "a\"} 9\nforged \\ 1")
        #expect(registry.text.contains(#"{reason="a\"} 9\nforged \\ 1"} 1"#))
        #expect(registry.text.split(separator: "\n").count == 3)
    }

    @Test func `have an end, however many label values come`() {
        var registry = MetricRegistry([Catalogue.refusals.metric])
        for index in 0..<10_000 { registry.count(Catalogue.refusals, "reason \(index)") }
        #expect(registry.text.split(separator: "\n").count < 300)
        #expect(registry.value(Catalogue.refusals.metric, "other").map { $0 > 9000 } == true)
    }

    @Test func `rise and fall as their kind allows`() {
        var registry = MetricRegistry(Catalogue.agent)
        registry.set(Catalogue.units, "free", to: 3)
        registry.adjust(Catalogue.units, "free", by: -1)
        #expect(registry.value(Catalogue.units.metric, "free") == 2)
        registry.count(Catalogue.heartbeats, upTo: 7)
        registry.count(Catalogue.heartbeats, upTo: 5)
        #expect(registry.value(Catalogue.heartbeats.metric) == 7)
        registry.count(Catalogue.grants, "voice")
        #expect(registry.value(Catalogue.grants.metric, "voice") == nil, "the coordinator's, not the agent's")
    }

    @Test func `are named by the rules`() throws {
        var names: Set<String> = []
        for metric in Catalogue.all {
            #expect(names.insert(metric.name).inserted, "\(metric.name) twice")
            #expect(metric.name.hasPrefix("leasehold_"))
            #expect(metric.name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") })
            #expect(metric.name.hasSuffix("_total") == (metric.kind == .counter), "\(metric.name)")
            #expect(
                metric.kind == .gauge || metric.name.hasSuffix("_seconds") == (metric.kind == .histogram),
                "\(metric.name)")
            #expect(metric.help.hasSuffix(".") && !metric.help.contains("\n"), "\(metric.name)")
            #expect(metric.buckets.isEmpty == (metric.kind != .histogram))
            for label in metric.labels {
                #expect(!["id", "holder", "lease", "request", "le"].contains(label.name))
                #expect(label.name.allSatisfy { $0.isLowercase || $0 == "_" })
            }
        }
        #expect(Set(Catalogue.all) == Set(Catalogue.coordinator).union(Catalogue.agent))
    }
}
