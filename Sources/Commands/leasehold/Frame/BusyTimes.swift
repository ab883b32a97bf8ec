import JSON

/// How much of the time since the first look each unit was held.
struct BusyTimes: Sendable {
    private var began: Duration?
    private var last: Duration?
    private var held: Set<String> = []
    private var spent: [String: Duration] = [:]

    /// Takes a look at a status. Between two looks a unit counts as it was at the first of them.
    mutating func look(at body: JSONObject, now: Duration) {
        if let last { for unit in held { spent[unit, default: .zero] += now - last } }
        if began == nil { began = now }
        last = now
        held = Set(body.objects("units").compactMap { $0.text("state") == "held" ? $0.text("unit") : nil })
    }

    /// Per cent; nil before there were two looks.
    func share(of unit: String) -> Int? {
        guard let began, let last, last > began else { return nil }
        return Int(((spent[unit] ?? .zero) / (last - began) * 100).rounded())
    }
}
