import Testing

@testable import Coordinator
@testable import LeaseModel

@Suite struct PriorityClassTests {
    @Test(arguments: [
        ("Root-Mic", 0), ("MicInput", 0), ("mic", 0), ("microphone 2", 0), ("rootMic", 0), ("Root_MIC", 0),
        ("Academic-Batch", 15), ("ceramic", 15), ("train-7b", 15), ("", 15), ("日本語", 15), ("ROOTMIC", 15),
        ("Console-1", 10), ("webChat", 10), ("chatbot", 10), ("unchat", 15),
        ("Dreamer", 20), ("day-dream", 20), ("daydream", 15), ("dream-mic", 0), ("dream-console", 10), ("é-mic", 0),
    ])
    func `an id tells its priority`(id: String, priority: Int) {
        #expect(PriorityClass(ofHolder: id).priority.value == priority)
    }

    @Test(arguments: [
        (0, "voice"), (1, "console"), (10, "console"), (11, "standard"), (15, "standard"), (16, "dreamer"),
        (100, "dreamer"),
    ])
    func `a priority has a class`(value: Int, name: String) throws {
        #expect(PriorityClass(of: try Priority(value)).rawValue == name)
    }
}

@Suite struct ScopeTests {
    @Test(arguments: [
        ("pool", "gpu/any", true), ("pool", "gpu/host=a", true), ("pool", "model-load/any", false),
        ("host=a", "gpu/any", true), ("host=a", "gpu/any?vram=8", true), ("host=a", "gpu/host=a", true),
        ("host=a", "gpu/host=a?vram=8", true), ("host=a", "gpu/host=ab", false), ("host=a", "gpu/unit=a/0", true),
        ("host=a", "gpu/unit=ab/0", false), ("host=a", "model-load/host=a", false),
    ])
    func `a scope concerns the waiters that its units may serve`(scope: String, selector: String, concerned: Bool)
        throws
    {
        #expect(try #require(Scope(parsing: scope)).concerns(gpuSelector: selector) == concerned)
    }

    @Test(arguments: ["", "hosts", "host=", "host=a b", "Pool"])
    func `no other text is a scope`(text: String) {
        #expect(Scope(parsing: text) == nil)
    }
}

@Suite struct DeadlinesTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `deadlines come up in order, whatever was set and removed`(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        var deadlines = Deadlines<Int>()
        var plain: [Int: BootInstant] = [:]
        for _ in 0..<5000 {
            let key = Int.random(in: 0..<200, using: &numbers)
            switch Int.random(in: 0..<10, using: &numbers) {
            case 0..<6:
                let moment = at(Double.random(in: 0..<100, using: &numbers))
                deadlines.set(key, moment)
                plain[key] = moment
            case 6..<9:
                deadlines.remove(key)
                plain[key] = nil
            default:
                let now = at(Double.random(in: 0..<20, using: &numbers))
                var last: BootInstant?
                while let due = deadlines.takeDue(at: now) {
                    let moment = plain.removeValue(forKey: due)
                    #expect(moment.map { $0 <= now && (last ?? $0) <= $0 } == true)
                    last = moment
                }
                #expect(plain.values.allSatisfy { $0 > now })
            }
            #expect(deadlines.count == plain.count)
            #expect(deadlines.first == plain.values.min())
        }
    }

    @Test func `keys that go to and fro between two moments leave nothing behind`() {
        var deadlines = Deadlines<Int>()
        for round in 0..<100 {
            for key in 0..<50 { deadlines.set(key, at(round.isMultiple(of: 2) ? 1 : 2)) }
        }
        #expect(deadlines.heap.count <= 2 * 50 + 64)
        var taken: [Int] = []
        while let key = deadlines.takeDue(at: at(2)) { taken.append(key) }
        #expect(taken == Array(0..<50))
    }
}

@Suite struct BeatsTests {
    @Test func `a beat's moment is known for as long as the longest lease runs`() {
        var beats = Beats()
        for index in 0..<5000 {
            #expect(beats.next(at: at(Double(index) / 2)) == Int64(index + 1))
        }
        #expect(beats.moment(of: 5000) == at(2499.5))
        #expect(beats.moment(of: 5000 - 1200) == at(1899.5))
        #expect(beats.moment(of: 1) == nil)
        #expect(beats.moment(of: 5001) == nil)
        #expect(beats.moment(of: 0) == nil)
        #expect(beats.moment(of: nil) == nil)
    }

    @Test func `a holder is told less than what its agent gives it`() {
        #expect(Beats.toldEnd(from: at(0), ttl: .seconds(120), at: at(1)) == at(119))
        #expect(Beats.toldEnd(from: at(0), ttl: .seconds(2), at: at(0.1)) == at(1.5))
        #expect(Beats.toldEnd(from: at(0), ttl: .seconds(2), at: at(0.6)) == nil)
        #expect(Beats.toldEnd(from: nil, ttl: .seconds(2), at: at(0)) == nil)
    }
}
