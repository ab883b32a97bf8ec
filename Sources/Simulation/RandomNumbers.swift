/// Numbers that one seed decides (SplitMix64).
struct RandomNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0xD134_2543_DE82_EF95 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    mutating func chance(percent: Int) -> Bool { below(100) < percent }

    mutating func element<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }

    mutating func duration(_ range: ClosedRange<Duration>) -> Duration {
        let span =
            Int((range.upperBound - range.lowerBound).components.seconds) * 1_000_000
            + Int((range.upperBound - range.lowerBound).components.attoseconds / 1_000_000_000_000)
        return range.lowerBound + .microseconds(below(span + 1))
    }
}
