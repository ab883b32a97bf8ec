import JSON
import LeaseModel
import Settings

extension Command {
    static let unlock = Command(
        "unlock", .leases, "Gives a lease back, by its token or by its holder.", operands: "[TOKEN | -]",
        options: [LeaseTokenOptions.variable.entry, LeaseTokenOptions.id.entry, LeaseTokenOptions.kind.entry],
        examples: [
            "leasehold unlock": "The lease whose token is in LEASEHOLD_LEASE_TOKEN.",
            "leasehold unlock --id Root-Mic": "The oldest lease of this holder.",
        ]
    ) { (given, surroundings) throws(Failure) in
        let service = try Service.of(given, surroundings)
        let isJSON = try given.isOn(ServiceOptions.json)
        var body: JSONObject = [:]
        if let id = try given.optional(LeaseTokenOptions.id) {
            guard try given.operand(of: "unlock") == nil else {
                throw Failure(.usage, Texts.tooManyWords(given.operands.first ?? "", "unlock"))
            }
            body["id"] = .string(id)
            body["kind"] = .string(try given.value(LeaseTokenOptions.kind).rawValue)
        } else {
            body["token"] = .string(try LeaseTokenOptions.token(given, surroundings, command: "unlock"))
        }
        let answer = try await service.demand(.post, "/v1/gpu/unlock", body)
        if isJSON { surroundings.output.line(String(decoding: Document.pretty(answer), as: UTF8.self)) }
        guard answer.text("status") == "released" else {
            throw Failure(.negative, answer.text("msg").map(Words.visible) ?? Texts.notHeld)
        }
        if !isJSON { surroundings.output.line("Given back.") }
        return .done
    }

    static let renew = Command(
        "renew", .leases, "Renews a lease and tells how long it stands from now.", operands: "[TOKEN | -]",
        options: [LeaseTokenOptions.variable.entry],
        examples: ["leasehold renew": "The lease whose token is in LEASEHOLD_LEASE_TOKEN."]
    ) { (given, surroundings) throws(Failure) in
        let service = try Service.of(given, surroundings)
        let token = try LeaseTokenOptions.token(given, surroundings, command: "renew")
        let sentAt = surroundings.loop.now
        let answer = try await service.demand(.post, "/v1/gpu/renew", ["token": .string(token)])
        if try given.isOn(ServiceOptions.json) {
            surroundings.output.line(String(decoding: Document.pretty(answer), as: UTF8.self))
        } else {
            // Counted from the sending, so what the answer took on its way is gone already.
            let left = (answer.number("expires_in") ?? 0) - (surroundings.loop.now - sentAt) / .seconds(1)
            surroundings.output.line(Texts.renewed(answer.text("lease") ?? "", left: left))
        }
        return .done
    }
}

/// Which lease is meant.
enum LeaseTokenOptions {
    static let variable = Option.text(
        "lease-token", "TOKEN",
        help:
            "The lease's token, as leasehold lock printed it. Only a variable, since everybody can read a command line.",
        places: .variable, secrecy: .secret)
    static let id = Option.text("id", "ID", help: "The holder whose oldest lease is meant.", places: .flag)
    static let kind = Option<UnitKind>.choice(
        "kind", "KIND", ["gpu": .gpu, "model-load": .modelLoad], standard: "gpu",
        help: "With --id: which kind of lease.", places: .flag)

    /// From the command line, standard input or the variable.
    static func token(_ given: Given, _ surroundings: Surroundings, command: String) throws(Failure) -> String {
        var token = try given.operand(of: command)
        if token == "-" { token = surroundings.readLine() ?? "" }
        if token == nil { token = try given.optional(variable) }
        guard let token, !token.isEmpty else {
            throw Failure(.usage, Texts.noLeaseToken(command))
        }
        let trimmed = String(token.split(whereSeparator: \.isWhitespace).first ?? "")
        guard let dot = trimmed.lastIndex(of: "."), (try? LeaseID(String(trimmed[..<dot]))) != nil else {
            throw Failure(.usage, Texts.noTokenShape(trimmed))
        }
        return trimmed
    }
}
