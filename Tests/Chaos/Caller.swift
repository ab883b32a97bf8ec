import EventLoop
import HTTP
import JSON

/// Sends calls to coordinators and writes each into the history, when it began and how it ended.
final class Caller: Sendable {
    let loop: EventLoop
    let history: History
    let coordinators: [HTTPEndpoint]
    private let http: HTTPClient
    private let headers: HTTPHeaders

    init(_ loop: EventLoop, _ history: History, _ coordinators: [HTTPEndpoint], token: String?) {
        self.loop = loop
        self.history = history
        self.coordinators = coordinators
        http = HTTPClient(loop: loop)
        headers = token.map { ["Authorization": "Bearer \($0)"] } ?? .init()
    }

    /// What a call came to; status 0 where there was no answer.
    struct Answer: Sendable {
        var status = 0
        var body = JSONObject()
        /// Why there was no answer.
        var failure = ""
        var sent: Int64
        var received: Int64
    }

    /// One call. `facts` are what the checker wants to know of it beforehand.
    func call(
        _ operation: String, number: String, at coordinator: Int, _ path: String, _ body: JSONObject,
        timeout: Duration, facts: JSONObject
    ) async -> Answer {
        var begun = facts
        begun["n"] = .string(number)
        begun["op"] = .string(operation)
        begun["c"] = .integer(Int64(coordinator))
        let sent = Moment.now
        history.note("inv", begun, at: sent)
        var answer = Answer(sent: sent, received: 0)
        do throws(HTTPError) {
            let response = try await http.send(
                .post, path, to: coordinators[coordinator], headers: headers, body: JSONValue.object(body).encoded(),
                timeout: timeout)
            answer.status = response.status
            answer.body = (try? JSONParser.parse(response.body))?.object ?? [:]
        } catch {
            answer.failure = "\(error.kind)"
        }
        answer.received = Moment.now
        history.note("end", Self.facts(answer, number), at: answer.received)
        return answer
    }

    /// One call to another server on a unix socket, which is not written down.
    func ask(_ path: String, of server: HTTPEndpoint, _ body: JSONObject, timeout: Duration) async -> Answer {
        var answer = Answer(sent: Moment.now, received: 0)
        do throws(HTTPError) {
            let response = try await http.send(
                .post, path, to: server, body: JSONValue.object(body).encoded(), timeout: timeout)
            answer.status = response.status
            answer.body = (try? JSONParser.parse(response.body))?.object ?? [:]
        } catch {
            answer.failure = "\(error.kind)"
        }
        answer.received = Moment.now
        return answer
    }

    func close() { http.close() }

    /// Gives back the lease of a lock call's answer, whatever comes of it.
    func giveBack(_ answer: Answer) async {
        guard let token = answer.body["token"], let lease = answer.body["lease"] else { return }
        _ = await call(
            "unlock", number: "u\(lease.string ?? "").0/0", at: 0, "/v1/gpu/unlock", ["token": token],
            timeout: .seconds(5), facts: ["lease": lease])
    }

    private static func facts(_ answer: Answer, _ number: String) -> JSONObject {
        var end: JSONObject = ["n": .string(number), "s": .integer(Int64(answer.status))]
        if !answer.failure.isEmpty { end["x"] = .string(answer.failure) }
        for name in [
            "error", "status", "lease", "unit", "units", "fencing_token", "released", "ending", "by", "reason", "why",
        ] {
            if let value = answer.body[name] { end[name] = value }
        }
        if let left = answer.body["expires_in"]?.number { end["left"] = .integer(Int64(left * 1_000_000)) }
        if let waited = answer.body["waited_ms"]?.number { end["waited"] = .integer(Int64(waited * 1000)) }
        return end
    }
}
