import EventLoop
import HTTP
import JSON
import Synchronization

/// Renews one lease, watches its deadline, and tells whoever waits for its end.
///
/// When it is not certain that the lease still stands, it is over. Each deadline is counted from a moment before the call
/// that set it was sent, so that whatever is late shortens it (design §5).
actor LeaseKeeper {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe service.loop.asUnownedSerialExecutor() }

    /// How a lease came to its end.
    enum End: Sendable { case givenBack, lost(LeaseError) }

    /// What any thread may ask without waiting for the loop.
    struct State: Sendable {
        var certainUntil: ContinuousClock.Instant
        var end: End?
        var preemption: Preemption?
    }

    /// So that an end whose event was missed is noticed.
    private static let longestPause = Duration.seconds(20)
    /// How long a renewal may take, besides half of what is left.
    private static let renewalTimeout = Duration.seconds(4)
    /// How long giving back is tried; the lease ends by its own deadline then.
    private static let patience = Duration.seconds(5)

    nonisolated let grant: Grant
    /// The pool that was asked for; "" is the coordinator's first.
    nonisolated let pool: String
    private nonisolated let service: Service
    private nonisolated let renewal: LeaseOptions.Renewal
    private nonisolated let shared: Mutex<State>
    private var deadlineTimer: LoopTimer?
    private var renewalTimer: LoopTimer?
    private var renewing: Task<RenewVerdict, Never>?
    private var releasing: Task<Bool, Never>?
    private var waiting: [UInt64: CheckedContinuation<LeaseError?, Never>] = [:]
    private var wishing: [UInt64: CheckedContinuation<Preemption?, Never>] = [:]
    private var lastNumber: UInt64 = 0
    private var trouble = ""

    init(_ grant: Grant, in pool: String, service: Service, renewal: LeaseOptions.Renewal) {
        self.grant = grant
        self.pool = pool
        self.service = service
        self.renewal = renewal
        shared = Mutex(State(certainUntil: grant.certainUntil))
    }

    nonisolated var state: State { shared.withLock { $0 } }

    /// To be called once. The service holds this object from here to the lease's end.
    func begin() async {
        await service.held(self, grant.lease)
        deadlineTimer = service.loop.timer { [weak self] in self?.assumeIsolated { $0.deadlineReached() } }
        renewalTimer = service.loop.timer { [weak self] in self?.assumeIsolated { $0.renewSoon() } }
        armDeadline()
        if renewal == .automatic { renewalTimer?.arm(after: min(interval, left / 2)) }
    }

    private var interval: Duration { min(grant.ttl / 3, Self.longestPause) }
    private var left: Duration { max(.zero, state.certainUntil - .now) }

    // MARK: Renewing

    /// Renews in the background, unless that is under way or left to the program.
    func renewSoon() {
        guard renewal == .automatic, renewing == nil, state.end == nil else { return }
        service.loop.spawn { _ = await self.renew() }
    }

    /// Renews now; joins a renewal that is under way.
    func renew() async -> RenewVerdict {
        if let renewing { return await renewing.value }
        guard state.end == nil else { return .unknown("") }
        let timeout = min(Self.renewalTimeout, max(.milliseconds(50), left / 2))
        let task = Task(executorPreference: service.loop) { await self.askToRenew(timeout) }
        renewing = task
        let verdict = await task.value
        renewing = nil
        guard state.end == nil else { return verdict }
        switch verdict {
        case .renewed(let until, let preemption):
            trouble = ""
            wanted(preemption)
            shared.withLock { $0.certainUntil = max($0.certainUntil, until) }
            armDeadline()
            if renewal == .automatic { renewalTimer?.arm(after: interval) }
        case .lost(let error): lose(error)
        case .unknown(let why):
            trouble = why
            if renewal == .automatic { renewalTimer?.arm(after: min(.seconds(2), grant.ttl / 10)) }
        }
        return verdict
    }

    private func askToRenew(_ timeout: Duration) async -> RenewVerdict {
        let asked = await service.coordinator
        let sent = ContinuousClock.now
        do throws(HTTPError) {
            let answer = try await service.call(
                .post, "/v1/gpu/renew", ["token": .string(grant.token.revealed)], timeout: timeout)
            if answer.status >= 500 { await service.turnAway(from: asked) }
            return RenewVerdict(answer, lease: grant.lease, sent: sent)
        } catch {
            if error.kind != .cancelled { await service.turnAway(from: asked) }
            return .unknown(error.message)
        }
    }

    private func armDeadline() { deadlineTimer?.arm(after: left) }

    private func deadlineReached() {
        guard state.end == nil else { return }
        guard left == .zero else { return armDeadline() }
        lose(LeaseError(.lost(.expired, by: nil, why: nil), Texts.expired(grant.lease, trouble)))
    }

    // MARK: Being asked

    /// Who asks for the unit at present, nil for nobody.
    func wanted(_ preemption: Preemption?) {
        let wish = shared.withLock { state -> Preemption? in
            guard state.end == nil else { return nil }
            // The first word tells the time best: a later one may have been under way for longer.
            guard let preemption, state.preemption?.by == preemption.by else {
                state.preemption = preemption
                return preemption
            }
            return state.preemption
        }
        guard let wish else { return }
        for continuation in wishing.values { continuation.resume(returning: wish) }
        wishing = [:]
    }

    /// Waits for a wish; nil when the lease is over, or the task is cancelled.
    func wish() async -> Preemption? {
        let state = state
        if state.end != nil { return nil }
        if let wish = state.preemption { return wish }
        lastNumber += 1
        let number = lastNumber
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { continuation.resume(returning: nil) } else { wishing[number] = continuation }
            }
        } onCancel: {
            service.loop.perform {
                self.assumeIsolated { $0.wishing.removeValue(forKey: number)?.resume(returning: nil) }
            }
        }
    }

    // MARK: The end

    func lose(_ error: LeaseError) { close(.lost(error)) }

    /// Waits for the loss; nil when the lease was given back, or the task is cancelled.
    func loss() async -> LeaseError? {
        if let end = state.end { return end.loss }
        lastNumber += 1
        let number = lastNumber
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { continuation.resume(returning: nil) } else { waiting[number] = continuation }
            }
        } onCancel: {
            service.loop.perform {
                self.assumeIsolated { $0.waiting.removeValue(forKey: number)?.resume(returning: nil) }
            }
        }
    }

    /// Gives the lease back. The same however often it is called.
    func release() async -> Bool {
        if let releasing { return await releasing.value }
        guard state.end == nil else { return true }
        let patience = min(Self.patience, left)
        let task = Task(executorPreference: service.loop) { [service, grant] in
            await service.release(grant.token, patience: patience)
        }
        releasing = task
        close(.givenBack)
        return await task.value
    }

    private func close(_ end: End) {
        let isFirst = shared.withLock { state in
            guard state.end == nil else { return false }
            state.end = end
            return true
        }
        guard isFirst else { return }
        deadlineTimer?.disarm()
        renewalTimer?.disarm()
        renewing?.cancel()
        for continuation in waiting.values { continuation.resume(returning: end.loss) }
        waiting = [:]
        for continuation in wishing.values { continuation.resume(returning: nil) }
        wishing = [:]
        service.assumeIsolated { $0.dropped(grant.lease) }
    }
}

extension LeaseKeeper.End {
    var loss: LeaseError? { if case .lost(let error) = self { error } else { nil } }
}
