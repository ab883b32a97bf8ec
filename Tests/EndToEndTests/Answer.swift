import HTTP
import JSON

/// What the service has answered.
struct Answer: Sendable, CustomStringConvertible {
    let status: Int
    let headers: HTTPHeaders
    let text: String
    /// Empty where the body is no JSON object.
    let body: JSONObject

    init(_ response: HTTPResponse) {
        status = response.status
        headers = response.headers
        text = String(decoding: response.body, as: UTF8.self)
        body = (try? JSONParser.parse(response.body))?.object ?? JSONObject()
    }

    subscript(name: String) -> JSONValue? { body[name] }

    /// A member that is a text, or nothing.
    func word(_ name: String) -> String { body[name]?.string ?? "" }
    func number(_ name: String) -> Int64 { body[name]?.integer ?? -1 }

    var isAcquired: Bool { status == 200 && word("status") == "acquired" }
    var token: String { word("token") }
    var fencing: Int64 { number("fencing_token") }

    var description: String { "\(status) \(text)" }
}

/// `GET /v1/gpu/status` as far as the tests look at it.
struct Status: Sendable, CustomStringConvertible {
    struct Waiter: Equatable, Sendable {
        var holder: String
        var score: Int64
        var priority: Int64
    }

    let answer: Answer

    var isLocked: Bool { answer["locked"] == .bool(true) }
    var owner: String? { answer["owner"]?.string }
    var queueDepth: Int { Int(answer.number("queue_depth")) }
    var queued: [String] { answer["queued"]?.array?.compactMap(\.string) ?? [] }
    var isDegraded: Bool { answer["degraded"] == .bool(true) }

    /// In the order of service.
    var waiters: [Waiter] {
        objects("waiters").map { waiter in
            Waiter(
                holder: waiter["holder"]?.string ?? "", score: waiter["score"]?.integer ?? -1,
                priority: waiter["priority"]?.integer ?? -1)
        }
    }

    /// Unit to its state.
    var units: [String: String] {
        Dictionary(
            objects("units").map { ($0["unit"]?.string ?? "", $0["state"]?.string ?? "") }, uniquingKeysWith: { $1 })
    }

    /// Lease to its holder.
    var leases: [String: String] {
        Dictionary(
            objects("leases").map { ($0["lease"]?.string ?? "", $0["holder"]?.string ?? "") }, uniquingKeysWith: { $1 })
    }

    /// Who holds the GPUs, sorted.
    var holders: [String] { leases.values.sorted() }

    private func objects(_ name: String) -> [JSONObject] { answer[name]?.array?.compactMap(\.object) ?? [] }

    var description: String { answer.description }
}
