/// One moment a key, the earliest first. O(log n) to set; a removed or moved one is passed over when it comes up.
///
/// The kinds of keys that there are have code of their own: what serves any kind costs several times as much. The work
/// stands in functions that are not inlined, since a function that finds that code first prepares whatever its own might need.
package struct Deadlines<Key: Hashable & Sendable>: Equatable, Sendable {
    /// A key's moment, and which of all settings it is: a key that comes back to a moment it had before has a new entry,
    /// and the old one stays void.
    struct Setting: Equatable, Sendable {
        var at: BootInstant
        var number: UInt64
    }

    struct Entry: Equatable, Sendable {
        var setting: Setting
        var key: Key
    }

    private(set) var heap: [Entry] = []
    private var due: [Key: Setting] = [:]
    private var settings: UInt64 = 0
    /// Whether the heap's top is known to be still set: it is asked for far more often than it changes.
    private var isTopSet = false

    package init() {}

    package var count: Int { due.count }

    /// The earliest moment that is still set.
    package var first: BootInstant? {
        @specialized(where Key == TicketID)
        @specialized(where Key == UnitID)
        @specialized(where Key == String)
        mutating get { findFirst() }
    }

    @inline(never)
    private mutating func findFirst() -> BootInstant? {
        while !isTopSet {
            guard !heap.isEmpty else { return nil }
            isTopSet = due[heap[0].key] == heap[0].setting
            if !isTopSet { removeTop() }
        }
        return heap[0].setting.at
    }

    @specialized(where Key == TicketID)
    @specialized(where Key == UnitID)
    @specialized(where Key == String)
    package mutating func set(_ key: Key, _ moment: BootInstant?) {
        if let moment { place(key, moment) } else { take(key) }
    }

    @inline(never)
    private mutating func place(_ key: Key, _ moment: BootInstant) {
        guard due[key]?.at != moment else { return }
        settings += 1
        let setting = Setting(at: moment, number: settings)
        due[key] = setting
        if !heap.isEmpty, heap[0].key == key { isTopSet = false }
        heap.append(Entry(setting: setting, key: key))
        var child = heap.count - 1
        while child > 0, Self.isBefore(heap[child].setting, heap[(child - 1) / 2].setting) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
        if child == 0 { isTopSet = true }
        compactIfSparse()
    }

    @specialized(where Key == TicketID)
    @specialized(where Key == UnitID)
    @specialized(where Key == String)
    package mutating func remove(_ key: Key) { take(key) }

    @inline(never)
    private mutating func take(_ key: Key) {
        guard due.removeValue(forKey: key) != nil else { return }
        if !heap.isEmpty, heap[0].key == key { isTopSet = false }
        compactIfSparse()
    }

    /// Takes out one key whose moment has come, earliest first.
    @specialized(where Key == TicketID)
    @specialized(where Key == UnitID)
    @specialized(where Key == String)
    package mutating func takeDue(at now: BootInstant) -> Key? { takeFirst(at: now) }

    @inline(never)
    private mutating func takeFirst(at now: BootInstant) -> Key? {
        guard let moment = findFirst(), moment <= now, let key = heap.first?.key else { return nil }
        removeTop()
        due[key] = nil
        return key
    }

    /// Requests come and go long before their timeouts: without this the heap would keep all of the last minutes.
    private mutating func compactIfSparse() {
        guard heap.count > 2 * due.count + 64 else { return }
        heap = heap.filter { due[$0.key] == $0.setting }
        precondition(heap.count == due.count, "each key has one entry that counts")
        heap.sort { Self.isBefore($0.setting, $1.setting) }
        isTopSet = !heap.isEmpty
    }

    /// Of equal moments the one set first.
    private static func isBefore(_ a: Setting, _ b: Setting) -> Bool {
        a.at == b.at ? a.number < b.number : a.at < b.at
    }

    private mutating func removeTop() {
        isTopSet = false
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while 2 * parent + 1 < heap.count {
            var child = 2 * parent + 1
            if child + 1 < heap.count, Self.isBefore(heap[child + 1].setting, heap[child].setting) { child += 1 }
            guard Self.isBefore(heap[child].setting, heap[parent].setting) else { return }
            heap.swapAt(parent, child)
            parent = child
        }
    }
}
