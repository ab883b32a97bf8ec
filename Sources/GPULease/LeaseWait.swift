import EventLoop
import HTTP
import JSON
import Telemetry

/// One wish for a unit until it has an answer.
///
/// A lost connection, a 5xx and a coordinator that stops are answered by the same call again, at the next coordinator,
/// under the same request id: it keeps its place.
actor LeaseWait {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe service.loop.asUnownedSerialExecutor() }

    /// What an answer may take beyond the wait that was asked for.
    private static let allowance = Duration.seconds(3)
    /// How often the place in the queue is looked at for somebody who wants to know, and otherwise.
    private static let lookEvery = (told: Duration.seconds(1), untold: Duration.seconds(5))
    private static let lookTimeout = Duration.seconds(2)
    /// When the call that hangs is thought lost: a look that does not find the request counts one, one without an answer
    /// two.
    private static let doubts = 3
    /// How long a cancelled task waits for its place to be given up; that goes on behind it.
    private static let farewell = Duration.milliseconds(250)

    private let service: Service
    private let options: LeaseOptions
    private let onWait: (@Sendable (WaitProgress) -> Void)?
    private let requestID: String
    private var wish: JSONObject
    private let began = ContinuousClock.now
    private let end: ContinuousClock.Instant
    private var call: Task<Result<Service.Answer, HTTPError>, Never>?
    private var isAskedAgain = false
    private var wasSent = false
    private var hasHeard = false
    private var heardAt: ContinuousClock.Instant
    private var failures = 0

    init(
        _ holder: String, _ options: LeaseOptions, service: Service, onWait: (@Sendable (WaitProgress) -> Void)?
    ) {
        self.service = service
        self.options = options
        self.onWait = onWait
        requestID = options.requestID ?? SecureRandom.randomHex(bytes: 16)
        wish = options.wish(of: holder, requestID: requestID)
        end = began + options.timeout
        heardAt = began
    }

    private var waited: Duration { ContinuousClock.now - began }
    private var left: Duration { max(.zero, end - ContinuousClock.now) }

    /// Waits. Cancelling the task gives the place up.
    func run() async -> Result<Grant, LeaseError> {
        let watching = service.loop.spawn { await self.watch() }
        let outcome = await attempts()
        watching.cancel()
        if case .success(let grant) = outcome, Task.isCancelled {
            await leave(grant)
            return .failure(LeaseError(.cancelled, Texts.cancelled))
        }
        return outcome
    }

    private func attempts() async -> Result<Grant, LeaseError> {
        var attempt = 0
        var trouble = ""
        while true {
            guard !Task.isCancelled else {
                await leave(nil)
                return .failure(LeaseError(.cancelled, Texts.cancelled))
            }
            // Who takes only what is free now asks each coordinator once.
            guard left > .zero || (options.timeout <= .zero && attempt < service.endpoints.count) else {
                await leave(nil)
                return .failure(
                    hasHeard
                        ? LeaseError(.timedOut(position: nil), Texts.timedOut(trouble))
                        : LeaseError(.unreachable, Texts.unreachable(trouble)))
            }
            attempt += 1
            let sent = ContinuousClock.now
            let asked = await service.coordinator
            switch await ask() {
            case .success(let answer):
                if answer.isOfCoordinator {
                    hasHeard = true
                    heardAt = .now
                }
                if answer.status >= 500 { await service.turnAway(from: asked) }
                if let outcome = await judge(answer, sent: sent, trouble: &trouble) { return outcome }
            case .failure(let error):
                if isAskedAgain || Task.isCancelled { continue }
                trouble = error.message
                // A connection that stood for a while was one to a coordinator.
                if error.kind == .connectionLost, ContinuousClock.now - sent > .seconds(1) { heardAt = .now }
                await service.turnAway(from: asked)
                if let outcome = await failed(trouble) { return outcome }
            }
        }
    }

    /// One lock call.
    private func ask() async -> Result<Service.Answer, HTTPError> {
        isAskedAgain = false
        var body = wish
        body["timeout"] = .number(left / .seconds(1))
        if options.takesOver, !wasSent { body["takeover"] = .bool(true) }
        let message = body
        let timeout = left + Self.allowance
        let call = Task(executorPreference: service.loop) { [service] in
            do throws(HTTPError) {
                return Result<Service.Answer, HTTPError>.success(
                    try await service.call(.post, "/v1/gpu/lock", message, timeout: timeout))
            } catch {
                return .failure(error)
            }
        }
        self.call = call
        let result = await withTaskCancellationHandler {
            await call.value
        } onCancel: {
            call.cancel()
        }
        self.call = nil
        if case .failure(let error) = result, error.kind == .cannotConnect { return result }
        wasSent = true
        return result
    }

    private func judge(
        _ answer: Service.Answer, sent: ContinuousClock.Instant, trouble: inout String
    ) async -> Result<Grant, LeaseError>? {
        switch LockVerdict(answer, requestID: requestID, sent: sent) {
        case .granted(let grant):
            // One that has lapsed on its way is answered as a renewal by the same call.
            return grant.certainUntil > .now ? .success(grant) : nil
        case .over(let error): return .failure(error)
        case .replaced:
            // Nobody else knows an id that was drawn here: an earlier call of our own came late.
            guard options.requestID == nil else {
                return .failure(LeaseError(.replaced, answer.message ?? Texts.replacedByOther))
            }
            failures += 1
            await pause(Service.backOff(after: failures))
            return nil
        case .again(let why, let after):
            trouble = why
            guard answer.isOfCoordinator else { return await failed(why) }
            failures += 1
            await pause(max(Service.backOff(after: failures), after ?? .zero))
            return nil
        }
    }

    private func failed(_ why: String) async -> Result<Grant, LeaseError>? {
        failures += 1
        onWait?(WaitProgress(.unreachable(why), waited: waited))
        guard ContinuousClock.now - heardAt < options.reconnecting else {
            return .failure(LeaseError(.unreachable, Texts.unreachable(why)))
        }
        // The others may be there: only after all of them it is worth a pause.
        if failures % service.endpoints.count == 0 {
            await pause(Service.backOff(after: failures / service.endpoints.count))
        }
        return nil
    }

    private func pause(_ duration: Duration) async {
        if options.timeout > .zero { await service.loop.sleep(for: min(duration, left)) }
    }

    // MARK: The place in the queue

    /// Tells how the wait goes, and notices a call that hangs although no answer can come any more.
    private func watch() async {
        let path = "/v1/gpu/requests/" + percentEncoded(requestID)
        let every = onWait == nil ? Self.lookEvery.untold : Self.lookEvery.told
        var doubts = 0
        await service.loop.sleep(for: .milliseconds(200))
        while !Task.isCancelled {
            let asked = await service.coordinator
            do throws(HTTPError) {
                let answer = try await service.call(.get, path, timeout: Self.lookTimeout)
                guard !Task.isCancelled else { return }
                if answer.status == 200, let progress = WaitProgress(answer.body, waited: waited) {
                    doubts = 0
                    onWait?(progress)
                } else {
                    doubts += 1
                }
            } catch {
                doubts += 2
                if doubts >= Self.doubts, !Task.isCancelled { await service.turnAway(from: asked) }
            }
            if doubts >= Self.doubts, call != nil {
                doubts = 0
                isAskedAgain = true
                call?.cancel()
            }
            await service.loop.sleep(for: every)
        }
    }

    /// Gives the place up, so that nothing is granted to nobody: a call with no time to wait ends its request, and what it
    /// brings is given back.
    private func leave(_ grant: Grant?) async {
        guard wasSent || grant != nil else { return }
        var last = wish
        last["timeout"] = .integer(0)
        let message = last
        let leaving = service.loop.spawn { [service, requestID] in
            if let grant { _ = await service.release(grant.token, patience: .seconds(2)) }
            let sent = ContinuousClock.now
            guard grant == nil, let answer = try? await service.call(.post, "/v1/gpu/lock", message),
                let late = Grant(answer.body, requestID: requestID, sent: sent)
            else { return }
            _ = await service.release(late.token, patience: .seconds(2))
        }
        await withTaskGroup(of: Void.self) { group in
            let loop = service.loop
            group.addTask { await leaving.value }
            group.addTask { await loop.sleep(for: Self.farewell) }
            await group.next()
            group.cancelAll()
        }
    }
}
