import EventLoop
import HTTP
import JSON
import Synchronization
import TestSupport

/// A running coordinator, and the calls that its clients make.
final class Bridge: Sendable {
    let program: Program
    let port: Int
    private let endpoint: HTTPEndpoint
    private let client: HTTPClient

    init(_ program: Program, client: HTTPClient) async throws {
        self.program = program
        self.client = client
        let address = try await program.address()
        port = address.port
        endpoint = .tcp(host: address.host, port: address.port, isSecure: false)
    }

    func waitUntilReady() async throws {
        try await eventually("\(program.name) is ready", within: .seconds(30), is: 200) {
            try await self.get("/ready").status
        }
    }

    func get(_ path: String) async throws -> Answer {
        Answer(try await client.send(.get, path, to: endpoint, timeout: .seconds(20)))
    }

    /// - Parameter path: Behind `/v1/gpu/`.
    func post(_ path: String, _ body: String = "", headers: HTTPHeaders = .init()) async throws -> Answer {
        Answer(
            try await client.send(
                .post, "/v1/gpu/\(path)", to: endpoint, headers: headers, body: Array(body.utf8),
                timeout: .seconds(150)))
    }

    func status() async throws -> Status {
        Status(answer: try await get("/v1/gpu/status"))
    }

    // MARK: Locks

    /// The body of a lock call; `more` are further members.
    static func lock(
        _ id: String, ttl: Double? = nil, timeout: Double? = nil, priority: Int? = nil, request: String? = nil,
        more: String = ""
    ) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("id", id)
            if let ttl { writer.member("ttl", ttl) }
            if let timeout { writer.member("timeout", timeout) }
            if let priority { writer.member("priority", priority) }
            if let request { writer.member("request_id", request) }
        }
        let text = String(decoding: writer.bytes, as: UTF8.self)
        return more.isEmpty ? text : text.dropLast() + "," + more + "}"
    }

    /// Waits for the answer, whatever it is.
    func lock(
        _ id: String, ttl: Double? = nil, timeout: Double? = nil, priority: Int? = nil, request: String? = nil,
        more: String = ""
    ) async throws -> Answer {
        try await post(
            "lock", Self.lock(id, ttl: ttl, timeout: timeout, priority: priority, request: request, more: more))
    }

    /// A lock call that waits by itself.
    func waiting(
        _ id: String, ttl: Double? = nil, timeout: Double? = nil, priority: Int? = nil, request: String? = nil
    ) -> Task<Answer, any Error> {
        Task { try await self.lock(id, ttl: ttl, timeout: timeout, priority: priority, request: request) }
    }

    /// Takes a unit that is free, or becomes so.
    func acquire(_ id: String, ttl: Double? = nil, request: String? = nil) async throws -> Answer {
        let answer = try await lock(id, ttl: ttl, request: request)
        guard answer.isAcquired else { throw NotAcquired(answer: answer) }
        return answer
    }

    struct NotAcquired: Error, CustomStringConvertible {
        let answer: Answer
        var description: String { "not acquired: \(answer)" }
    }

    @discardableResult
    func unlock(_ token: String) async throws -> Answer { try await post("unlock", #"{"token":"\#(token)"}"#) }

    func unlock(id: String) async throws -> Answer {
        var writer = JSONWriter()
        writer.object { $0.member("id", id) }
        return try await post("unlock", String(decoding: writer.bytes, as: UTF8.self))
    }

    func renew(_ token: String) async throws -> Answer { try await post("renew", #"{"token":"\#(token)"}"#) }

    // MARK: Bare sockets

    /// A lock call on a socket of its own, whose client can be killed.
    func bareLock(_ body: String) throws -> Wire {
        let wire = try Wire.connect(port: port)
        wire.send(
            "POST /v1/gpu/lock HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return wire
    }

    // MARK: Conditions

    func expectQueued(_ holders: [String], within: Duration = .seconds(10)) async throws {
        try await eventually("these wait", within: within, is: holders) { try await self.status().queued }
    }

    func expectQueueDepth(_ depth: Int, within: Duration = .seconds(20)) async throws {
        try await eventually("so many wait", within: within, is: depth) { try await self.status().queueDepth }
    }

    func expectOwner(_ owner: String?, within: Duration = .seconds(10)) async throws {
        try await eventually("who holds", within: within, is: owner) { try await self.status().owner }
    }

    // MARK: Events

    /// Follows the events until the feed is cancelled or the stream ends.
    func follow(after id: String? = nil, types: String? = nil) async throws -> EventTail {
        let tail = EventTail()
        let path = "/v1/gpu/events" + (types.map { "?type=\($0)" } ?? "")
        var headers = HTTPHeaders()
        if let id { headers["Last-Event-ID"] = id }
        let (client, endpoint) = (client, endpoint)
        let fixed = headers
        tail.task.withLock {
            $0 = Task {
                _ = try? await client.stream(
                    path, from: endpoint, headers: fixed, timeout: .seconds(10), silence: .seconds(60)
                ) {
                    tail.isOpen.withLock { $0 = true }
                } onEvent: { event in
                    tail.add(event)
                }
                tail.isOver.withLock { $0 = true }
            }
        }
        try await eventually("the stream of events is open") { tail.isOpen.withLock { $0 } }
        return tail
    }
}

/// Events as a client has got them.
final class EventTail: Sendable {
    struct Event: Sendable, CustomStringConvertible {
        var id: String
        var body: JSONObject
        var type: String { body["type"]?.string ?? "" }
        func word(_ name: String) -> String { body[name]?.string ?? "" }
        var description: String { "\(id) \(type) \(word("holder"))" }
    }

    private let came = Mutex<[Event]>([])
    fileprivate let task = Mutex<Task<Void, Never>?>(nil)
    fileprivate let isOpen = Mutex(false)
    fileprivate let isOver = Mutex(false)

    var events: [Event] { came.withLock { $0 } }
    var hasEnded: Bool { isOver.withLock { $0 } }

    fileprivate func add(_ event: ServerSentEvent) {
        let body = (try? JSONParser.parse(Array(event.data.utf8)))?.object ?? JSONObject()
        came.withLock { $0.append(Event(id: event.id, body: body)) }
    }

    func end() { task.withLock { $0?.cancel() } }
}
