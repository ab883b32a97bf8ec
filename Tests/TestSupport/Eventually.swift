import EventLoop

/// A condition that did not come true in time.
package struct NeverHappened: Error, CustomStringConvertible {
    package let description: String
}

/// Asks until `condition` holds, and throws what it was last when that takes longer than `within`.
package func eventually(
    _ what: String, within: Duration = .seconds(30), _ condition: @Sendable () async throws -> Bool
) async throws {
    _ = try await eventually(what, within: within) { () -> (value: Bool, holds: Bool) in
        let holds = try await condition()
        return (holds, holds)
    }
}

/// Asks until `value` is something, and returns it.
@discardableResult
package func eventually<Value: Sendable>(
    _ what: String, within: Duration = .seconds(30), value: @Sendable () async throws -> Value?
) async throws -> Value {
    let found = try await eventually(what, within: within) { () -> (value: Value?, holds: Bool) in
        let found = try await value()
        return (found, found != nil)
    }
    guard let found else { throw NeverHappened(description: what) }
    return found
}

/// Asks until `value` is what is expected.
package func eventually<Value: Equatable & Sendable>(
    _ what: String, within: Duration = .seconds(30), is expected: Value, _ value: @Sendable () async throws -> Value
) async throws {
    _ = try await eventually(what, within: within) { () -> (value: Value, holds: Bool) in
        let value = try await value()
        return (value, value == expected)
    }
}

/// Looks that are made at least. The tests run side by side on a few threads, and one that does not get its turn sees a
/// time go by in which it has not looked.
private let fewestLooks = 100

private func eventually<Value: Sendable>(
    _ what: String, within: Duration, _ ask: @Sendable () async throws -> (value: Value, holds: Bool)
) async throws -> Value {
    let clock = ContinuousClock()
    let end = clock.now + within
    var pause = Duration.milliseconds(1)
    var looks = 0
    while true {
        let (value, holds) = try await ask()
        if holds { return value }
        looks += 1
        guard clock.now < end || looks < fewestLooks else {
            throw NeverHappened(description: "not within \(within): \(what); last seen: \(value)")
        }
        try await clock.sleep(for: pause)
        pause = min(pause * 2, .milliseconds(20))
    }
}
