import EventLoop
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry

/// The audit file is kept abreast of the stream.
extension Coordinator {
    /// Does something to the file; where that fails, it is tried again from the last event that it has.
    func audit(_ work: (inout AuditTrail) throws(LoopError) -> Void) {
        guard var taken = trail else { return }
        trail = nil
        defer { trail = taken }
        do throws(LoopError) {
            try work(&taken)
        } catch {
            log.error("audit_failed", ["path": .text(settings.auditPath ?? ""), "why": .text(error.description)])
        }
    }

    /// Compares what the stream holds with the file, from where that ends; after each gap in hearing. Called with each
    /// heartbeat's answer, whose epoch it goes by.
    func compareAudit(epoch: String) {
        guard trail?.state == .behind else { return }
        let last = trail?.last
        audit { (trail) throws(LoopError) in trail.beginComparing() }
        guard let number = trail?.comparison else { return }
        loop.spawn { await self.compareAudit(epoch, from: last, number) }
    }

    private func compareAudit(_ epoch: String, from last: RedisStreamID?, _ number: Int) async {
        do throws(StoreError) {
            let continuation = try await continuation(epoch, last)
            guard trail?.isComparing(number) == true else { return }
            switch continuation {
            case .seamless(let page): try await takePast(from: page, number)
            case .behindGap(let marker):
                if let marker {
                    audit { (trail) throws(LoopError) in try trail.mark(marker, epoch: epoch, time: wallTime) }
                }
                try await takePast(from: try await store.history(after: "0-0", limit: EventFeed.page), number)
            }
        } catch {
            log.debug("audit_comparison_failed", ["error": .text(error.message)])
            if trail?.isComparing(number) == true { audit { (trail) throws(LoopError) in trail.fallBehind() } }
        }
    }

    /// How the stream goes on from the file's end.
    private enum Continuation {
        /// Nothing is missing before this page.
        case seamless(EventPage)
        /// Whatever the stream has follows a gap; the marker is nil where that is marked already.
        case behindGap(AuditTrail.Marker?)
    }

    private func continuation(
        _ epoch: String, _ last: RedisStreamID?
    ) async throws(StoreError) -> Continuation {
        guard let known = trail?.epoch else { return .behindGap(.begun) }
        // An older copy has a new epoch as well, once it was noticed.
        let isKnown = known == epoch
        guard isKnown || last != nil else { return .behindGap(.redisForgot) }
        if isKnown, trail?.endsWithGap == true { return .behindGap(nil) }
        // The page that begins with the last event of the file, where the stream still has it. Without an event it begins
        // where the stream does.
        var page = try await store.history(after: last?.before.text ?? "0-0", limit: EventFeed.page)
        guard let last else { return .seamless(page) }
        if isKnown, page.first.map({ RedisStreamID($0) }) == last {
            // The file may know no more of it than its id.
            page.events.removeAll { RedisStreamID($0.id) == last }
            return .seamless(page)
        }
        // Does it reach back behind the file's end, and lacks only that?
        let oldest = try await store.history(after: "0-0", limit: 1)
        guard let first = oldest.first, RedisStreamID(first) < last else {
            return .behindGap(isKnown ? .missed : .redisForgot)
        }
        return .behindGap(.wentBack)
    }

    /// Takes this page and all behind it.
    private func takePast(from first: EventPage, _ number: Int) async throws(StoreError) {
        var page = first
        while trail?.isComparing(number) == true {
            guard let next = page.last else {
                audit { (trail) throws(LoopError) in
                    if try !trail.pastIsTaken() { trail.fallBehind() }
                }
                return
            }
            audit { (trail) throws(LoopError) in try trail.takePast(page.events) }
            page = try await store.history(after: next, limit: EventFeed.page)
        }
    }

    /// How the file stands to the stream; nil where none is kept.
    var auditState: AuditTrail.State? { trail?.state }

    var wallTime: String { Timestamp.text(loop.wallClock) }
}
