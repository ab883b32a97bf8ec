import LeaseModel
import Testing

@Suite struct `Names and selectors` {
    @Test(arguments: ["node1/0", "a.b-c_d/model-load"])
    func `a unit's name leads to its host`(text: String) throws {
        let unit = try UnitID(text)
        #expect(unit.text == text)
        #expect(unit.host.text == text.split(separator: "/").first.map(String.init))
    }

    @Test(arguments: ["", "node1", "node1/", "/0", "a/b/c", "no de/0", "node1/\u{1}", "nöde/0"])
    func `what is no unit is refused with what would be one`(text: String) {
        #expect(throws: InvalidName.self) { try UnitID(text) }
    }

    @Test func `a lease's name carries its unit and its fencing token`() throws {
        let lease = LeaseID(unit: try UnitID("node1/0"), fencing: FencingToken(42))
        #expect(lease.text == "node1/0#42")
        #expect(try LeaseID(lease.text) == lease)
    }

    @Test(arguments: ["node1/0", "node1/0#", "node1/0#-1", "node1/0#007", "node1/0#1#2", "node1/0#9223372036854775808"])
    func `what is no lease is refused`(text: String) {
        #expect(throws: InvalidName.self) { try LeaseID(text) }
    }

    @Test func `a holder may have any name without control characters`() throws {
        #expect(try HolderID("Root-Mic ✓ 音").text == "Root-Mic ✓ 音")
        #expect(try HolderID(String(repeating: "x", count: 200)).text.count == 200)
        for bad in ["", String(repeating: "x", count: 201), "a\nb", "a\u{1F}b", "a\u{1E}b", "a\u{2028}b", "\u{7F}"] {
            #expect(throws: InvalidName.self) { try HolderID(bad) }
        }
    }

    @Test func `equal selectors have one spelling`() throws {
        let first = try Selector(
            scope: .host(HostID("n1")), minimumMemoryMB: 24_000, deviceType: "discrete", labels: ["b": "2", "a": "1"])
        #expect(first.text == "gpu/host=n1?vram=24000&type=discrete&label.a=1&label.b=2")
        #expect(Selector.anyGPU.text == "gpu/any")
        #expect(try Selector(kind: .modelLoad, scope: .host(HostID("n1"))).text == "model-load/host=n1")
    }

    @Test func `a selector that could not be spelled is refused`() {
        #expect(throws: InvalidName.self) { try Selector(minimumMemoryMB: -1) }
        #expect(throws: InvalidName.self) { try Selector(deviceType: "gpu&type=cpu") }
        #expect(throws: InvalidName.self) { try Selector(labels: ["a=b": "c"]) }
        #expect(throws: InvalidName.self) {
            try Selector(labels: Dictionary(uniqueKeysWithValues: (0..<17).map { ("l\($0)", "v") }))
        }
    }
}

@Suite struct `Terms of time` {
    @Test func `slack is a second, for short leases a quarter`() {
        #expect(Limits.slack(of: .seconds(120)) == .seconds(1))
        #expect(Limits.slack(of: .seconds(4)) == .seconds(1))
        #expect(Limits.slack(of: .seconds(2)) == .milliseconds(500))
    }

    @Test func `with the standard aging twenty points are worth the standard timeout`() {
        #expect(Aging.standard.microsecondsPerPoint * 20 == Limits.standardTimeout.microseconds)
    }

    @Test func `a strict score still fits into what a sorted set holds exactly`() {
        let latest = Int64(4_000_000_000) * 1_000_000
        let score = latest + Aging.strict.microsecondsPerPoint * Int64(Limits.lowestPriority)
        #expect(score < Int64(1) << 53)
    }
}
