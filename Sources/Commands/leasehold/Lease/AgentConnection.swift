import EventLoop
import HTTP
import JSON

/// Tells this machine's agent what runs under a lease, and stays connected: so that ends with the lease and with this
/// program, whatever becomes of them, and the agent can say what is asked of it.
struct AgentConnection: Sendable {
    /// How it came to an end.
    enum End: Sendable {
        /// What ran is gone, or nobody wants to know any more.
        case over
        /// The agent does not watch it, from the beginning.
        case refused(String)
        case unreachable(String)
    }

    let socket: String
    let loop: EventLoop
    private let body: JSONObject

    /// How long the agent may say nothing before its connection counts as lost: it says something every 10 s.
    private static let silence = Duration.seconds(30)

    /// - Parameter adopts: The process was not started for this lease.
    init(socket: String, grant: Grant, process: Int32, adopts: Bool = false, loop: EventLoop) {
        self.socket = socket
        self.loop = loop
        var body: JSONObject = [
            "token": .string(grant.token.revealed), "pid": .integer(Int64(process)),
            "keeper": .integer(Int64(Environment.processID)),
        ]
        if adopts { body["adopt"] = .bool(true) }
        self.body = body
    }

    /// Returns when the process is gone, or the agent did not take it in the first place. An agent that is stopped and
    /// started again is told again.
    ///
    /// - Parameters:
    ///   - isRunning: Whether the process lives.
    ///   - onOpen, onEvent: Called on the loop.
    func follow(
        while isRunning: @Sendable () async -> Bool, onOpen: @escaping @Sendable () -> Void,
        onEvent: @escaping @Sendable (ServerSentEvent) -> Void
    ) async -> End {
        let agent = HTTPClient(loop: loop)
        defer { agent.close() }
        let opened = Opened(loop: loop)
        while await isRunning() {
            do throws(HTTPError) {
                let response = try await agent.stream(
                    "/v1/agent/processes", from: .unix(path: socket), body: JSONValue.object(body).encoded(),
                    timeout: .seconds(5), silence: Self.silence,
                    onOpen: {
                        opened.assumeIsolated { $0.isOpened = true }
                        onOpen()
                    }, onEvent: onEvent)
                if response.status != 200 {
                    guard await !opened.isOpened, await isRunning() else { return .over }
                    let message =
                        (try? JSONParser.parse(response.body))?.object?.text("msg") ?? "status \(response.status)"
                    return .refused(message)
                }
            } catch {
                guard error.kind != .cancelled, await isRunning() else { return .over }
                if await !opened.isOpened { return .unreachable(error.message) }
            }
            await loop.sleep(for: .seconds(1))
            if Task.isCancelled { return .over }
        }
        return .over
    }

    private actor Opened {
        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }
        private let loop: EventLoop
        var isOpened = false
        init(loop: EventLoop) { self.loop = loop }
    }
}
