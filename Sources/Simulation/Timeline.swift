/// What is going to happen, in order; of one moment, in the order in which it was decided.
struct Timeline {
    enum Kind {
        /// Timers of the processes: heartbeats and deadlines.
        case timer
        /// Something under way: a script, an answer, a message, a call.
        case traffic
        /// What the seed has planned: calls of clients, faults.
        case plan
    }

    enum Happening {
        case act(() -> Void)
        /// A script reaches Redis.
        case script(Errand)
        /// A sender learns that no answer will come.
        case lost(Errand)
        /// Something is done to the server itself.
        case tend(() async -> Void)
    }

    private struct Entry {
        var at: Duration
        var order: Int
        var kind: Kind
        var happening: Happening
    }

    private var heap: [Entry] = []
    private var plans: [Duration] = []
    private var lastOrder = 0
    /// How much is under way.
    private(set) var traffic = 0

    var next: Duration? { heap.first?.at }
    /// When the next thing that is planned begins.
    var nextPlan: Duration? { plans.min() }

    mutating func add(_ kind: Kind, at moment: Duration, _ happening: Happening) {
        lastOrder += 1
        heap.append(Entry(at: moment, order: lastOrder, kind: kind, happening: happening))
        switch kind {
        case .timer: break
        case .traffic: traffic += 1
        case .plan: plans.append(moment)
        }
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> (at: Duration, kind: Kind, happening: Happening) {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != parent else { break }
            heap.swapAt(parent, least)
            parent = least
        }
        switch first.kind {
        case .timer: break
        case .traffic: traffic -= 1
        case .plan: if let index = plans.firstIndex(of: first.at) { plans.remove(at: index) }
        }
        return (first.at, first.kind, first.happening)
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (heap[left].at, heap[left].order) < (heap[right].at, heap[right].order)
    }
}
