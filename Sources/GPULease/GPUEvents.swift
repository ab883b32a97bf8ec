/// What happens in a pool, from now on or behind an event that was seen, until the loop over it ends.
///
/// Each iteration has a stream of its own. When its connection is lost it goes on at any coordinator behind the last event
/// that came, as far back as the pool remembers: about 10,000 events.
public struct GPUEvents: AsyncSequence, Sendable {
    /// What the sequence brings.
    public typealias Element = GPUEvent
    /// What ends it: ``LeaseError/Kind/unauthorized``, ``LeaseError/Kind/forbidden`` or ``LeaseError/Kind/invalid``, where
    /// no coordinator would ever answer otherwise.
    public typealias Failure = LeaseError

    let service: Service
    let types: [String]
    let after: String?
    let pool: String?

    /// Begins a stream.
    public func makeAsyncIterator() -> Iterator {
        Iterator(EventReader(EventPump(service, types: types, after: after, pool: pool)))
    }

    /// One stream, for one task.
    public struct Iterator: AsyncIteratorProtocol {
        private let reader: EventReader

        init(_ reader: EventReader) { self.reader = reader }

        /// Waits for the next event; nil when the task is cancelled.
        ///
        /// - Throws: ``LeaseError``, where no coordinator would ever answer.
        public mutating func next() async throws(LeaseError) -> GPUEvent? {
            try await reader.pump.next().get()
        }

        /// Waits for the next event; nil when the task is cancelled.
        ///
        /// - Throws: ``LeaseError``, where no coordinator would ever answer.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(LeaseError) -> GPUEvent? {
            try await reader.pump.next().get()
        }
    }
}
