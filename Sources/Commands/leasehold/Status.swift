import JSON
import Settings

extension Command {
    static let status = Command(
        "status", .pool, "Shows the pool: its GPUs, who holds them and who waits.",
        options: [StatusOptions.brief.entry],
        examples: [
            "leasehold status": "The pool as a table.",
            "leasehold status --json --brief": "What scripts ask: locked, owner, queue_depth, queued.",
        ]
    ) { (given, surroundings) throws(Failure) in
        let service = try Service.of(given, surroundings)
        let isBrief = try given.isOn(StatusOptions.brief)
        let isJSON = try given.isOn(ServiceOptions.json)
        let body = try await service.demand(.get, "/v1/gpu/status" + (isBrief ? "?view=brief" : ""))
        if isJSON {
            surroundings.output.line(String(decoding: Document.pretty(body), as: UTF8.self))
        } else {
            let report = StatusReport(body)
            let style = Style(surroundings.output)
            for line in report.lines(width: surroundings.width, style: style) { surroundings.output.line(line) }
        }
        return .done
    }
}

enum StatusOptions {
    static let brief = Option.flag("brief", help: "Only whether a GPU is free and who waits.", places: .flag)
}

/// What `GET /v1/gpu/status` says, as tables.
struct StatusReport {
    private let body: JSONObject

    init(_ body: JSONObject) { self.body = body }

    /// - Parameter rows: The most lines that there is room for; nil for all.
    func lines(width: Int, style: Style, rows: Int? = nil, busy: BusyTimes? = nil) -> [String] {
        var lines = summary(width: width, style: style)
        guard body["units"] != nil else { return lines + queuedLine(width: width) }
        let units = unitTable(busy)
        if !units.isEmpty { lines += [""] + units.lines(width: width, style: style) }
        let waiters = waiterTable()
        guard let rows else {
            return waiters.isEmpty
                ? lines : lines + ["", style(.bold, "Waiting")] + waiters.lines(width: width, style: style)
        }
        // Where there is no room for all, those who wait get a third of it.
        let waiting = waiters.isEmpty ? [] : waiters.lines(width: width, style: style)
        let wanted = waiting.isEmpty ? 0 : waiting.count + 2
        let room = max(4, rows - min(wanted, max(6, rows / 3)))
        lines = Self.cut(lines, to: room, "unit")
        guard !waiting.isEmpty else { return lines }
        return lines + ["", style(.bold, "Waiting")] + Self.cut(waiting, to: max(2, rows - lines.count - 2), "request")
    }

    private static func cut(_ lines: [String], to count: Int, _ noun: String) -> [String] {
        guard lines.count > count else { return lines }
        return lines.prefix(max(1, count - 1)) + ["… and \(Words.count(Int64(lines.count - count + 1), noun)) more"]
    }

    private func summary(width: Int, style: Style) -> [String] {
        let units = body.objects("units").filter { $0.text("kind") == "gpu" }
        let pool = Words.visible(body.text("pool") ?? "default")
        let scope = body.text("scope").flatMap { $0 == "pool" ? nil : " (\(Words.visible($0)))" } ?? ""
        var text = "Pool \(pool)\(scope): "
        if units.isEmpty {
            text += body.isTrue("locked") ? "no GPU is free" : "a GPU is free"
            if let owner = body.text("owner") { text += ", held by \(Words.visible(owner))" }
        } else {
            let free = units.count { $0.text("state") == "free" }
            text += "\(free) of \(Words.count(Int64(units.count), "GPU")) free"
        }
        text += ", \(body.integer("queue_depth") ?? 0) waiting"
        var lines = [style(.bold, Columns.fitted(text, width))]
        if body.isTrue("degraded") {
            let why = body.text("degraded_reason").map { ": \(Words.visible($0))" } ?? ""
            let age = body.number("age_ms").map { Words.span(.milliseconds($0)) } ?? "some time"
            let text = "Degraded\(why). What follows is \(age) old; leases stand, nothing new is granted."
            lines += Words.wrapped(text, width: width).split(separator: "\n").map { style(.red, String($0)) }
        }
        for host in body.objects("hosts") {
            let name = Words.visible(host.text("host") ?? "?")
            if host["present"]?.bool == false {
                lines.append(style(.red, Columns.fitted("Host \(name) is not heard of.", width)))
            } else if host.isTrue("draining") {
                let left = host.number("drain_ends_in").map {
                    ": what is held is revoked in \(Words.span(.seconds($0)))"
                }
                lines.append(style(.yellow, Columns.fitted("Host \(name) is being drained\(left ?? "").", width)))
            } else if host.isTrue("cordoned") {
                lines.append(style(.yellow, Columns.fitted("Host \(name) is cordoned.", width)))
            }
        }
        for lease in body.objects("leases") {
            guard let wish = PreemptWish(renewal: lease) else { continue }
            let text = Texts.askedBack(
                lease.text("holder") ?? "?", wish, unit: lease.text("unit") ?? "?")
            lines.append(style(.yellow, Columns.fitted(text, width)))
        }
        return lines
    }

    private func queuedLine(width: Int) -> [String] {
        let queued = body.texts("queued")
        guard !queued.isEmpty else { return [] }
        return Words.wrapped("Waiting: " + Words.list(queued, limit: 20), width: width).split(separator: "\n").map(
            String.init)
    }

    private func unitTable(_ busy: BusyTimes?) -> Table {
        var columns: [Table.Column] = [
            .init(title: "UNIT", least: 10), .init(title: "STATE"), .init(title: "HOLDER", least: 10),
            .init(title: "HELD", side: .right), .init(title: "LEFT", side: .right),
        ]
        if busy != nil { columns.append(.init(title: "BUSY", side: .right, least: 4)) }
        columns.append(.init(title: "DEVICE", least: 8))
        var table = Table(columns)
        let leases = Dictionary(body.objects("leases").compactMap { lease in lease.text("lease").map { ($0, lease) } })
        {
            first, _ in first
        }
        for unit in body.objects("units") {
            let lease = unit.text("lease").flatMap { leases[$0] }
            let state = unit.text("state") ?? "?"
            // A model-load unit that nobody holds is of no interest.
            if unit.text("kind") != "gpu", state == "free" { continue }
            var cells: [Table.Cell] = [
                .init(unit.text("unit") ?? "?"), .init(state, Self.ink(state)), .init(unit.text("holder") ?? ""),
                .init(lease?.number("held_ms").map { Words.span(.milliseconds($0)) } ?? ""),
                .init(lease?.number("expires_in").map { Words.span(.seconds(max(0, $0))) } ?? ""),
            ]
            if let busy { cells.append(.init(busy.share(of: unit.text("unit") ?? "").map { "\($0)%" } ?? "")) }
            cells.append(.init(Self.device(unit), .faint))
            table.add(cells)
        }
        return table
    }

    private func waiterTable() -> Table {
        var table = Table([
            .init(title: "#", side: .right, least: 2), .init(title: "HOLDER", least: 10),
            .init(title: "PRIORITY", side: .right), .init(title: "WAITED", side: .right),
            .init(title: "EXPECTED", side: .right), .init(title: "FOR", least: 10),
        ])
        for waiter in body.objects("waiters") {
            table.add([
                .init(waiter.integer("position").map(String.init) ?? ""), .init(waiter.text("holder") ?? "?"),
                .init(waiter.integer("priority").map(String.init) ?? ""),
                .init(waiter.number("waited_ms").map { Words.span(.milliseconds($0)) } ?? ""),
                .init(Words.expected(waiter.number("expected_wait_ms"))),
                .init(waiter.text("selector") ?? "", .faint),
            ])
        }
        return table
    }

    private static func device(_ unit: JSONObject) -> String {
        guard unit.text("kind") == "gpu" else { return unit.text("kind") ?? "" }
        let name = unit.text("name") ?? ""
        guard let memory = unit.integer("vram_mb"), memory > 0 else { return name }
        return "\(name), \((memory + 500) / 1000) GB"
    }

    static func ink(_ state: String) -> Style.Ink? {
        switch state {
        case "free": .green
        case "held": .yellow
        case "offered", "resting", "reserved": .cyan
        case "ending", "unheard": .red
        default: nil
        }
    }
}
