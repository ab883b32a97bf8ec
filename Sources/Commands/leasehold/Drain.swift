import JSON
import LeaseModel
import Settings

extension Command {
    static let drain = Command(
        "drain", .pool, "Empties a host: nobody new is let in, its holders finish, and it waits until they have.",
        operands: "HOST",
        options: [DrainOptions.deadline.entry, DrainOptions.noWait.entry, CordonOptions.reason.entry],
        examples: [
            "leasehold drain node1 --reason \"new fan\"": "Waits until nobody holds anything on node1.",
            "leasehold drain node1 --deadline 600": "Revokes what is still held after ten minutes.",
        ],
        notes: [
            "Ctrl-C ends the waiting, not the drain: that is ended by leasehold uncordon. "
                + "Given once more it sets the deadline and the reason anew."
        ]
    ) { (given, surroundings) throws(Failure) in
        guard let host = try given.operand(of: "drain") else {
            throw Failure(.usage, Texts.missing("a host", "drain", "leasehold drain node1"))
        }
        return try await Drain(host, given, surroundings).run()
    }
}

enum DrainOptions {
    static let deadline = Option.seconds(
        "deadline", in: .zero...Limits.longestDrain,
        help: "What is still held then is revoked; without it holders have all the time they renew for.",
        places: .flag)
    static let noWait = Option.flag(
        "no-wait", help: "Begin it, and do not wait until the host is empty.", places: .flag)
}

/// One host on its way to being empty.
private struct Drain: Sendable {
    private let host: String
    private let service: Service
    private let surroundings: Surroundings
    private let deadline: Duration?
    private let reason: String?
    private let waits: Bool
    private let isJSON: Bool

    private static let interval = Duration.milliseconds(500)
    /// How long a service that went away in between is looked for.
    private static let reconnecting = Duration.seconds(30)

    init(_ host: String, _ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.host = host
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        deadline = try given.optional(DrainOptions.deadline)
        reason = try given.optional(CordonOptions.reason)
        waits = try !given.isOn(DrainOptions.noWait)
        isJSON = try given.isOn(ServiceOptions.json)
    }

    func run() async throws(Failure) -> ExitCode {
        var body: JSONObject = ["host": .string(host)]
        if let deadline { body["deadline"] = .number(deadline / .seconds(1)) }
        if let reason { body["reason"] = .string(reason) }
        var answer = try await service.demand(.post, "/v1/gpu/drain", body)
        let leases = answer.integer("leases") ?? 0
        if waits, leases > 0 {
            let ended = await surroundings.interruptions.cancelling { () -> Failure? in
                do throws(Failure) {
                    try await untilEmpty()
                    return nil
                } catch {
                    return error
                }
            }
            if let signal = await surroundings.interruptions.first {
                surroundings.error.line("leasehold: " + Texts.stillDraining(host))
                return .signalled(signal)
            }
            if let ended { throw ended }
        }
        if waits || leases == 0 {
            answer["status"] = .string("drained")
            answer["leases"] = .integer(0)
        }
        if isJSON {
            surroundings.output.line(String(decoding: Document.pretty(answer), as: UTF8.self))
        } else {
            surroundings.output.line(waits || leases == 0 ? Texts.drained(host) : Texts.drainBegun(host, leases))
        }
        return .done
    }

    /// Looks until nothing is held on the host, and tells what changes.
    private func untilEmpty() async throws(Failure) {
        let loop = surroundings.loop
        var told: [String]?
        var heard = loop.now
        var wasSeen = false
        while !Task.isCancelled {
            do throws(Failure) {
                let status = try await service.demand(.get, "/v1/gpu/status")
                heard = loop.now
                guard let found = status.objects("hosts").first(where: { $0.text("host") == host }) else { return }
                // Before the coordinator's copy tells of the drain it may lack a lease that was granted just before it.
                if found.isTrue("draining") {
                    wasSeen = true
                    let holders = status.objects("leases").filter {
                        $0.text("unit")?.hasPrefix(host + "/") == true
                    }.compactMap { $0.text("holder") }
                    if holders.isEmpty { return }
                    if told != holders {
                        let left = found.number("drain_ends_in").map { Duration.seconds($0) }
                        surroundings.error.line(Texts.draining(host, holders, left: left))
                    }
                    told = holders
                } else if wasSeen {
                    throw Failure(.negative, Texts.drainEnded(host))
                }
            } catch {
                guard error.exit == .unavailable, loop.now - heard < Self.reconnecting else { throw error }
            }
            await loop.sleep(for: Self.interval)
        }
    }
}
