import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite struct `A request for several units` {
        private static let two = #""count":2"#

        @Test func `holds all of them until it gives them back, and each answers for it`() async throws {
            try await withService(units: 3) { service in
                let bridge = service.bridge
                let wide = try await bridge.lock("wide", more: Self.two)
                #expect(wide.isAcquired)
                let units = wide["units"]?.array?.compactMap(\.string) ?? []
                #expect(units.count == 2 && units.first == wide.word("unit"))
                try await eventually("status shows it on both") {
                    let status = try await bridge.status()
                    return units.allSatisfy { status.units[$0] == "held" } && status.leases.count == 1
                }
                for unit in units {
                    let answer = try await bridge.post(
                        "verify", #"{"unit":"\#(unit)","fencing_token":\#(wide.fencing)}"#)
                    #expect(answer.word("status") == "current" && answer.word("holder") == "wide")
                }
                #expect(try await bridge.post("renew", #"{"token":"\#(wide.token)"}"#).status == 200)
                // One is left, and a second wide request waits for what the first has.
                let next = Task { try await bridge.lock("next", timeout: 60, more: Self.two) }
                try await eventually("it is held back") { try await bridge.status().units.values.contains("reserved") }
                let narrow = Task { try await bridge.lock("narrow", timeout: 60) }
                try await eventually("it waits too") { try await bridge.status().queued == ["next", "narrow"] }
                try await bridge.unlock(wide.token)
                let second = try await next.value
                #expect(second.isAcquired && second.fencing > wide.fencing)
                let third = try await narrow.value
                #expect(third.isAcquired)
                try await bridge.unlock(second.token)
                try await bridge.unlock(third.token)
                try await eventually("all is free") {
                    try await bridge.status().units.values.allSatisfy { $0 == "free" }
                }
            }
        }

        @Test func `survives its agent and its Redis`() async throws {
            try await withService(units: 2) { service in
                let bridge = service.bridge
                let wide = try await bridge.lock("wide", more: Self.two)
                await service.agent.kill()
                try await service.startAgent()
                _ = try await service.redis.client.command(["FLUSHALL"])
                try await eventually("it is restored on both its units", within: .seconds(30)) {
                    let status = try await bridge.status()
                    return status.units["h1/0"] == "held" && status.units["h1/1"] == "held"
                        && status.leases.values.sorted() == ["wide"]
                }
                #expect(try await bridge.lock("narrow", timeout: 0).status == 503)
                try await eventually("it is renewed") {
                    try await bridge.post("renew", #"{"token":"\#(wide.token)"}"#).status == 200
                }
                try await bridge.unlock(wide.token)
                try await eventually("both are free") {
                    let status = try await bridge.status()
                    return status.units["h1/0"] == "free" && status.units["h1/1"] == "free"
                }
            }
        }

        @Test func `for more than any host has is refused`() async throws {
            try await withService(units: 2) { service in
                let answer = try await eventually("the coordinator knows the pool", within: .seconds(30)) {
                    let answer = try await service.bridge.lock("wide", timeout: 0.1, more: #""count":3"#)
                    return answer.status == 404 ? answer : nil
                }
                #expect(answer.word("error") == "too_few_units")
                #expect(answer.word("msg").contains("The most that one has is 2"))
            }
        }
    }
}
