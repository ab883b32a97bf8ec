import EventLoop

/// Numbers that one seed decides (SplitMix64), so that a failure can be replayed.
package struct RandomSource: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    package mutating func element<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// Rounds of a fuzz test: `LEASEHOLD_FUZZ` where it is set.
    package static func rounds(_ standard: Int) -> Int {
        Environment.get("LEASEHOLD_FUZZ").flatMap { Int($0) } ?? standard
    }

    /// The same bytes with a few changes of the kinds that parsers stumble over.
    package mutating func mutated(_ bytes: [UInt8], pieces: [[UInt8]]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...below(4) {
            let at = below(bytes.count + 1)
            let end = min(bytes.count, at + below(8))
            switch below(7) {
            case 0: bytes.insert(UInt8(truncatingIfNeeded: next()), at: at)
            case 1: bytes.removeSubrange(at..<end)
            case 2: bytes.insert(contentsOf: element(pieces), at: at)
            case 3: bytes.insert(contentsOf: Array(bytes[at..<end]), at: below(bytes.count + 1))
            case 4: bytes.removeSubrange(at...)
            case 5 where !bytes.isEmpty: bytes[below(bytes.count)] ^= 1 << UInt8(below(8))
            default: bytes.replaceSubrange(at..<end, with: element(pieces))
            }
        }
        return bytes
    }
}
