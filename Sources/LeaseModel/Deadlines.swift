/// One moment a key, the earliest first. O(log n) to set; a removed or moved one is passed over when it comes up.
package struct Deadlines<Key: Hashable & Sendable>: Equatable, Sendable {
    private struct Entry: Equatable, Sendable {
        var at: BootInstant
        var key: Key
    }

    private var heap: [Entry] = []
    private var due: [Key: BootInstant] = [:]
    /// Whether the heap's top is known to be still set: it is asked for far more often than it changes.
    private var isTopSet = false

    package init() {}

    package var count: Int { due.count }

    /// The earliest moment that is still set.
    package var first: BootInstant? {
        mutating get {
            while let top = heap.first {
                isTopSet = isTopSet || due[top.key] == top.at
                if isTopSet { return top.at }
                removeTop()
            }
            return nil
        }
    }

    package mutating func set(_ key: Key, _ moment: BootInstant?) {
        guard let moment else {
            remove(key)
            return
        }
        guard due.updateValue(moment, forKey: key) != moment else { return }
        isTopSet = false
        heap.append(Entry(at: moment, key: key))
        var child = heap.count - 1
        while child > 0, heap[child].at < heap[(child - 1) / 2].at {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
        compactIfSparse()
    }

    package mutating func remove(_ key: Key) {
        guard due.removeValue(forKey: key) != nil else { return }
        if heap.first?.key == key { isTopSet = false }
        compactIfSparse()
    }

    /// Takes out one key whose moment has come, earliest first.
    package mutating func takeDue(at now: BootInstant) -> Key? {
        guard let moment = first, moment <= now, let key = heap.first?.key else { return nil }
        removeTop()
        due[key] = nil
        return key
    }

    /// Requests come and go long before their timeouts: without this the heap would keep all of the last minutes.
    private mutating func compactIfSparse() {
        guard heap.count > 2 * due.count + 64 else { return }
        heap = heap.filter { due[$0.key] == $0.at }
        heap.sort { $0.at < $1.at }
        isTopSet = false
    }

    private mutating func removeTop() {
        isTopSet = false
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
