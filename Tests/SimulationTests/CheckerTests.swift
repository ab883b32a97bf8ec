import Testing

@testable import Simulation

/// The judge is judged: each of its sentences against the smallest history that deserves it.
@Suite struct `The checker` {
    private func checker(_ live: (inout Checker) -> Void) -> [String] {
        var checker = Checker()
        checker.healedAt = .zero
        live(&checker)
        return checker.violations.map { String($0.split(separator: " ", maxSplits: 1)[1].prefix { $0 != ":" }) }
    }

    private func hold(_ checker: inout Checker, _ session: Int, _ fencing: Int64, until: Duration) {
        checker.confirmed(unit: "h0/0", lease: "h0/0#\(fencing)", fencing: fencing)
        checker.table("h0/0", isFree: false, lease: "h0/0#\(fencing)")
        checker.told(session: session, wish: .any, units: ["h0/0"], lease: "h0/0#\(fencing)", until: until)
    }

    @Test func `has nothing against one holder after the other`() {
        let found = checker { checker in
            hold(&checker, 1, 1, until: .seconds(5))
            checker.now = .seconds(2)
            checker.gaveBack(session: 1)
            hold(&checker, 2, 2, until: .seconds(9))
            checker.now = .seconds(10)
            hold(&checker, 3, 3, until: .seconds(20))
        }
        #expect(found == [])
    }

    @Test func `sees two holders of one unit`() {
        let found = checker { checker in
            hold(&checker, 1, 1, until: .seconds(5))
            checker.now = .seconds(2)
            hold(&checker, 2, 2, until: .seconds(9))
        }
        #expect(found.contains("exclusivity"))
    }

    @Test func `sees a lease that ends before its holder was told`() {
        let found = checker { checker in
            hold(&checker, 1, 1, until: .seconds(5))
            checker.now = .seconds(2)
            checker.table("h0/0", isFree: true, lease: nil)
        }
        #expect(found == ["early end"])
    }

    @Test func `does not count a lease that an admin has ended`() {
        let found = checker { checker in
            hold(&checker, 1, 1, until: .seconds(5))
            checker.force("h0/0#1")
            checker.table("h0/0", isFree: true, lease: nil)
            hold(&checker, 2, 2, until: .seconds(9))
        }
        #expect(found == [])
    }

    @Test func `sees fencing tokens that do not rise`() {
        let found = checker { checker in
            checker.confirmed(unit: "h0/0", lease: "h0/0#5", fencing: 5)
            checker.confirmed(unit: "h0/0", lease: "h0/0#5", fencing: 5)
        }
        #expect(found == ["fencing"])
    }

    @Test func `sees a lease that no agent has confirmed`() {
        let found = checker { checker in
            checker.told(session: 1, wish: .any, units: ["h0/0"], lease: "h0/0#1", until: .seconds(1))
        }
        #expect(found == ["invented"])
    }

    @Test func `sees a waiter beside a free unit, and one without an answer`() {
        let found = checker { checker in
            checker.table("h0/0", isFree: true, lease: nil)
            checker.asked(
                call: 1, session: 1, wish: .any, priority: 15, age: .zero, timeout: .seconds(60), coordinator: 0)
            checker.now = .seconds(11)
            checker.look { _ in true }
            checker.table("h0/0", isFree: false, lease: nil)
            checker.asked(
                call: 2, session: 2, wish: .any, priority: 15, age: .zero, timeout: .seconds(1), coordinator: 0)
            checker.now = .seconds(20)
            checker.look { _ in true }
        }
        #expect(found == ["standstill", "silence"])
    }

    @Test func `sees a second answer and what is left at the end`() {
        let found = checker { checker in
            checker.answered(call: 1)
            checker.answered(call: 1)
            checker.left(["ticket:t-1"])
        }
        #expect(found == ["answered twice", "orphans"])
    }
}
