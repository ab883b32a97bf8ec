import EventLoop
import HTTP
import JSON
import Telemetry

/// A lock call that keeps its place: lost connections and coordinators that stop are answered by the same call again.
struct LockCall: Sendable {
    private let service: Service
    private let surroundings: Surroundings
    private let members: JSONObject
    private let timeout: Duration
    /// Names the request at every coordinator.
    let requestID: String

    /// How long a service that went away in between is looked for.
    static let reconnecting = Duration.seconds(30)
    /// What an answer may take beyond the wait that was asked for.
    private static let allowance = Duration.seconds(15)

    /// - Parameter members: Those of the call without `timeout` and `request_id`.
    init(_ members: JSONObject, timeout: Duration, service: Service, surroundings: Surroundings) {
        self.members = members
        self.timeout = timeout
        self.service = service
        self.surroundings = surroundings
        requestID = SecureRandom.randomHex(bytes: 16)
    }

    /// What came of a wait that did not fail.
    enum Outcome: Sendable { case granted(Grant), givenUp(Signals.Signal) }

    /// Waits for a unit, until a signal comes, and shows how the wait goes.
    func run() async throws(Failure) -> Outcome {
        let result = await surroundings.interruptions.cancelling { () -> Result<Grant, Failure> in
            do throws(Failure) {
                return .success(try await wait())
            } catch {
                return .failure(error)
            }
        }
        guard let signal = await surroundings.interruptions.first else { return .granted(try result.get()) }
        if case .success(let grant) = result {
            _ = await LeaseKeeper.release(grant.token, service: service)
        } else {
            await giveUp()
        }
        surroundings.error.line("leasehold: " + Texts.gaveUp)
        return .givenUp(signal)
    }

    /// A request that has a name keeps its place for some seconds after its connection has closed. Asked again with
    /// next to no patience it ends at once (with none at all a unit may still be looked for).
    private func giveUp() async {
        let body = body(.milliseconds(10))
        guard let answer = try? await service.call(.post, "/v1/gpu/lock", body, timeout: .seconds(2)),
            answer.isOK, let token = answer.body.text("token")
        else { return }
        _ = await LeaseKeeper.release(Secret(token), service: service)
    }

    /// Cancelling the task ends the wait, and keeps the place.
    private func wait() async throws(Failure) -> Grant {
        let progress = WaitProgress(requestID: requestID, service: service, surroundings: surroundings)
        let watching = surroundings.loop.spawn { await progress.follow() }
        let outcome = await attempts(progress)
        watching.cancel()
        await watching.value
        await progress.clear()
        return try outcome.get()
    }

    private func attempts(_ progress: WaitProgress) async -> Result<Grant, Failure> {
        let loop = surroundings.loop
        let end = loop.now + timeout
        var lostAt: Duration?
        var pause = Duration.milliseconds(200)
        while true {
            let sentAt = loop.now
            let left = max(.zero, end - sentAt)
            do throws(HTTPError) {
                let answer = try await service.call(.post, "/v1/gpu/lock", body(left), timeout: left + Self.allowance)
                if answer.isOK {
                    guard let grant = Grant(answer.body, sentAt: sentAt) else {
                        return .failure(Failure(.unavailable, Texts.oddAnswer(service.endpoint)))
                    }
                    return .success(grant)
                }
                if answer.word == "timeout" {
                    let text = Texts.timedOut(timeout, answer.body.text("reason"))
                    return .failure(Failure(.negative, text, document: Document.pretty(.object(answer.body))))
                }
                guard Self.isPassing(answer), timeout > .zero, left > .zero else {
                    return .failure(service.failure(answer))
                }
                lostAt = lostAt ?? loop.now
                if let after = answer.retryAfter { pause = min(max(after, pause), .seconds(5)) }
            } catch {
                // Nothing was ever heard of this service: it is not there, rather than gone for a moment.
                let isPassing = error.kind == .connectionLost || (error.kind == .cannotConnect && lostAt != nil)
                guard isPassing, timeout > .zero else { return .failure(service.failure(error)) }
                lostAt = lostAt ?? loop.now
                if loop.now - (lostAt ?? loop.now) > Self.reconnecting { return .failure(service.failure(error)) }
            }
            guard loop.now < end else { return .failure(Failure(.negative, Texts.timedOut(timeout, nil))) }
            await progress.interrupted()
            await loop.sleep(for: pause)
            guard !Task.isCancelled else {
                return .failure(service.failure(HTTPError(.cancelled, "the wait was given up")))
            }
            // A connection that stood for a while and breaks again is a new loss.
            if loop.now - sentAt > Self.reconnecting { lostAt = loop.now }
            pause = min(pause * 2, .seconds(2))
        }
    }

    private func body(_ left: Duration) -> JSONObject {
        var body = members
        body["timeout"] = .number(left / .seconds(1))
        body["request_id"] = .string(requestID)
        return body
    }

    /// Whether the same call, sent again, keeps its place.
    private static func isPassing(_ answer: Service.Answer) -> Bool {
        answer.status == 503 && (answer.word == "shutting_down" || answer.word == "unavailable")
            || answer.status == 502 || answer.status == 504
    }
}
