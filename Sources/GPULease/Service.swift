import EventLoop
import HTTP
import JSON
import Telemetry

/// The coordinators of a pool, one of which is asked until it fails, and the leases that are held from them.
///
/// It owns the loop's thread, which ends with it. Whoever waits for something on the loop holds this object.
actor Service {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// One coordinator's answer, whatever its status.
    struct Answer: Sendable {
        var status: Int
        var body: JSONObject
        var retryAfter: Duration?
        /// Who gave it.
        var coordinator: Int

        init(_ response: HTTPResponse, of coordinator: Int) {
            status = response.status
            self.coordinator = coordinator
            retryAfter = response.headers["Retry-After"].flatMap { Int64($0) }.map { .seconds(max(0, $0)) }
            do throws(JSONError) {
                body = try JSONParser.parse(response.body).object ?? [:]
            } catch {
                body = [:]  // a proxy's page: its status says enough
            }
        }
    }

    /// How long a question that is answered at once may take.
    static let callTimeout = Duration.seconds(10)

    nonisolated let loop: EventLoop
    nonisolated let http: HTTPClient
    nonisolated let endpoints: [HTTPEndpoint]
    private nonisolated let token: Secret<String>?
    /// Whom to ask.
    private(set) var coordinator = 0
    private var keepers: [String: LeaseKeeper] = [:]
    /// One stream of events a pool that a lease is held in; "" is the coordinator's first.
    private var following: [String: Task<Void, Never>] = [:]

    init(endpoints: [HTTPEndpoint], token: Secret<String>?, trusting certificates: String?) throws(LoopError) {
        precondition(!endpoints.isEmpty, "a pool has a coordinator")
        self.endpoints = endpoints
        self.token = token
        loop = try EventLoop.onOwnThread()
        http = HTTPClient(loop: loop, trusting: certificates)
    }

    deinit {
        http.close()
        loop.stop()
    }

    // MARK: Calls

    /// Runs `work` on the loop; cancelling the calling task cancels it.
    nonisolated func run<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) async -> Value {
        let task = Task(executorPreference: loop, operation: work)
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Calls whoever is asked at present.
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSONObject? = nil, timeout: Duration = Service.callTimeout
    ) async throws(HTTPError) -> Answer {
        let asked = coordinator
        let response = try await http.send(
            method, path, to: endpoints[asked], headers: headers(hasBody: body != nil),
            body: body.map { JSONValue.object($0).encoded() } ?? [], timeout: timeout)
        return Answer(response, of: asked)
    }

    /// Asks the next one from now on, unless somebody has turned away from this one already.
    func turnAway(from failed: Int) {
        if failed == coordinator { coordinator = (failed + 1) % endpoints.count }
    }

    /// Asks each coordinator at most once, until one has an answer that is not its own trouble.
    func ask(_ method: HTTPMethod, _ path: String, _ body: JSONObject? = nil) async -> Result<JSONObject, LeaseError> {
        var trouble = ""
        for _ in endpoints {
            let asked = coordinator
            do throws(HTTPError) {
                let answer = try await call(method, path, body)
                if answer.status == 200 { return .success(answer.body) }
                if let mistake = answer.mistake { return .failure(mistake) }
                trouble = answer.message ?? Texts.odd(answer.status)
            } catch {
                if error.kind == .cancelled { return .failure(LeaseError(.cancelled, Texts.callCancelled)) }
                trouble = error.message
            }
            turnAway(from: asked)
        }
        return .failure(LeaseError(.unreachable, Texts.unreachable(trouble)))
    }

    nonisolated func headers(hasBody: Bool) -> HTTPHeaders {
        var headers: HTTPHeaders = [:]
        if hasBody { headers.add("Content-Type", "application/json") }
        if let token { headers.add("Authorization", "Bearer \(token.revealed)") }
        return headers
    }

    /// Gives a lease back by its token, which may be said again and again, until a coordinator has answered.
    ///
    /// - Returns: False where none answered in `patience`; the lease ends by its own deadline then.
    func release(_ token: Secret<String>, patience: Duration) async -> Bool {
        let end = ContinuousClock.now + patience
        var failures = 0
        repeat {
            let asked = coordinator
            let left = max(.milliseconds(100), end - ContinuousClock.now)
            do throws(HTTPError) {
                let answer = try await call(
                    .post, "/v1/gpu/unlock", ["token": .string(token.revealed)], timeout: min(.seconds(2), left))
                if answer.status < 500 { return answer.status == 200 }
            } catch {
                if error.kind == .cancelled { return false }
            }
            turnAway(from: asked)
            failures += 1
            await loop.sleep(for: min(Self.backOff(after: failures), max(.zero, end - ContinuousClock.now)))
        } while ContinuousClock.now < end
        return false
    }

    /// Longer from failure to failure, with chance in it, so that a crowd does not come back at one moment.
    static func backOff(after failures: Int) -> Duration {
        let longest = min(.seconds(5), Duration.milliseconds(100) * (1 << min(failures, 6)))
        return longest * (0.5 + Double(SecureRandom.bytes(1)[0]) / 510)
    }

    // MARK: Leases held

    /// Every way in which a lease can end; `renewed` and the like would only cost.
    private static let endings = [
        "ending", "released", "expired", "revoked", "reset", "preempted", "force-released", "cancelled", "lost",
        "duplicate",
    ]
    /// Somebody asks for its unit, or does so no more.
    private static let wishes = ["preempting", "spared"]
    /// A lease that is given back within this is not worth a stream.
    private static let followedAfter = Duration.milliseconds(250)
    /// The coordinator says something every 10 s.
    static let streamSilence = Duration.seconds(25)

    /// Keeps it alive, and tells it of its lease's end, until `dropped`.
    func held(_ keeper: LeaseKeeper, _ lease: String) {
        keepers[lease] = keeper
        let pool = keeper.pool
        guard following[pool] == nil else { return }
        following[pool] = loop.spawn { await self.follow(pool) }
    }

    func dropped(_ lease: String) {
        guard let pool = keepers.removeValue(forKey: lease)?.pool, !keepers.values.contains(where: { $0.pool == pool })
        else { return }
        following.removeValue(forKey: pool)?.cancel()
    }

    /// Follows the events of a pool while leases of it are held. Renewals are the authority; events only come sooner.
    private func follow(_ pool: String) async {
        await loop.sleep(for: Self.followedAfter)
        let path =
            "/v1/gpu/events?type=" + (Self.endings + Self.wishes).joined(separator: ",")
            + (pool.isEmpty ? "" : "&pool=" + percentEncoded(pool))
        var failures = 0
        while !Task.isCancelled {
            let asked = coordinator
            let began = ContinuousClock.now
            do throws(HTTPError) {
                _ = try await http.stream(
                    path, from: endpoints[asked], headers: headers(hasBody: false), timeout: .seconds(5),
                    silence: Self.streamSilence,
                    onOpen: { [weak self] in self?.assumeIsolated { $0.renewAll(of: pool) } },
                    onEvent: { [weak self] event in self?.assumeIsolated { $0.happened(event) } })
            } catch {
                if error.kind != .cancelled { turnAway(from: asked) }
            }
            failures = ContinuousClock.now - began > .seconds(10) ? 0 : failures + 1
            await loop.sleep(for: Self.backOff(after: failures))
        }
    }

    /// What ended before the stream was open is told by a renewal.
    private func renewAll(of pool: String) {
        for keeper in keepers.values where keeper.pool == pool { keeper.assumeIsolated { $0.renewSoon() } }
    }

    private func happened(_ event: ServerSentEvent) {
        guard let event = GPUEvent(event), let lease = event.lease, let keeper = keepers[lease] else { return }
        switch event.type {
        case "preempting": return keeper.assumeIsolated { $0.wanted(Preemption(event)) }
        case "spared": return keeper.assumeIsolated { $0.wanted(nil) }
        default: break
        }
        let word = event.type == "ending" ? event["reason"] ?? event.type : event.type
        let reason: LeaseError.LossReason =
            switch word {
            case "expired": .expired
            case "released": .released
            case "force-released": .forceReleased
            case "preempted": .preempted
            case "revoked", "reset", "ending": .revoked
            default: .lost
            }
        let text = Texts.ended(lease, reason, by: event.by, why: event.why)
        keeper.assumeIsolated { $0.lose(LeaseError(.lost(reason, by: event.by, why: event.why), text)) }
    }
}

/// A text as a piece of a path.
func percentEncoded(_ text: String) -> String {
    var encoded: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            encoded.append(byte)
        default: encoded += Array("%\(Digest.hex([byte]))".utf8)
        }
    }
    return String(decoding: encoded, as: UTF8.self)
}
