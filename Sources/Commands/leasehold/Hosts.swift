import JSON
import Settings

extension Command {
    static let hosts = Command(
        "hosts", .pool, "Lists the hosts: whether they are heard of, their GPUs and labels.",
        examples: ["leasehold hosts": "One line a host."]
    ) { (given, surroundings) throws(Failure) in
        let body = try await Service.of(given, surroundings).demand(.get, "/v1/gpu/status")
        guard try !given.isOn(ServiceOptions.json) else {
            let hosts: JSONObject = ["hosts": body["hosts"] ?? .array([])]
            surroundings.output.line(String(decoding: Document.pretty(hosts), as: UTF8.self))
            return .done
        }
        let table = table(body)
        guard !table.isEmpty else {
            surroundings.output.line(Texts.noHosts)
            return .done
        }
        for line in table.lines(width: surroundings.width, style: Style(surroundings.output)) {
            surroundings.output.line(line)
        }
        return .done
    }

    private static func table(_ body: JSONObject) -> Table {
        var table = Table([
            .init(title: "HOST", least: 10), .init(title: "STATE"), .init(title: "GPUS", side: .right, least: 4),
            .init(title: "FREE", side: .right, least: 4), .init(title: "AGENT"), .init(title: "LABELS", least: 8),
        ])
        let units = Dictionary(grouping: body.objects("units").filter { $0.text("kind") == "gpu" }) {
            $0.text("host") ?? ""
        }
        let held = Set(
            body.objects("leases").compactMap { $0.text("unit")?.split(separator: "/").first.map(String.init) })
        for host in body.objects("hosts") {
            let name = host.text("host") ?? "?"
            let own = units[name] ?? []
            let labels = (host["labels"]?.object ?? [:]).members.compactMap { label in
                label.value.string.map { "\(label.name)=\($0)" }
            }
            let state: Table.Cell =
                host["present"]?.bool == false
                ? .init("unheard", .red)
                : host.isTrue("draining")
                    ? .init(held.contains(name) ? "draining" : "drained", .yellow)
                    : host.isTrue("cordoned") ? .init("cordoned", .yellow) : .init("present", .green)
            table.add([
                .init(name), state, .init(String(own.count)),
                .init(String(own.count { $0.text("state") == "free" })), .init(host.text("agent_version") ?? ""),
                .init(labels.sorted().joined(separator: " ")),
            ])
        }
        return table
    }

    static let cordon = Command(
        "cordon", .pool, "Offers the units of a host to nobody any more: its leases stand.", operands: "HOST",
        options: [CordonOptions.reason.entry],
        examples: ["leasehold cordon node1 --reason \"new fan\"": "Lets node1 run empty."]
    ) { (given, surroundings) throws(Failure) in try await setCordon(true, "cordon", given, surroundings) }

    static let uncordon = Command(
        "uncordon", .pool, "Offers the units of a host again.", operands: "HOST",
        options: [CordonOptions.reason.entry], examples: ["leasehold uncordon node1": "Takes node1 back into service."]
    ) { (given, surroundings) throws(Failure) in try await setCordon(false, "uncordon", given, surroundings) }

    private static func setCordon(
        _ isOn: Bool, _ command: String, _ given: Given, _ surroundings: Surroundings
    ) async throws(Failure) -> ExitCode {
        guard let host = try given.operand(of: command) else {
            throw Failure(.usage, Texts.missing("a host", command, "leasehold \(command) node1"))
        }
        var body: JSONObject = ["host": .string(host), "on": .bool(isOn)]
        if let reason = try given.optional(CordonOptions.reason) { body["reason"] = .string(reason) }
        let answer = try await Service.of(given, surroundings).demand(.post, "/v1/gpu/cordon", body)
        if try given.isOn(ServiceOptions.json) {
            surroundings.output.line(String(decoding: Document.pretty(answer), as: UTF8.self))
        } else {
            surroundings.output.line(Texts.cordoned(host, isOn: isOn))
        }
        return .done
    }
}

enum CordonOptions {
    static let reason = Option.text("reason", "TEXT", help: "Why; the events show it.", places: .flag)
}
