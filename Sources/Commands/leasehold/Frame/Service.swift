import EventLoop
import HTTP
import JSON
import Telemetry

/// A coordinator as a client of its HTTP interface sees it (docs/http.md).
struct Service: Sendable {
    /// What came back.
    struct Answer: Equatable, Sendable {
        let status: Int
        /// Empty where the body is no JSON object.
        let body: JSONObject
        /// When to try again, where the answer says so.
        let retryAfter: Duration?

        /// The stable word of an error.
        var word: String { body.text("error") ?? "" }
        var isOK: Bool { status == 200 }
    }

    /// How long a call that should be answered at once may take.
    static let patience = Duration.seconds(10)

    let client: HTTPClient
    let endpoint: HTTPEndpoint
    let token: Secret<String>?
    /// The pool that every call names; nil leaves it to the coordinator.
    let pool: String?

    /// The service that a command was told to call.
    static func of(_ given: Given, _ surroundings: Surroundings) throws(Failure) -> Service {
        let address = try given.value(ServiceOptions.url)
        let endpoint: HTTPEndpoint
        do throws(HTTPError) {
            endpoint = try HTTPEndpoint(parsing: address)
        } catch {
            throw Failure(.usage, Texts.wrongURL(error.message))
        }
        let client = HTTPClient(
            loop: surroundings.loop, trusting: try given.optional(ServiceOptions.certificates),
            showing: try ServiceOptions.callersCertificate(given))
        return Service(
            client: client, endpoint: endpoint, token: try ServiceOptions.callersToken(given, surroundings),
            pool: try given.optional(ServiceOptions.pool))
    }

    var headers: HTTPHeaders {
        guard let token else { return ["Accept": "application/json"] }
        return ["Accept": "application/json", "Authorization": "Bearer \(token.revealed)"]
    }

    /// Calls and waits, whatever the status.
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONObject? = nil, timeout: Duration = patience
    ) async throws(HTTPError) -> Answer {
        var body = body
        if let pool, body != nil { body?["pool"] = .string(pool) }
        let response = try await client.send(
            method, body == nil ? named(path) : path, to: endpoint, headers: headers,
            body: body.map { JSONValue.object($0).encoded() } ?? [], timeout: timeout)
        let seconds = response.headers["Retry-After"].flatMap { Int($0) }.map { min(max($0, 0), 3600) }
        return Answer(
            status: response.status, body: (try? JSONParser.parse(response.body))?.object ?? JSONObject(),
            retryAfter: seconds.map { .seconds($0) })
    }

    /// A path with the pool that was given.
    func named(_ path: String) -> String {
        guard let pool else { return path }
        return path + (path.contains("?") ? "&" : "?") + "pool=" + Self.encoded(pool)
    }

    /// Calls and demands a 200.
    func demand(
        _ method: HTTPMethod, _ path: String, _ body: JSONObject? = nil, timeout: Duration = patience
    ) async throws(Failure) -> JSONObject {
        let answer: Answer
        do throws(HTTPError) {
            answer = try await call(method, path, body, timeout: timeout)
        } catch {
            throw failure(error)
        }
        guard answer.isOK else { throw failure(answer) }
        return answer.body
    }

    // MARK: Failures

    func failure(_ error: HTTPError) -> Failure {
        let text = Texts.unanswered(error, endpoint)
        let exit: ExitCode = error.kind == .badAddress ? .usage : .unavailable
        return Failure(exit, text, document: Document.pretty(["error": .string("unreachable"), "msg": .string(text)]))
    }

    func failure(_ answer: Answer) -> Failure {
        Failure(
            Self.exit(answer), Texts.refused(answer, endpoint, hasToken: token != nil),
            document: Document.pretty(.object(answer.body)))
    }

    private static func exit(_ answer: Answer) -> ExitCode {
        switch (answer.status, answer.word) {
        case (401, _), (403, _): .refused
        case (404, "unknown_request"), (409, _), (410, _): .negative
        case (503, "timeout"), (503, "force_released"): .negative
        case (429, _), (408, _), (500..., _): .unavailable
        default: .usage
        }
    }

    /// A text as a part of a path or query.
    static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Documents for programs.
enum Document {
    /// Over several lines. Within its texts everything that steers a terminal is escaped, which changes no value.
    static func pretty(_ value: JSONValue) -> [UInt8] {
        Array(
            (String(decoding: value.encodedPretty(), as: UTF8.self)).split(separator: "\n").map {
                Escaping.visible(String($0))
            }.joined(separator: "\n").utf8)
    }

    /// On one line, escaped likewise.
    static func line(_ members: JSONObject) -> String {
        Escaping.visible(String(decoding: JSONValue.object(members).encoded(), as: UTF8.self))
    }

    static func pretty(_ members: JSONObject) -> [UInt8] { pretty(.object(members)) }
}

extension JSONObject {
    func text(_ name: String) -> String? { self[name]?.string }
    func integer(_ name: String) -> Int64? { self[name]?.integer }
    func number(_ name: String) -> Double? { self[name]?.number }
    func isTrue(_ name: String) -> Bool { self[name]?.bool ?? false }
    func objects(_ name: String) -> [JSONObject] { self[name]?.array?.compactMap(\.object) ?? [] }
    func texts(_ name: String) -> [String] { self[name]?.array?.compactMap(\.string) ?? [] }
}
