import EventLoop
import GPULease
import TestSupport
import Testing

@Suite struct `A scope with a lease` {
    @Test func `holds the unit while its body runs, and gives it back`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let text = try await gpu.withLease(for: "train") { lease in
                #expect(lease.unit == "h1/0" && lease.host == "h1" && lease.holder == "train")
                #expect(lease.isHeld && lease.deadline > .now && lease.deadline < .now + .seconds(60))
                #expect(lease.id == "h1/0#\(lease.fencingToken)")
                let holders = try await house.holders()
                #expect(holders == ["train"])
                return "done"
            }
            #expect(text == "done")
            #expect(try await house.holders() == [])
        }
    }
}
