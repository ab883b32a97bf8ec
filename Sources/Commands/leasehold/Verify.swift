import Agent
import HTTP
import JSON
import LeaseModel
import Settings

extension Command {
    static let verify = Command(
        "verify", .leases, "Asks whether a fencing token is the present one of its unit.",
        operands: "LEASE | UNIT FENCING-TOKEN", options: [VerifyOptions.agentSocket.entry],
        examples: [
            "leasehold verify node1/0#1764000000000000":
                "Ends with 0 while this lease stands, with 1 when it does not.",
            "leasehold verify node1/0 1764000000000000 --agent-socket /var/lib/leasehold/agent/agent.sock":
                "Asks the agent of this host, which knows best and needs no Redis.",
        ]
    ) { (given, surroundings) throws(Failure) in
        let words = given.operands + given.rest
        let text = words.count == 2 ? words.joined(separator: "#") : words.first ?? ""
        guard words.count <= 2, let lease = try? LeaseID(text) else {
            throw Failure(.usage, Texts.missing("a lease", "verify", "leasehold verify node1/0#1764000000000000"))
        }
        let service: Service
        if let path = try given.optional(VerifyOptions.agentSocket) {
            service = Service(
                client: HTTPClient(loop: surroundings.loop), endpoint: .unix(path: path), token: nil, pool: nil)
        } else {
            service = try Service.of(given, surroundings)
        }
        let body: JSONObject = ["unit": .string(lease.unit.text), "fencing_token": .integer(lease.fencing.value)]
        let answer = try await service.demand(.post, "/v1/gpu/verify", body)
        let isCurrent = answer.isTrue("current")
        if try given.isOn(ServiceOptions.json) {
            surroundings.output.line(String(decoding: Document.pretty(answer), as: UTF8.self))
        } else {
            surroundings.output.line(Texts.verified(lease.text, answer))
        }
        return isCurrent ? .done : .negative
    }
}

enum VerifyOptions {
    static let agentSocket = Option.text(
        "agent-socket", "PATH", help: "Ask the agent behind this unix socket in place of the coordinator.",
        places: .flag)
}
