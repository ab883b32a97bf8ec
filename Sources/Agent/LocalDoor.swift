import EventLoop
import HTTP
import JSON
import LeaseModel
import Telemetry

/// The agent's own HTTP: `verify` from its own table, also with Redis down, and on its unix socket, which only its own
/// user may open, what runs under leases.
///
/// - `POST /v1/gpu/verify` `{"unit", "fencing_token"}`: `{"status": "current" | "stale", …}`
/// - `POST /v1/agent/processes` `{"token", "pid", "keeper", "adopt"}`, unix socket only: `{"status": "watched"}`, or, where
///   `text/event-stream` is accepted, a stream that stands for as long as the lease has something to run
/// - `GET /health`, `GET /metrics`
extension Agent {
    /// What a call is answered with.
    struct Reply {
        var status: Int
        var type = "application/json"
        var body: [UInt8]
        /// Whose stream is begun in place of the body.
        var follows: LeaseID?

        /// A text of this type, 200.
        init(type: String, text: String) {
            status = 200
            self.type = type
            body = Array(text.utf8)
        }

        init(_ status: Int, _ members: (inout JSONWriter) -> Void) {
            var writer = JSONWriter()
            writer.object(members)
            self.status = status
            body = writer.bytes
        }

        static func refusal(_ status: Int, _ error: String, _ message: String) -> Reply {
            Reply(status) { writer in
                writer.member("error", error)
                writer.member("msg", message)
            }
        }

        static func malformed(_ message: String) -> Reply { refusal(400, "bad_request", message) }
    }

    enum Door { case unix, tcp }

    /// The path of the unix socket in a state directory.
    package static func socketPath(in stateDirectory: String) -> String { stateDirectory + "/agent.sock" }

    func reply(to request: HTTPRequest, through door: Door) async -> Reply {
        switch (request.method, request.path) {
        case (.get, "/health"):
            return Reply(200) { writer in
                writer.member("status", "ok")
                writer.member("registered", isRegistered)
                writer.member("units", reports.count)
            }
        case (.get, "/metrics"): return Reply(type: MetricRegistry.contentType, text: metricsText)
        case (.post, "/v1/gpu/verify"): return verifyReply(request.body)
        case (.post, "/v1/agent/processes") where door == .unix: return await processReply(request)
        case (_, "/health"), (_, "/metrics"), (_, "/v1/gpu/verify"):
            return .refusal(
                405, "method_not_allowed", "Use GET for /health and /metrics, and POST for /v1/gpu/verify.")
        default:
            return .refusal(
                404, "not_found", "An agent answers /health, /metrics and /v1/gpu/verify; ask a coordinator for more.")
        }
    }

    private func verifyReply(_ body: [UInt8]) -> Reply {
        let text = "Send {\"unit\": \"HOST/0\", \"fencing_token\": NUMBER} with the numbers of the lock's answer."
        guard let object = try? JSONParser.parse(body).object, let name = object["unit"]?.string,
            let unit = try? UnitID(name), let fencing = object["fencing_token"]?.integer, fencing > 0
        else { return .malformed(text) }
        guard let report = reports.first(where: { $0.properties.unit == unit }) else {
            return .refusal(404, "unknown_unit", "This agent has no unit \(unit.text). Ask the agent of its host.")
        }
        let verdict = verify(unit, FencingToken(fencing))
        return Reply(200) { writer in
            writer.member("status", verdict == .current ? "current" : "stale")
            writer.member("current", verdict == .current)
            writer.member("unit", unit.text)
            writer.member("fencing_token", fencing)
            if verdict == .current, let holder = holder(of: report) { writer.member("holder", holder) }
            writer.member("source", "agent")
        }
    }

    /// Where it is a further unit of a lease, that of the first one.
    private func holder(of report: UnitReport) -> String? {
        guard case .bound(let lease) = report.state else { return report.holder }
        return reports.first { $0.properties.unit == lease.unit }?.holder
    }

    private func processReply(_ request: HTTPRequest) async -> Reply {
        let text = "Send {\"token\": \"LEASE.SECRET\", \"pid\": NUMBER} with the token of the lock's answer."
        guard let object = try? JSONParser.parse(request.body).object, let token = object["token"]?.string,
            let dot = token.lastIndex(of: "."), let lease = try? LeaseID(String(token[..<dot])),
            let process = object["pid"]?.integer.flatMap({ Int32(exactly: $0) }), process > 1
        else { return .malformed(text) }
        let hash = TokenHash(Digest.sha256Hex(String(token[token.index(after: dot)...])))
        let keeper = object["keeper"]?.integer.flatMap { Int32(exactly: $0) }
        if object["adopt"]?.bool == true {
            guard processAdopted(process, under: lease, token: hash, keeper: keeper) else {
                return .refusal(
                    409, "not_watched",
                    "The lease is not held with this token, or process \(process) is gone, runs under another lease, or belongs to another user than this machine's agent."
                )
            }
        } else {
            guard await processStarted(process, under: lease, token: hash, keeper: keeper) else {
                return .refusal(
                    409, "not_watched",
                    "The lease is not held with this token, or process \(process) was not started with its id in the environment. The lease goes on without."
                )
            }
        }
        var reply = Reply(200) { writer in
            writer.member("status", "watched")
            writer.member("lease", lease.text)
        }
        if request.headers["Accept"] == "text/event-stream" { reply.follows = lease }
        return reply
    }
}

extension UnitReport {
    fileprivate var holder: String? {
        switch state {
        case .free, .resting, .bound: nil
        case .confirming(let lease), .held(let lease), .ending(let lease): lease.terms.holder.text
        }
    }
}
