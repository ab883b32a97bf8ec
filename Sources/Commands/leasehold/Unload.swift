import EventLoop
import HTTP
import JSON
import Settings

extension Command {
    static let unload = Command(
        "unload", .leases,
        "Has a model server give its GPU memory back: in its own words, for --preempt-command.",
        operands: "ollama|comfyui|vllm", options: UnloadOptions.all, callsService: false,
        examples: [
            "leasehold run --on-preempt none --preempt-command 'leasehold unload vllm' -- vllm serve ...":
                "Sleeps when a voice needs the GPU.",
            "leasehold lock ollama --hold --preempt-command 'leasehold unload ollama'":
                "Holds the GPU for a server that runs anyway.",
        ],
        notes: [
            "ollama: every loaded model, or those of --model, by keep_alive 0. comfyui: /free, which takes effect when the "
                + "prompt that runs has ended; --interrupt ends that. vllm: /sleep, which it has with --enable-sleep-mode and "
                + "VLLM_SERVER_DEV_MODE=1 only; POST /wake_up wakes it.",
            "Waits until the server says that it is done. Whether the driver has the memory back by then is the server's word.",
        ]
    ) { (given, surroundings) throws(Failure) in
        let app: ModelServer
        switch try given.operand(of: "unload") {
        case "ollama": app = .ollama
        case "comfyui": app = .comfyUI
        case "vllm": app = .vLLM
        default:
            throw Failure(.usage, Texts.missing("a server's kind", "unload", "leasehold unload ollama|comfyui|vllm"))
        }
        return try await Unloading(app, given, surroundings).run()
    }
}

enum UnloadOptions {
    static let server = Option.text(
        "server", "URL",
        standard: .described("http://127.0.0.1 and the server's usual port: 11434, 8188, 8000"),
        help: "Where the server listens.", places: .flag)
    static let models = Option.list("model", "NAME", help: "ollama: only this model.", places: .flag)
    static let interrupt = Option.flag(
        "interrupt", help: "comfyui: end the prompt that runs; those that wait stay in its queue.", places: .flag)
    static let level = Option<Int64>.choice(
        "level", "LEVEL", ["1": 1, "2": 2], standard: "1",
        help: "vllm: 1 keeps the weights in main memory, 2 drops them.", places: .flag)
    static let within = Option.seconds(
        "within", in: .zero...(.seconds(3600)),
        help:
            "How long to wait for it. Without it LEASEHOLD_RELEASE_WITHIN tells, which --preempt-command sets; else 30.",
        places: .flag)

    static let all = [server.entry, models.entry, interrupt.entry, level.entry, within.entry]
}

/// A program that holds models on a GPU and can be asked to let go of them.
enum ModelServer: String {
    case ollama, comfyUI, vLLM

    var usualPort: Int {
        switch self {
        case .ollama: 11434
        case .comfyUI: 8188
        case .vLLM: 8000
        }
    }
}

/// One `leasehold unload`.
private struct Unloading: Sendable {
    private let app: ModelServer
    private let server: Service
    private let surroundings: Surroundings
    private let models: [String]
    private let interrupts: Bool
    private let level: Int64
    private let end: Duration

    /// How often the server is asked whether it is done.
    private static let pause = Duration.milliseconds(100)

    init(_ app: ModelServer, _ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.app = app
        self.surroundings = surroundings
        let address = try given.optional(UnloadOptions.server) ?? "http://127.0.0.1:\(app.usualPort)"
        do throws(HTTPError) {
            let endpoint = try HTTPEndpoint(parsing: address)
            server = Service(client: HTTPClient(loop: surroundings.loop), endpoint: endpoint, token: nil)
        } catch {
            throw given.refuse(UnloadOptions.server, want: error.message)
        }
        models = try given.list(UnloadOptions.models)
        interrupts = try given.isOn(UnloadOptions.interrupt)
        level = try given.value(UnloadOptions.level)
        let told = surroundings.environment["LEASEHOLD_RELEASE_WITHIN"].flatMap { Double($0) } ?? 30
        let within = try given.optional(UnloadOptions.within) ?? .seconds(max(0, min(told, 3600)))
        end = surroundings.loop.now + within
    }

    func run() async throws(Failure) -> ExitCode {
        switch app {
        case .ollama: try await unloadOllama()
        case .comfyUI: try await freeComfyUI()
        case .vLLM: try await sleepVLLM()
        }
        surroundings.output.line(Texts.unloaded(server.endpoint))
        return .done
    }

    private func unloadOllama() async throws(Failure) {
        let loaded = try await loadedModels()
        for model in models.isEmpty ? loaded : models {
            let body: JSONObject = ["model": .string(model), "keep_alive": .integer(0), "stream": .bool(false)]
            try await call(.post, "/api/generate", body)
        }
        // What is loaded meanwhile for a request that waited is not what was asked for.
        let asked = Set(models.isEmpty ? loaded : models)
        try await wait { () throws(Failure) in asked.isDisjoint(with: try await loadedModels()) }
    }

    private func loadedModels() async throws(Failure) -> [String] {
        try await call(.get, "/api/ps").objects("models").compactMap { $0.text("name") }
    }

    private func freeComfyUI() async throws(Failure) {
        try await call(.post, "/free", ["unload_models": .bool(true), "free_memory": .bool(true)])
        if interrupts { try await call(.post, "/interrupt") }
        try await wait { () throws(Failure) in try await call(.get, "/queue")["queue_running"]?.array?.isEmpty == true }
    }

    private func sleepVLLM() async throws(Failure) {
        try await call(.post, "/sleep?level=\(level)")
        try await wait { () throws(Failure) in try await call(.get, "/is_sleeping").isTrue("is_sleeping") }
    }

    @discardableResult
    private func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONObject? = nil
    ) async throws(Failure) -> JSONObject {
        let left = max(.seconds(1), end - surroundings.loop.now)
        do throws(HTTPError) {
            let answer = try await server.call(method, path, body, timeout: left)
            guard answer.isOK else {
                throw HTTPError(.badAnswer, "\(method.rawValue) \(path) was answered \(answer.status)")
            }
            return answer.body
        } catch {
            throw Failure(.unavailable, Texts.serverFailed(error.message))
        }
    }

    private func wait(until isDone: () async throws(Failure) -> Bool) async throws(Failure) {
        while try await !isDone() {
            guard surroundings.loop.now < end else { throw Failure(.negative, Texts.notUnloaded(server.endpoint)) }
            await surroundings.loop.sleep(for: Self.pause)
        }
    }
}
