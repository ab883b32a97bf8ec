/// Spans of time as people give them.
enum Seconds {
    /// `90`, `1.5`, `500ms`, `90s`, `2m`, `1h`. Nil for anything else: signs, exponents, other units.
    static func parse(_ text: String) -> Duration? {
        let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        let isNumber = number.first != "." && number.last != "." && number.filter { $0 == "." }.count <= 1
        guard isNumber, number.count <= 15, let value = Double(number) else { return nil }
        switch text.dropFirst(number.count) {
        case "", "s": return .seconds(value)
        case "ms": return .seconds(value / 1000)
        case "m": return .seconds(value * 60)
        case "h": return .seconds(value * 3600)
        default: return nil
        }
    }

    /// The number of seconds, without a fraction where there is none.
    static func text(_ duration: Duration) -> String {
        let (whole, attoseconds) = duration.components
        guard attoseconds != 0 else { return String(whole) }
        return "\(Double(whole) + Double(attoseconds) / 1e18)"
    }
}
