/// Durations in nanoseconds.
package struct Samples: Sendable {
    package private(set) var values: [Int] = []
    private var isSorted = true

    package init() {}

    package init(_ values: [Int]) {
        self.values = values
        isSorted = false
    }

    package var count: Int { values.count }

    package mutating func add(_ value: Int) {
        values.append(value)
        isSorted = false
    }

    package mutating func add(_ others: Samples) {
        values += others.values
        isSorted = false
    }

    /// The value that this share of all do not exceed, in microseconds; nil of nothing.
    package mutating func microseconds(at share: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        if !isSorted { values.sort() }
        isSorted = true
        return Double(values[min(values.count - 1, Int(share * Double(values.count)))]) / 1000
    }
}
