import LeaseModel
import RedisClient

/// A page of the event stream.
package struct EventPage: Equatable, Sendable {
    /// Those of the entries that this version knows, in order.
    package var events: [PoolEvent]
    /// The id of the first entry, known or not; nil for an empty page.
    package var first: String?
    /// The id of the last entry, known or not; nil for an empty page, which is the last one.
    package var last: String?
}

extension LeaseStore {
    /// Events behind `id`, at most `limit`, oldest first.
    package func history(after id: String, limit: Int) async throws(StoreError) -> EventPage {
        let answer = try await run(ScriptLibrary.history, [.text(id), .integer(Int64(limit))])
        var page = EventPage(events: [], last: nil)
        for index in stride(from: 0, to: answer.items.count - 1, by: 2) {
            page.first = page.first ?? answer.text(index)
            page.last = answer.text(index)
            let words = answer.texts(index + 1)
            let fields = stride(from: 0, to: words.count - 1, by: 2).map {
                EventFields.Field(name: words[$0], value: words[$0 + 1])
            }
            if let event = Inbox.event(id: answer.text(index), EventFields(fields)) { page.events.append(event) }
        }
        return page
    }
}
