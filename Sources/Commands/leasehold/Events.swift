import EventLoop
import HTTP
import JSON
import Settings
import Telemetry

extension Command {
    static let events = Command(
        "events", .pool, "Follows what happens in the pool, until a signal ends it.",
        options: [EventOptions.types.entry, EventOptions.after.entry],
        examples: [
            "leasehold events": "One line an event, from now on.",
            "leasehold events --type granted --type released --json": "Leases alone, one JSON object a line.",
            "leasehold events --after 0": "From as far back as the stream reaches.",
        ], notes: ["With --json each line is one event."]
    ) { (given, surroundings) throws(Failure) in
        let follower = try EventFollower(given, surroundings)
        let failure = await surroundings.interruptions.cancelling { await follower.run() }
        if let signal = await surroundings.interruptions.first { return .signalled(signal) }
        throw failure
    }
}

enum EventOptions {
    static let types = Option.list("type", "TYPE", help: "Only events of this type.", places: .flag)
    static let after = Option.text(
        "after", "EVENT-ID", help: "Begin behind this event, or with 0 at the oldest that is kept.", places: .flag)
}

/// Follows the event stream through lost connections.
actor EventFollower {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe surroundings.loop.asUnownedSerialExecutor() }

    private let service: Service
    private let surroundings: Surroundings
    private let types: [String]
    private let isJSON: Bool
    private var after: String?
    private var wasOpen = false

    /// A comment comes every 10 s.
    private static let silence = Duration.seconds(25)

    init(_ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        types = try given.list(EventOptions.types)
        after = try given.optional(EventOptions.after)
        isJSON = try given.isOn(ServiceOptions.json)
    }

    /// Returns when the stream cannot be followed, or the task was cancelled.
    func run() async -> Failure {
        var pause = Duration.milliseconds(500)
        while true {
            wasOpen = false
            let failure = await once()
            guard wasOpen, !Task.isCancelled else {
                // A service that comes back is waited for, one that never was there is not.
                if after == nil || failure.exit != .unavailable || Task.isCancelled { return failure }
                await surroundings.loop.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
                continue
            }
            surroundings.error.line("leasehold: " + Texts.streamLost)
            pause = .milliseconds(500)
            await surroundings.loop.sleep(for: pause)
        }
    }

    private func once() async -> Failure {
        var query: [String] = []
        if !types.isEmpty { query.append("type=" + types.map(Service.encoded).joined(separator: ",")) }
        if let after { query.append("after=" + Service.encoded(after)) }
        let path = service.named("/v1/gpu/events" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
        do throws(HTTPError) {
            let response = try await service.client.stream(
                path, from: service.endpoint, headers: service.headers, timeout: Service.patience,
                silence: Self.silence, onOpen: { [weak self] in self?.assumeIsolated { $0.wasOpen = true } }
            ) { [weak self] event in self?.assumeIsolated { $0.came(event) } }
            guard response.status != 200 else {
                return Failure(.unavailable, Texts.oddAnswer(service.endpoint))
            }
            let body = (try? JSONParser.parse(response.body))?.object ?? [:]
            return service.failure(Service.Answer(status: response.status, body: body, retryAfter: nil))
        } catch {
            return service.failure(error)
        }
    }

    private func came(_ event: ServerSentEvent) {
        guard let body = (try? JSONParser.parse(Array(event.data.utf8)))?.object else { return }
        if !event.id.isEmpty { after = event.id }
        surroundings.output.line(isJSON ? Document.line(body) : EventLine.text(body, Style(surroundings.output)))
    }
}

/// One event as people read it.
enum EventLine {
    private static let shown = [
        "unit", "holder", "host", "selector", "priority", "lease", "ticket", "state", "by", "why",
    ]

    static func text(_ body: JSONObject, _ style: Style) -> String {
        let at = body.number("at").map { Timestamp.text(.milliseconds($0)) } ?? ""
        let type = Words.visible(body.text("type") ?? "?")
        let space = String(repeating: " ", count: max(1, 15 - Columns.of(type)))
        var line = style(.faint, at) + "  " + style(ink(type), type) + space
        var parts: [String] = []
        for name in shown {
            // A lease names its unit.
            if name == "unit", body["lease"]?.string != nil { continue }
            switch body[name] {
            case .string(let text)? where !text.isEmpty:
                parts.append(style(.faint, name + "=") + Words.visible(text.contains(" ") ? "\"\(text)\"" : text))
            case .integer(let number)?: parts.append(style(.faint, name + "=") + String(number))
            default: break
            }
        }
        line += parts.joined(separator: " ")
        return line
    }

    private static func ink(_ type: String) -> Style.Ink? {
        switch type {
        case "granted", "restored", "registered", "host-back": .green
        case "expired", "revoked", "reset", "force-released", "lost", "host-lost", "refused", "dropped": .red
        case "queued", "offered", "requeued": .cyan
        default: nil
        }
    }
}
