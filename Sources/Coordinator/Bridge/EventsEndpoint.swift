import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// `events`: server-sent events, resumable.
extension Coordinator {
    func follow(_ request: HTTPRequest, _ call: BridgeCall) throws(Malformed) {
        let query = request.query
        let kinds = try Self.kinds(query.filter { $0.0 == "type" }.map(\.1))
        // A browser that comes back sends the header beside the address that it began with; an empty one says nothing.
        let last = try Self.eventID(request.headers["Last-Event-ID"])
        let asked = try Self.eventID(query.last { $0.0 == "after" }?.1)
        let after = last ?? asked
        guard feed.count < EventFeed.subscribers else {
            return respond(
                call,
                .refusal(503, "unavailable", Texts.tooManySubscribers(EventFeed.subscribers), retryAfter: 5))
        }
        let caller = call.caller.name
        guard caller.isEmpty || feed.count(of: caller) < EventFeed.subscribersOfOne else {
            return respond(call, .tooManyStreams(limit: EventFeed.subscribersOfOne))
        }
        meter.note { $0.count(Catalogue.httpRequests, Route.events.rawValue, "200") }
        lastNumber += 1
        let number = lastNumber
        let exchange = call.exchange
        exchange.onClientGone = { self.feed.remove(number) }
        var headers: HTTPHeaders = [
            "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
        ]
        BrowserHeaders.add(to: &headers, cors: call.cors)
        exchange.startStream(status: 200, headers: headers)
        feed.add(number, exchange, kinds, of: caller, resumes: after != nil)
        if let after { loop.spawn { await self.tellPast(after, to: number) } }
    }

    /// - Returns: Nil where nothing is said.
    static func eventID(_ text: String?) throws(Malformed) -> RedisStreamID? {
        guard let text, !text.isEmpty else { return nil }
        guard let id = RedisStreamID(parsing: text) else { throw Malformed(Texts.badEventID) }
        return id
    }

    private static func kinds(_ given: [String]) throws(Malformed) -> Set<PoolEvent.Kind>? {
        let words = given.filter { !$0.isEmpty }.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
        guard !words.isEmpty else { return nil }
        var kinds: Set<PoolEvent.Kind> = []
        for word in words {
            guard let kind = PoolEvent.Kind(rawValue: String(word)) else {
                throw Malformed(Texts.badEventType(String(word)))
            }
            kinds.insert(kind)
        }
        return kinds
    }

    private func tellPast(_ id: RedisStreamID, to number: UInt64) async {
        var last = id.text
        // An id that is still to come was made before Redis lost its memory and its clock: all that happens is new.
        var told = Int64(clamping: id.milliseconds) <= pool.clock(at: now) + 1000 ? id : nil
        // Nothing is behind the last of all ids, and Redis would call the question for it an error.
        guard id < .end else { return feed.pastIsTold(to: number, upTo: nil) }
        while feed.has(number) {
            do throws(StoreError) {
                let page = try await store.history(after: last, limit: EventFeed.page)
                guard feed.tellPast(page.events, to: number) else { return }
                guard let next = page.last else { return feed.pastIsTold(to: number, upTo: told) }
                last = next
                told = RedisStreamID(next)
            } catch {
                // The client comes back for the rest by the id that it saw last.
                log.debug("history_failed", ["error": .text(error.message)])
                feed.end(number)
                return
            }
        }
    }
}
