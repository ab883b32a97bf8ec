import EventLoop
import HTTP
import JSON

/// The checks of `leasehold selftest`.
struct SelftestChecks: Sendable {
    let service: Service
    let surroundings: Surroundings

    /// What is asked of every answer of status: name, and what it must be.
    private static let members: [(name: String, isRight: @Sendable (JSONValue) -> Bool, want: String)] = [
        ("locked", { $0.bool != nil }, "true or false"),
        ("owner", { $0.string != nil || $0 == .null }, "a text or null"),
        ("queue_depth", { ($0.integer ?? -1) >= 0 }, "a number"),
        ("queued", { $0.array?.allSatisfy { $0.string != nil } == true }, "a list of texts"),
        ("request_start_times", { $0.object != nil }, "an object"),
        ("pool", { $0.string != nil }, "a text"),
        ("degraded", { $0.bool != nil }, "true or false"),
        ("hosts", { $0.array != nil }, "a list"), ("units", { $0.array != nil }, "a list"),
        ("leases", { $0.array != nil }, "a list"), ("waiters", { $0.array != nil }, "a list"),
    ]

    func run() async -> [Check] {
        var checks = [await check("health") { try await health() }]
        guard !checks[0].hasFailed else { return checks }
        checks.append(await check("ready") { try await ready() })
        checks.append(await check("status") { try await status() })
        checks.append(await check("tokens") { try await tokens() })
        checks.append(await check("wrong input") { try await wrongInput() })
        checks.append(await check("wrong path") { try await wrongPath() })
        checks.append(await check("events") { try await events() })
        checks += await leases()
        return checks
    }

    /// What a check finds wrong.
    private struct Wrong: Error { let text: String }

    private func check(_ name: String, _ body: () async throws -> Check.Outcome) async -> Check {
        let began = surroundings.loop.now
        let outcome: Check.Outcome
        do {
            outcome = try await body()
        } catch let error as HTTPError {
            outcome = .failed(Texts.unanswered(error, service.endpoint))
        } catch let error as Wrong {
            outcome = .failed(error.text)
        } catch {
            outcome = .failed("\(error)")
        }
        return Check(name: name, outcome: outcome, took: surroundings.loop.now - began)
    }

    private func expect(_ answer: Service.Answer, _ status: Int, _ what: String) throws {
        guard answer.status == status else {
            let message = answer.body.text("msg").map { " (\($0))" } ?? ""
            throw Wrong(text: Texts.wrongStatus(what, answer.status, want: status) + message)
        }
    }

    // MARK: What needs no GPU

    private func health() async throws -> Check.Outcome {
        let answer = try await service.call(.get, "/health")
        try expect(answer, 200, "GET /health")
        guard answer.body.text("status") == "ok" else { throw Wrong(text: Texts.oddAnswer(service.endpoint)) }
        return .passed(answer.body.text("version").map { "version \($0)" } ?? "")
    }

    private func ready() async throws -> Check.Outcome {
        let answer = try await service.call(.get, "/ready")
        try expect(answer, 200, "GET /ready")
        return .passed("Redis is connected and the copy of the pool current")
    }

    private func status() async throws -> Check.Outcome {
        let answer = try await service.call(.get, "/v1/gpu/status")
        guard answer.status != 401, answer.status != 403 else { throw Wrong(text: refusal(answer)) }
        try expect(answer, 200, "GET /v1/gpu/status")
        for member in Self.members {
            guard let value = answer.body[member.name], member.isRight(value) else {
                throw Wrong(text: Texts.wrongMember(member.name, want: member.want))
            }
        }
        if answer.body.isTrue("degraded") {
            throw Wrong(text: Texts.degraded(answer.body.text("degraded_reason")))
        }
        let gpus = answer.body.objects("units").count { $0.text("kind") == "gpu" }
        guard gpus > 0 else { return .noted(Texts.noGPUs) }
        return .passed("\(Words.count(Int64(gpus), "GPU")), \(answer.body.integer("queue_depth") ?? 0) waiting")
    }

    private func tokens() async throws -> Check.Outcome {
        let nobody = Service(client: service.client, endpoint: service.endpoint, token: nil, pool: service.pool)
        let without = try await nobody.call(.get, "/v1/gpu/status")
        guard without.status == 401 else {
            try expect(without, 200, "GET /v1/gpu/status without a token")
            return .noted(Texts.noTokens)
        }
        let stranger = Service(
            client: service.client, endpoint: service.endpoint,
            token: .init("leasehold-selftest-\(SecureRandom.randomHex(bytes: 8))"), pool: service.pool)
        try expect(await stranger.call(.get, "/v1/gpu/status"), 401, "GET /v1/gpu/status with a wrong token")
        return .passed("calls without a token or with a wrong one are refused")
    }

    private func wrongInput() async throws -> Check.Outcome {
        let answer = try await service.call(.post, "/v1/gpu/lock", ["id": .integer(7)])
        guard answer.status != 401, answer.status != 403 else { throw Wrong(text: refusal(answer)) }
        try expect(answer, 400, "POST /v1/gpu/lock with a number as its id")
        guard let message = answer.body.text("msg") else { throw Wrong(text: Texts.noMessage) }
        return .passed(message)
    }

    private func wrongPath() async throws -> Check.Outcome {
        let answer = try await service.call(.get, "/v1/gpu/no-such-call")
        guard answer.status != 401 else { return .passed("refused before anything else") }
        try expect(answer, 404, "GET /v1/gpu/no-such-call")
        return .passed("")
    }

    private func events() async throws -> Check.Outcome {
        let look = StreamLook(loop: surroundings.loop)
        let response = await look.open(service)
        if await look.isOpen { return .passed("the stream opens") }
        let answer = try response.get()
        let body = (try? JSONParser.parse(answer.body))?.object ?? [:]
        throw Wrong(text: refusal(Service.Answer(status: answer.status, body: body, retryAfter: nil)))
    }

    // MARK: A lease

    private func leases() async -> [Check] {
        let id = "leasehold-selftest-\(SecureRandom.randomHex(bytes: 6))"
        var grant: Grant?
        let lock = await check("lock") {
            let sentAt = surroundings.loop.now
            let answer = try await service.call(
                .post, "/v1/gpu/lock",
                [
                    "id": .string(id), "timeout": .integer(0), "ttl": .integer(10), "priority": .integer(100),
                    "request_id": .string(id),
                ])
            if answer.status == 503, answer.word == "timeout" { return .noted(Texts.busy) }
            guard answer.isOK else { throw Wrong(text: refusal(answer)) }
            guard let granted = Grant(answer.body, sentAt: sentAt), answer.body.text("status") == "acquired" else {
                throw Wrong(text: Texts.oddAnswer(service.endpoint))
            }
            grant = granted
            let left = granted.certainUntil - sentAt
            guard left > .zero, left <= granted.ttl else { throw Wrong(text: Texts.wrongTime) }
            return .passed("\(granted.unit), in \(Words.span(granted.waited)) at the service")
        }
        guard let grant else { return [lock] }
        var checks = [lock]
        checks.append(await check("request") { try await request(id) })
        checks.append(await check("renew") { try await renew(grant) })
        checks.append(await check("verify") { try await verify(grant) })
        checks.append(await check("foreign unlock") { try await foreignUnlock(grant) })
        checks.append(await check("unlock") { try await unlock(grant) })
        checks.append(await check("unlock again") { try await unlockAgain(grant) })
        return checks
    }

    /// The coordinator's copy of the pool follows its events, so that it may know of a grant a moment after the holder.
    private static let copyPatience = Duration.seconds(2)

    private func request(_ id: String) async throws -> Check.Outcome {
        let end = surroundings.loop.now + Self.copyPatience
        while true {
            let answer = try await service.call(.get, "/v1/gpu/requests/" + Service.encoded(id))
            if answer.status == 200, answer.body.text("state") == "held" { return .passed("held") }
            guard surroundings.loop.now < end else {
                try expect(answer, 200, "GET /v1/gpu/requests/ID of a held lease")
                throw Wrong(text: Texts.wrongMember("state", want: "held"))
            }
            await surroundings.loop.sleep(for: .milliseconds(50))
        }
    }

    private func renew(_ grant: Grant) async throws -> Check.Outcome {
        let answer = try await service.call(.post, "/v1/gpu/renew", ["token": .string(grant.token.revealed)])
        try expect(answer, 200, "POST /v1/gpu/renew")
        guard let left = answer.body.number("expires_in"), left > 0 else { throw Wrong(text: Texts.wrongTime) }
        return .passed("stands for \(Words.seconds(left)) s")
    }

    private func verify(_ grant: Grant) async throws -> Check.Outcome {
        let answer = try await service.call(
            .post, "/v1/gpu/verify",
            ["unit": .string(grant.unit), "fencing_token": .integer(grant.fencingToken - 1)])
        try expect(answer, 200, "POST /v1/gpu/verify with an older fencing token")
        guard !answer.body.isTrue("current") else { throw Wrong(text: Texts.staleAccepted) }
        let present = try await service.call(
            .post, "/v1/gpu/verify", ["unit": .string(grant.unit), "fencing_token": .integer(grant.fencingToken)])
        try expect(present, 200, "POST /v1/gpu/verify with the lease's fencing token")
        guard present.body.isTrue("current") else { throw Wrong(text: Texts.currentRefused) }
        return .passed("the lease's fencing token is current, an older one stale")
    }

    private func foreignUnlock(_ grant: Grant) async throws -> Check.Outcome {
        let secret = String(repeating: "0", count: 32)
        let answer = try await service.call(.post, "/v1/gpu/unlock", ["token": .string("\(grant.lease).\(secret)")])
        guard answer.body.text("status") != "released" else { throw Wrong(text: Texts.foreignUnlocked) }
        try expect(answer, 200, "POST /v1/gpu/unlock with a wrong token")
        return .passed("a wrong token frees nothing")
    }

    private func unlock(_ grant: Grant) async throws -> Check.Outcome {
        let answer = try await service.call(.post, "/v1/gpu/unlock", ["token": .string(grant.token.revealed)])
        try expect(answer, 200, "POST /v1/gpu/unlock")
        guard answer.body.text("status") == "released" else {
            throw Wrong(text: Texts.wrongMember("status", want: "released"))
        }
        return .passed("")
    }

    private func unlockAgain(_ grant: Grant) async throws -> Check.Outcome {
        let answer = try await service.call(.post, "/v1/gpu/unlock", ["token": .string(grant.token.revealed)])
        try expect(answer, 200, "POST /v1/gpu/unlock of a lease that was given back")
        guard answer.body.text("status") == "not_held" || answer.body.text("status") == "released" else {
            throw Wrong(text: Texts.wrongMember("status", want: "not_held"))
        }
        return .passed(answer.body.text("status") ?? "")
    }

    private func refusal(_ answer: Service.Answer) -> String {
        Texts.refused(answer, service.endpoint, hasToken: service.token != nil)
    }
}

/// Opens the event stream and closes it at once.
private actor StreamLook {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private(set) var isOpen = false
    private var task: Task<Void, Never>?

    init(loop: EventLoop) { self.loop = loop }

    func open(_ service: Service) async -> Result<HTTPResponse, HTTPError> {
        await withCheckedContinuation { continuation in
            task = loop.spawn {
                do throws(HTTPError) {
                    let response = try await service.client.stream(
                        service.named("/v1/gpu/events"), from: service.endpoint, headers: service.headers,
                        timeout: Service.patience, silence: .seconds(25),
                        onOpen: { self.assumeIsolated { $0.opened() } }, onEvent: { _ in })
                    continuation.resume(returning: .success(response))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
    }

    private func opened() {
        isOpen = true
        task?.cancel()
    }
}
