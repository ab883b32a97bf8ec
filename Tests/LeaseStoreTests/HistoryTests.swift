import LeaseModel
import LeaseStore
import TestSupport
import Testing

@Suite struct `The event stream, page by page` {
    @Test func `each page goes on behind the one before, and an empty one is the last`() async throws {
        try await withPool { pool in
            for round in 0..<5 {
                let lease = try await pool.grant("t\(round)")
                _ = try await pool.store.release(lease, token: TokenHash("hash-t\(round)"), by: "me")
                try await pool.heartbeat([pool.report("h1/0")], first: false)
            }
            let whole = try await pool.store.history(after: "0-0", limit: 1000)
            #expect(whole.events.map(\.kind).prefix(4) == [.registered, .offered, .granted, .released])
            #expect(whole.last == whole.events.last?.id)
            var pages: [PoolEvent] = []
            var last = "0-0"
            while let next = try await { () -> String? in
                let page = try await pool.store.history(after: last, limit: 3)
                #expect(page.events.count <= 3)
                pages += page.events
                return page.last
            }() {
                last = next
            }
            #expect(pages == whole.events)
            let end = try await pool.store.history(after: last, limit: 3)
            #expect(end.events.isEmpty && end.last == nil)
        }
    }

    @Test func `an entry of a later version is passed over, not stopped at`() async throws {
        try await withPool { pool in
            _ = try await pool.redis.client.command(
                ["XADD", .text(pool.store.eventStream), "*", "type", "of-the-future", "at", "1"])
            let page = try await pool.store.history(after: "0-0", limit: 1000)
            #expect(!page.events.isEmpty && page.last != page.events.last?.id)
            let rest = try await pool.store.history(after: page.events.last?.id ?? "", limit: 1000)
            #expect(rest.events.isEmpty && rest.last == page.last)
        }
    }

    @Test func `who was told is known: what, to what, by whom and why`() async throws {
        try await withPool { pool in
            let lease = try await pool.grant("t1")
            _ = try await pool.store.revoke(.lease(lease), mode: .revoke, by: "ops", why: "too hot")
            _ = try await pool.store.end(pool.origin(), lease, reason: .revoked)
            let events = try await pool.store.history(after: "0-0", limit: 1000).events
            let over = try #require(events.last { $0.kind == .revoked })
            #expect(over.fields["lease"] == lease.text && over.fields["unit"] == "h1/0")
            #expect(
                over.fields["by"] == "ops" && over.fields["why"] == "too hot" && over.fields["holder"] == "holder-t1")
        }
    }
}
