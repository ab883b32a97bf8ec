import LeaseModel
import TestSupport
import Testing

@testable import Coordinator

@Suite struct RateLimitsTests {
    static func caller(_ name: String) -> Access.Caller { Access.Caller(name: name, roles: [.client]) }

    @Test func `a burst is served at once, then one request for each interval`() {
        var limits = RateLimits(.init(requestsPerSecond: 10, burst: 3))
        let ci = Self.caller("ci")
        for _ in 0..<3 { #expect(limits.take(ci, at: at(0)) == nil) }
        #expect(limits.take(ci, at: at(0)) == .tooManyRequests(retryAfter: .milliseconds(100)))
        #expect(limits.take(ci, at: at(0.05)) == .tooManyRequests(retryAfter: .milliseconds(50)))
        #expect(limits.take(ci, at: at(0.1)) == nil)
        #expect(limits.take(ci, at: at(0.1)) != nil)
        #expect(limits.take(ci, at: at(0.3)) == nil)
        #expect(limits.take(ci, at: at(0.3)) == nil)
        #expect(limits.take(ci, at: at(0.3)) != nil)
        for _ in 0..<3 { #expect(limits.take(ci, at: at(100)) == nil) }
        #expect(limits.take(ci, at: at(100)) != nil)
    }

    @Test func `one caller does not spend another's`() {
        var limits = RateLimits(.init(requestsPerSecond: 1, burst: 1))
        #expect(limits.take(Self.caller("a"), at: at(0)) == nil)
        #expect(limits.take(Self.caller("a"), at: at(0)) != nil)
        #expect(limits.take(Self.caller("b"), at: at(0)) == nil)
    }

    @Test func `local has no limits and leaves no trace`() {
        var limits = RateLimits(.init(requestsPerSecond: 1, burst: 1, waiting: 0, leases: 0))
        for _ in 0..<100 {
            #expect(limits.take(.local, at: at(0)) == nil)
            #expect(limits.beginWait(.local, held: 5, at: at(0)) == nil)
        }
        limits.endWait(.local)
        #expect(limits.count == 0)
    }

    @Test func `waiting calls are counted until they end`() {
        var limits = RateLimits(.init(waiting: 2))
        let ci = Self.caller("ci")
        #expect(limits.beginWait(ci, held: 0, at: at(0)) == nil)
        #expect(limits.beginWait(ci, held: 0, at: at(0)) == nil)
        #expect(limits.beginWait(ci, held: 0, at: at(0)) == .tooManyWaiting(limit: 2))
        limits.endWait(ci)
        #expect(limits.beginWait(ci, held: 0, at: at(0)) == nil)
    }

    @Test func `leases that are held and those that may come count together`() {
        var limits = RateLimits(.init(leases: 3))
        let ci = Self.caller("ci")
        #expect(limits.beginWait(ci, held: 3, at: at(0)) == .tooManyLeases(limit: 3))
        #expect(limits.beginWait(ci, held: 2, at: at(0)) == nil)
        #expect(limits.beginWait(ci, held: 2, at: at(0)) == .tooManyLeases(limit: 3))
        limits.endWait(ci)
        #expect(limits.beginWait(ci, held: 2, at: at(0)) == nil)
    }

    @Test func `callers at rest are forgotten, those that wait or are in debt are not`() {
        var limits = RateLimits(.init(requestsPerSecond: 1, burst: 2, waiting: 1))
        #expect(limits.beginWait(Self.caller("waiting"), held: 0, at: at(0)) == nil)
        for index in 0..<10_000 {
            #expect(limits.take(Self.caller("c\(index)"), at: at(Double(index))) == nil)
        }
        #expect(limits.count <= AccessLimits.accounts + 1)
        #expect(limits.beginWait(Self.caller("waiting"), held: 0, at: at(10_000)) != nil)
        for index in 0..<5000 { #expect(limits.take(Self.caller("d\(index)"), at: at(20_000)) == nil) }
        for index in 0..<5000 { #expect(limits.take(Self.caller("d\(index)"), at: at(20_000)) == nil) }
        for index in 0..<5000 { #expect(limits.take(Self.caller("d\(index)"), at: at(20_000)) != nil) }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `over any time no more is served than burst and rate allow, and never less`(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let (rate, burst) = (1 + random.below(50), 1 + random.below(20))
        var limits = RateLimits(.init(requestsPerSecond: rate, burst: burst))
        var now = 0.0
        var tokens = Double(burst)
        for _ in 0..<3000 {
            let pause = Double(random.below(4)) * Double(random.below(100)) / 1000
            now += pause
            tokens = min(Double(burst), tokens + pause * Double(rate))
            let refusal = limits.take(Self.caller("c"), at: at(now))
            // The model counts in floating point: it decides only where it is not on the edge.
            if tokens > 1.01 { #expect(refusal == nil, "seed \(seed)") }
            if tokens < 0.95 { #expect(refusal != nil, "seed \(seed)") }
            if refusal == nil { tokens -= 1 }
            if case .tooManyRequests(let retryAfter)? = refusal {
                #expect(retryAfter > .zero && retryAfter <= .seconds(1) / rate)
            }
        }
    }
}
