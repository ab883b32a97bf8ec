/// Which number each card has: the `0` of `node1/0`.
///
/// A number means one card for as long as this host is up: else a card that fails to answer would hand its number, and the
/// leases under it, to its neighbour. After a boot no lease is left (design §6), and the numbers of lost cards are free.
struct DeviceNumbers: Equatable, Sendable {
    private(set) var boot: String
    private(set) var numbers: [String: Int]

    init() {
        boot = ""
        numbers = [:]
    }

    /// What `text` wrote; nil where it did not.
    init?(text: String) {
        let lines = text.split(separator: "\n")
        guard let first = lines.first, first.hasPrefix("boot ") else { return nil }
        boot = String(first.dropFirst(5))
        numbers = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2, let number = Int(parts[0]), number >= 0, !numbers.values.contains(number),
                numbers.updateValue(number, forKey: parts[1]) == nil
            else { return nil }
        }
    }

    /// One line for the boot and one for each card.
    var text: String {
        "boot \(boot)\n" + numbers.sorted { $0.value < $1.value }.map { "\($0.value) \($0.key)\n" }.joined()
    }

    /// Gives each card that has none the lowest number that none has, in the order given.
    mutating func assign(_ cards: [String], boot: String) {
        if boot != self.boot {
            numbers = numbers.filter { cards.contains($0.key) }
            self.boot = boot
        }
        var taken = Set(numbers.values)
        for card in cards where numbers[card] == nil {
            var number = 0
            while taken.contains(number) { number += 1 }
            numbers[card] = number
            taken.insert(number)
        }
    }
}
