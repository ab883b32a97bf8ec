import EventLoop
import HTTP
import JSON
import Telemetry

/// A resource that looks after itself: lets nobody write whom the agent of the unit calls stale, nor anybody with a
/// fencing token below the highest that it has let in.
///
/// `@unchecked Sendable` holds because all of its state is used on the loop's thread.
final class GuardedDevice: @unchecked Sendable {
    private let loop: EventLoop
    private let history: History
    private let agents: [String: HTTPEndpoint]
    private let http: HTTPClient
    private var server: HTTPServer?
    private var highest: [String: Int64] = [:]

    init(loop: EventLoop, history: History, agents: [String: HTTPEndpoint]) {
        self.loop = loop
        self.history = history
        self.agents = agents
        http = HTTPClient(loop: loop)
    }

    func listen(_ path: String) throws {
        server = HTTPServer(loop: loop, log: .silent) { [weak self] request, exchange in
            guard let self else { return }
            loop.spawn { exchange.respond(await self.operate(request.body)) }
        }
        try server?.listen(unixPath: path)
    }

    private func operate(_ body: [UInt8]) async -> HTTPResponse {
        guard let object = try? JSONParser.parse(body).object, let unit = object["unit"]?.string,
            let fencing = object["fencing_token"]?.integer, let lease = object["lease"]?.string,
            let agent = agents[String(unit.prefix { $0 != "/" })]
        else { return HTTPResponse(status: 400) }
        let asked = Moment.now
        let before = highest[unit] ?? 0
        var verdict = "unanswered"
        let question: JSONObject = ["unit": .string(unit), "fencing_token": .integer(fencing)]
        if let answer = try? await http.send(
            .post, "/v1/gpu/verify", to: agent, body: JSONValue.object(question).encoded(), timeout: .seconds(1))
        {
            verdict = (try? JSONParser.parse(answer.body).object)?["status"]?.string ?? "unanswered"
        }
        let isTaken = verdict == "current" && fencing >= highest[unit] ?? 0
        if isTaken { highest[unit] = fencing }
        history.note(
            "op",
            [
                "u": .string(unit), "f": .integer(fencing), "lease": .string(lease), "v": .string(verdict),
                "ok": .bool(isTaken), "asked": .integer(asked), "before": .integer(before),
            ])
        return HTTPResponse(status: isTaken ? 200 : 409)
    }
}
