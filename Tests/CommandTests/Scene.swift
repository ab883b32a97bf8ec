import EventLoop
import HTTP
import JSON
import Synchronization
import TestSupport
import Testing

@testable import leasehold

/// What a command has written and how it ended.
struct Ended: Equatable, Sendable {
    var code: Int32
    var output: String
    var error: String
}

/// A command line with its own variables and, where a test wants one, a service whose answers the test decides.
final class Scene: Sendable {
    let loop: EventLoop
    let written = Mutex((output: "", error: ""))
    let requests = Mutex<[(path: String, body: JSONObject)]>([])
    let interruptions: Interruptions
    private let listening = Mutex<Int?>(nil)
    private let authorizations = Mutex<[String]>([])

    /// Of the service; one where nobody listens where there is none.
    var port: Int { listening.withLock { $0 } ?? 9 }
    /// The headers that said who calls.
    var tokens: [String] { authorizations.withLock { $0 } }

    init(loop: EventLoop) {
        self.loop = loop
        interruptions = Interruptions(loop: loop, of: .caller)
    }

    /// What the service says to a path, the calls of that path counted from 0; nil hangs up.
    typealias Answers = @Sendable (_ path: String, _ body: JSONObject, _ count: Int) -> (Int, JSONObject)?

    func serve(_ answers: @escaping Answers) async throws -> HTTPServer {
        let counts = Mutex<[String: Int]>([:])
        return try await loop.run {
            let server = HTTPServer(loop: self.loop, log: .silent) { request, exchange in
                let body = (try? JSONParser.parse(request.body))?.object ?? [:]
                self.requests.withLock { $0.append((request.path, body)) }
                if let token = request.headers["Authorization"] {
                    self.authorizations.withLock { $0.append(token) }
                }
                let count = counts.withLock { counts in
                    defer { counts[request.path, default: 0] += 1 }
                    return counts[request.path, default: 0]
                }
                guard let (status, answer) = answers(request.path, body, count) else {
                    let waiting = exchange  // held until the client goes
                    exchange.onClientGone = { _ = waiting }
                    return
                }
                exchange.respond(HTTPResponse(status: status, json: JSONValue.object(answer).encoded()))
            }
            let port = try server.listen(host: "127.0.0.1", port: 0)
            self.listening.withLock { $0 = port }
            return server
        }
    }

    func surroundings(
        _ environment: [String: String] = [:], terminal: Terminal.Size? = nil, input: [String]? = nil
    ) -> Surroundings {
        var environment = environment
        if environment["LEASEHOLD_URL"] == nil {
            environment["LEASEHOLD_URL"] = "http://127.0.0.1:\(port)"
        }
        let lines = Mutex(input ?? [])
        return Surroundings(
            loop: loop, environment: environment,
            output: .init(
                write: { text in self.written.withLock { $0.output += text } }, isTerminal: terminal != nil,
                hasColours: terminal != nil),
            error: .init(
                write: { text in self.written.withLock { $0.error += text } }, isTerminal: terminal != nil,
                hasColours: terminal != nil),
            interruptions: interruptions,
            readLine: { lines.withLock { $0.isEmpty ? nil : $0.removeFirst() } }, canAsk: input != nil,
            size: { terminal })
    }

    func run(
        _ arguments: [String], _ environment: [String: String] = [:], terminal: Terminal.Size? = nil,
        input: [String]? = nil
    ) async -> Ended {
        written.withLock { $0 = ("", "") }
        let surroundings = surroundings(environment, terminal: terminal, input: input)
        let code = await withCheckedContinuation { continuation in
            loop.spawn { continuation.resume(returning: await Program.perform(arguments, surroundings)) }
        }
        let (output, error) = written.withLock { $0 }
        return Ended(code: code.number, output: output, error: error)
    }

    /// Runs a command beside `body`, and on until it ends by itself; a `body` that fails ends it.
    func run(
        _ arguments: [String], _ environment: [String: String] = [:], terminal: Terminal.Size? = nil,
        while body: () async throws -> Void
    ) async throws -> Ended {
        async let running = run(arguments, environment, terminal: terminal)
        do {
            try await body()
        } catch {
            await interruptions.heard(.terminate)
            _ = await running
            throw error
        }
        return await running
    }

    var output: String { written.withLock { $0.output } }
    var error: String { written.withLock { $0.error } }
    var asked: [String] { requests.withLock { $0.map(\.path) } }
    func bodies(of path: String) -> [JSONObject] {
        requests.withLock { $0.filter { $0.path == path }.map(\.body) }
    }
}

func withScene<Result: Sendable>(
    _ answers: Scene.Answers? = nil, _ body: @Sendable (Scene) async throws -> Result
) async throws -> Result {
    try await withLoop { loop in
        let scene = Scene(loop: loop)
        guard let answers else { return try await body(scene) }
        let server = try await scene.serve(answers)
        do {
            let result = try await body(scene)
            await server.shutDown(grace: .zero)
            return result
        } catch {
            await server.shutDown(grace: .zero)
            throw error
        }
    }
}

/// Answers as docs/http.md has them.
enum Sample {
    static let lease = "node1/0#1764000000000000"
    static let token = lease + ".5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c"

    /// - Parameter expires: How long it stands; longer than its time, so that a test that renews often has no haste.
    static func granted(_ id: String, ttl: Double = 120, expires: Double? = nil) -> JSONObject {
        [
            "status": .string("acquired"), "token": .string(token), "lease": .string(lease),
            "fencing_token": .integer(1_764_000_000_000_000), "unit": .string("node1/0"), "kind": .string("gpu"),
            "host": .string("node1"), "holder": .string(id), "ttl": .number(ttl),
            "expires_in": .number(expires ?? ttl - min(1, ttl / 4)), "waited_ms": .integer(12), "request_id": .null,
            "env": .object(["CUDA_VISIBLE_DEVICES": .string("GPU-1234")]),
        ]
    }

    static func error(_ word: String, _ message: String) -> JSONObject {
        ["error": .string(word), "msg": .string(message)]
    }

    static func status(units: Int = 2, waiters: Int = 1, holder: String = "Root-Mic") -> JSONObject {
        let unitList = (0..<units).map { index -> JSONValue in
            let isHeld = index == 0
            return .object([
                "unit": .string("node1/\(index)"), "host": .string("node1"), "kind": .string("gpu"),
                "state": .string(isHeld ? "held" : "free"), "lease": isHeld ? .string(lease) : .null,
                "holder": isHeld ? .string(holder) : .null, "name": .string("NVIDIA GeForce RTX 4090"),
                "type": .string("discrete"), "vram_mb": .integer(25_757),
            ])
        }
        let waiterList = (0..<waiters).map { index -> JSONValue in
            .object([
                "ticket": .string("t-\(index)"), "holder": .string("Dream-\(index)"), "priority": .integer(20),
                "selector": .string("gpu/any"), "position": .integer(Int64(index + 1)), "waited_ms": .integer(65_000),
                "expected_wait_ms": index == 0 ? .integer(41_000) : .null,
            ])
        }
        return [
            "locked": .bool(units < 2), "owner": .string(holder), "queue_depth": .integer(Int64(waiters)),
            "queued": .array(waiterList.compactMap { $0.object?["holder"] }),
            "request_start_times": .object([:]), "pool": .string("default"), "scope": .string("pool"),
            "version": .string("0.1.0"), "degraded": .bool(false),
            "hosts": .array([
                .object(["host": .string("node1"), "present": .bool(true), "cordoned": .bool(false)])
            ]),
            "units": .array(unitList),
            "leases": .array([
                .object([
                    "lease": .string(lease), "unit": .string("node1/0"), "holder": .string(holder),
                    "priority": .integer(0), "expires_in": .number(93.4), "held_ms": .integer(26_600),
                ])
            ]),
            "waiters": .array(waiterList),
        ]
    }
}

/// The one JSON object that a text is; nil for anything else.
func document(_ text: String) -> JSONObject? { (try? JSONParser.parse(Array(text.utf8)))?.object }
