/// A queue that gives back its first element in constant time.
package struct Fifo<Element> {
    private var elements: [Element?] = []
    private var head = 0

    package init() {}

    package var count: Int { elements.count - head }

    package mutating func append(_ element: Element) { elements.append(element) }

    package mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let first = elements[head]
        elements[head] = nil
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1024, head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return first
    }

    /// The smallest of what `key` gives, in a walk over all.
    func least<Key: Comparable>(by key: (Element) -> Key) -> Key? {
        var least: Key?
        for case let element? in elements[head...] {
            let key = key(element)
            least = least.map { min($0, key) } ?? key
        }
        return least
    }
}
