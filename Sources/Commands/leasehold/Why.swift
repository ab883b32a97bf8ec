import JSON

extension Command {
    static let why = Command(
        "why", .leases, "Tells why a request is still waiting: its place, who is ahead and what blocks it.",
        operands: "REQUEST-ID",
        examples: ["leasehold why 5b1f": "Where the request stands that was made with this request_id."]
    ) { (given, surroundings) throws(Failure) in
        guard let id = try given.operand(of: "why") else {
            throw Failure(.usage, Texts.missing("a request's id", "why", "leasehold why REQUEST-ID"))
        }
        let service = try Service.of(given, surroundings)
        let body = try await service.demand(.get, "/v1/gpu/requests/" + Service.encoded(id))
        if try given.isOn(ServiceOptions.json) {
            surroundings.output.line(String(decoding: Document.pretty(body), as: UTF8.self))
        } else {
            for line in RequestReport.lines(body, width: surroundings.width) { surroundings.output.line(line) }
        }
        return .done
    }
}

/// What `GET /v1/gpu/requests/{request_id}` says, in sentences.
enum RequestReport {
    static func lines(_ body: JSONObject, width: Int) -> [String] {
        let holder = Words.visible(body.text("holder") ?? "?")
        switch body.text("state") {
        case "held":
            let unit = Words.visible(body.text("unit") ?? "a unit")
            return [fitted("\(holder) holds \(unit); lease \(Words.visible(body.text("lease") ?? "?")).", width)]
        case "offered":
            let unit = body.text("unit").map { " \(Words.visible($0))" } ?? ""
            return [fitted("A unit\(unit) was found for \(holder); its host is being asked.", width)]
        default: break
        }
        var lines: [String] = []
        var first = "\(holder) waits for \(Words.wish(body.text("selector")))"
        if let priority = body.integer("priority") { first += " with priority \(priority)" }
        if let position = body.integer("position") {
            first += ": \(Words.ordinal(position)) of \(max(position, body.integer("queue_depth") ?? position))"
        }
        lines.append(first + ".")
        if let why = body.text("why") { lines.append(Words.visible(why)) }
        let ahead = body.texts("ahead")
        if !ahead.isEmpty { lines.append("Ahead: " + Words.list(ahead, limit: 20) + ".") }
        for blocking in body.objects("blocked_by") {
            let left = blocking.number("expires_in").map {
                ", for at most \(Words.span(.seconds(max(0, $0)))) unless it renews"
            }
            lines.append(
                "\(Words.visible(blocking.text("unit") ?? "?")) is held by \(Words.visible(blocking.text("holder") ?? "?"))\(left ?? "")."
            )
        }
        if let waited = body.number("waited_ms") {
            let left = body.number("time_left_ms").map { ", gives up in \(Words.span(.milliseconds($0)))" } ?? ""
            lines.append("Waiting for \(Words.span(.milliseconds(waited)))\(left).")
        }
        let expected = body.number("expected_wait_ms")
        let basis = expected == nil ? ", nothing was observed to base it on" : ""
        let about = expected ?? 0 < 1000 ? "" : "about "
        lines.append("Expected wait: \(about)\(Words.expected(expected))\(basis).")
        return lines.map { fitted($0, width) }
    }

    private static func fitted(_ text: String, _ width: Int) -> String {
        Words.wrapped(text, width: width, hanging: 2)
    }
}
