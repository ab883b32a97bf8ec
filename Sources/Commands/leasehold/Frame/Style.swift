/// Colours where they may be used, nothing where not.
struct Style: Sendable {
    enum Ink: String, Sendable {
        case bold = "1"
        case faint = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case cyan = "36"
    }

    let isOn: Bool

    init(_ channel: Surroundings.Channel) { isOn = channel.hasColours }

    func callAsFunction(_ ink: Ink?, _ text: String) -> String {
        guard isOn, let ink, !text.isEmpty else { return text }
        return "\u{1B}[\(ink.rawValue)m\(text)\u{1B}[0m"
    }
}
