import EventLoop
import HTTP
import JSON

/// A program that holds one unit and works on without ever looking at a clock, so that whatever stops it has to come
/// from the others: it is what a program looks like that was paused between looking and writing.
actor Holder {
    nonisolated var unownedExecutor: UnownedSerialExecutor { caller.loop.asUnownedSerialExecutor() }

    private let caller: Caller
    private let arguments: Arguments

    init(_ arguments: Arguments, loop: EventLoop) throws {
        self.arguments = arguments
        let coordinators = try arguments.text("coordinators").split(separator: ",")
            .map { try HTTPEndpoint(parsing: String($0)) }
        caller = Caller(loop, try History(arguments.text("history")), coordinators, token: nil)
    }

    func run() async {
        do { try await hold() } catch { caller.history.note("final", ["what": .string("a holder: \(error)")]) }
        caller.loop.stop()
    }

    private func hold() async throws {
        let name = try arguments.text("name")
        let unit = try arguments.text("unit")
        let device = try HTTPEndpoint(parsing: arguments.text("device"))
        let agent = try HTTPEndpoint(parsing: arguments.text("agent"))
        let ttl = try arguments.number("ttl")
        let answer = await caller.call(
            "lock", number: "\(name).0/0", at: 0, "/v1/gpu/lock",
            ["id": .string(name), "unit": .string(unit), "ttl": .number(Double(ttl) / 1000), "timeout": 30],
            timeout: .seconds(35), facts: ["h": .string(name), "sel": .string("unit=\(unit)")])
        guard answer.status == 200, let lease = answer.body["lease"], let token = answer.body["token"],
            let fencing = answer.body["fencing_token"]
        else { return caller.history.note("final", ["what": .string("\(name) got \(answer.status)")]) }
        caller.history.note("holds", ["h": .string(name), "lease": lease])
        let operation: JSONObject = ["unit": .string(unit), "fencing_token": fencing, "lease": lease]
        var last = Moment.now
        while Moment.now - last < Int64(ttl) * 1500 {
            last = Moment.now
            _ = await caller.ask("/operate", of: device, operation, timeout: .seconds(2))
        }
        // It has been away for longer than its lease.
        let verdict = await caller.ask("/v1/gpu/verify", of: agent, operation, timeout: .seconds(2))
        let written = await caller.ask("/operate", of: device, operation, timeout: .seconds(2))
        let renewal = await caller.call(
            "renew", number: "\(name).0/1", at: 0, "/v1/gpu/renew", ["token": token], timeout: .seconds(4),
            facts: ["lease": lease, "h": .string(name)])
        caller.history.note(
            "woke",
            [
                "h": .string(name), "verify": verdict.body["status"] ?? .null,
                "operate": .integer(Int64(written.status)),
                "renew": .integer(Int64(renewal.status)), "why": renewal.body["error"] ?? .null,
            ])
    }
}
