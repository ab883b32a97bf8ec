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
            // The page that begins with the last event of the file, where the stream still has it.
            var page = try await store.history(after: last?.before.text ?? "0-0", limit: EventFeed.page)
            // Behind a gap that is marked already, whatever the stream has is what follows it.
            let isMarked = trail?.epoch == epoch && trail?.endsWithGap == true
            let marker = isMarked ? nil : await marker(epoch, last, page)
            guard trail?.isComparing(number) == true else { return }
            if isMarked { page = try await store.history(after: "0-0", limit: EventFeed.page) }
            if let marker {
                audit { (trail) throws(LoopError) in try trail.mark(marker, epoch: epoch, time: wallTime) }
                page = try await store.history(after: "0-0", limit: EventFeed.page)
            }
            // The first of the page is the last of the file, which may know no more than its id.
            if marker == nil, !isMarked, let last { page.events.removeAll { RedisStreamID($0.id) == last } }
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
        } catch {
            log.debug("audit_comparison_failed", ["error": .text(error.message)])
            if trail?.isComparing(number) == true { audit { (trail) throws(LoopError) in trail.fallBehind() } }
        }
    }

    /// What has to be marked before the stream goes on in the file; nil where it follows without a gap.
    private func marker(
        _ epoch: String, _ last: RedisStreamID?, _ page: EventPage
    ) async -> AuditTrail.Marker? {
        guard let known = trail?.epoch else { return .begun }
        let isKnown = known == epoch
        // Without an event the page begins where the stream does.
        guard let last else { return isKnown ? nil : .redisForgot }
        if isKnown, page.first.map({ RedisStreamID($0) }) == last { return nil }
        // Does it reach back behind the file's end, and lacks only that? Such a copy has a new epoch when it was noticed.
        let oldest = try? await store.history(after: "0-0", limit: 1)
        guard let first = oldest?.first, RedisStreamID(first) < last else { return isKnown ? .missed : .redisForgot }
        return .wentBack
    }

    /// How the file stands to the stream; nil where none is kept.
    var auditState: AuditTrail.State? { trail?.state }

    var wallTime: String { Timestamp.text(loop.wallClock) }
}
