import Coordinator
import LeaseModel
import LeaseStore
import RedisClient

/// The shell of one coordinator: feeds the shipped `Waiters` and `Renewals` and performs their actions.
final class CoordinatorProcess: Process {
    private var waiters = Waiters(limit: 1000)
    private var renewals = Renewals()
    private var standstill = Standstill()
    private(set) var link: Link?
    private(set) var inbox: MailBox?
    private(set) var instance = InstanceID("")
    private var calls: [CallID: LockCall] = [:]
    private var renewCalls: [CallID: RenewCall] = [:]
    private var lastCall: UInt64 = 0
    private var lastDrawn = 0
    private var memory = PoolMemory()
    private var lastBeat: Int64 = 0
    private var armedFor: BootInstant?
    private var alarm = 0
    let number: Int

    init(_ number: Int, in world: World, bootedAt: Duration) {
        self.number = number
        super.init("coordinator \(number)", in: world, bootedAt: bootedAt)
    }

    // MARK: Life

    func start() {
        began()
        instance = InstanceID("c\(number)-run\(run)")
        world.trace { "\(self.name) starts as \(self.instance)" }
        waiters = Waiters(limit: 1000)
        renewals = Renewals()
        standstill = Standstill()
        calls = [:]
        renewCalls = [:]
        memory = PoolMemory()
        armedFor = nil
        lastBeat = 0
        let link = Link(of: self, to: world.master)
        let inbox = MailBox(of: self, to: world.master)
        self.link = link
        self.inbox = inbox
        var wasUp = false
        let linkChanged: (Bool) -> Void = { [self] _ in
            // After each gap all waiters are compared again.
            let isUp = link.isUp && inbox.isUp
            if isUp {
                feed(.redisBack)
                feed(.beatDue)
            } else if wasUp {
                feed(.redisLost)
            }
            wasUp = isUp
        }
        link.onChange = linkChanged
        inbox.onChange = linkChanged
        world.instances[instance.text] = self
        inbox.open(after: world.delay())
        link.open(after: world.delay())
        tick()
    }

    func crash() {
        guard isRunning else { return }
        world.trace { "\(self.name) crashes" }
        world.instances[instance.text] = nil
        let broken = calls.values.sorted { $0.id < $1.id }
        let brokenRenewals = renewCalls.values.sorted { $0.id < $1.id }
        ended()
        for call in broken { call.client.lockBroke(call, after: world.delay()) }
        for call in brokenRenewals { call.client.renewalBroke(call, after: world.delay()) }
        world.stirred()
    }

    /// Stops in good order: every waiter is answered first (design §4.10).
    func stop() {
        guard isRunning else { return }
        world.trace { "\(self.name) stops" }
        feed(.shutdown)
        perform(renewals.handle(.shutdown, at: clock))
        let (store, instance) = (world.store, instance)
        if !waiters.keepsTickets {
            link?.send(
                "leave",
                {
                    try? await store.leave(instance)  // whether it ran makes no difference here
                    return .nothing
                }, { _ in })
        }
        at(world.now + .milliseconds(500), .traffic) { [self] in crash() }
    }

    private func tick() {
        standstill.tick(at: clock)
        feed(.beatDue)
        at(world.now + Limits.beat, .timer) { [self] in tick() }
    }

    // MARK: Calls of clients

    func lock(_ call: LockCall) {
        lastCall += 1
        let number = CallID(lastCall)
        lastDrawn += 1
        let session = call.session
        let secret = "\(instance.text)-s\(lastDrawn)"
        var request = LockRequest(
            call: number, ticket: session.ticket, isResumable: session.isResumable, holder: session.holder, caller: "",
            selector: session.selector, namesItsPlace: false, priority: session.priority, ttl: session.ttl,
            timeout: session.timeout, metadata: "", secret: LeaseSecret(secret), token: TokenHash("hash-" + secret))
        request.mayBeOld = standstill.mayBeOld(at: clock)
        call.number = number
        call.arrived = world.now
        calls[number] = call
        feed(.lockRequested(request))
    }

    func gone(_ call: LockCall) {
        guard let number = call.number, calls.removeValue(forKey: number) != nil else { return }
        feed(.clientGone(number))
    }

    func renew(_ call: RenewCall) {
        lastCall += 1
        let number = CallID(lastCall)
        call.arrived = world.now
        renewCalls[number] = call
        let request = RenewRequest(
            call: number, lease: call.lease, token: call.token, nonce: "\(instance.text)-n\(lastCall)")
        perform(renewals.handle(.requested(request), at: clock))
        arm()
    }

    /// `hear` gets nil where Redis did not answer.
    func release(_ lease: LeaseID, _ token: TokenHash, _ hear: @escaping (ReleaseOutcome?) -> Void) {
        let store = world.store
        link?.send("release", { .released(try? await store.release(lease, token: token, by: "holder")) }) {
            if case .released(let outcome) = $0 { hear(outcome) }
        }
    }

    func release(holder: HolderID, _ hear: @escaping (ReleaseOutcome?) -> Void) {
        let (store, instance, beat) = (world.store, instance, waiters.lastBeat)
        link?.send(
            "release",
            {
                .released(
                    try? await store.release(
                        .oldest(
                            of: holder, caller: "", kind: .gpu, by: "holder", coordinator: instance, beat: beat)))
            }
        ) {
            if case .released(let outcome) = $0 { hear(outcome) }
        }
    }

    func revoke(_ scope: RevokeScope, _ mode: RevokeMode) {
        let store = world.store
        link?.send(
            "revoke", { .revoked(try? await store.revoke(scope, mode: mode, by: "admin", why: "drill")) }, { _ in })
    }

    // MARK: Events

    func hear(_ bytes: [UInt8]) {
        for message in Inbox.coordinatorMessages(bytes) {
            world.trace { "\(self.name) hears \(Words.message(message))" }
            switch message {
            case .granted(var grant):
                if world.has(.countedFromReceipt) { grant.beat = lastBeat }
                feed(.granted(grant))
            case .held(let ticket, _): feed(.held(ticket))
            case .renewed(let lease, let nonce, let ttl, let also):
                feed(.renewed(lease, nonce: nonce, ttl: ttl, also: also))
                perform(renewals.handle(.renewed(lease, nonce: nonce, ttl: ttl), at: clock))
                arm()
            case .renewalRefused(let lease, let nonce, let reason):
                feed(.renewalRefused(nonce: nonce))
                perform(renewals.handle(.refused(lease, nonce: nonce, reason), at: clock))
                arm()
            case .refused(let ticket, let by, let why): feed(.refused(ticket, by: by, why: why))
            case .moved(let ticket): feed(.moved(ticket))
            }
        }
    }

    private func feed(_ event: Waiters.Event) {
        var events = [event]
        while !events.isEmpty {
            events.insert(contentsOf: perform(waiters.handle(events.removeFirst(), at: clock)), at: 0)
        }
        arm()
    }

    private func arm() {
        let wakeAt = nextDeadline
        guard wakeAt != armedFor else { return }
        armedFor = wakeAt
        alarm += 1
        guard let wakeAt else { return }
        let alarm = alarm
        at(max(world.now, bootedAt + wakeAt.sinceBoot), .timer) { [self] in
            guard alarm == self.alarm else { return }
            armedFor = nil
            perform(renewals.handle(.clockReached, at: clock))
            feed(.clockReached)
        }
    }

    private var nextDeadline: BootInstant? {
        switch (waiters.wakeAt, renewals.wakeAt) {
        case (let first?, let second?): min(first, second)
        case (let first, let second): first ?? second
        }
    }

    /// When the next of its deadlines is, in true time.
    var nextWake: Duration? { nextDeadline.map { bootedAt + $0.sinceBoot } }

    /// Whether nothing is to be mended between this coordinator and Redis.
    var isSettled: Bool { isRunning && pausedUntil <= world.now && link?.isUp == true && inbox?.isUp == true }

    /// Returns what has to be said at once.
    private func perform(_ actions: [Waiters.Action]) -> [Waiters.Event] {
        var events: [Waiters.Event] = []
        for action in actions {
            switch action {
            case .ask(let reference, let request, let age): ask(reference, request, age)
            case .drawToken(let ticket):
                lastDrawn += 1
                let secret = "\(instance.text)-s\(lastDrawn)"
                let drawn = DrawnToken(
                    secret: LeaseSecret(secret), hash: TokenHash("hash-" + secret),
                    nonce: "\(instance.text)-d\(lastDrawn)")
                events.append(.tokenDrawn(ticket, drawn))
            case .answerAgain(let ticket, let token, let nonce): answerAgain(ticket, token, nonce)
            case .cancel(let ticket, let token, let cause): cancel(ticket, token, cause)
            case .giveBack(let lease, let ticket, let token): giveBack(lease, ticket, token)
            case .answer(let number, let outcome):
                guard let call = calls.removeValue(forKey: number) else { continue }
                answer(call, outcome, number)
            case .beat(let number, let count, let naming): beat(number, count, naming)
            }
        }
        return events
    }

    private func answer(_ call: LockCall, _ outcome: LockOutcome, _ number: CallID) {
        world.trace { "\(self.name) answers \(call.session.ticket) call \(call.id): \(Words.outcome(outcome))" }
        let waited = world.now - call.arrived
        let isThere = call.client.deliver(outcome, to: call, waited: waited)
        guard case .acquired = outcome else { return }
        at(world.now + world.delay(), .traffic) { [self] in feed(isThere ? .delivered(number) : .undelivered(number)) }
    }

    private func perform(_ actions: [Renewals.Action]) {
        for action in actions {
            switch action {
            case .renew(let lease, let token, let nonce): renew(lease, token, nonce)
            case .answer(let number, let outcome):
                guard let call = renewCalls.removeValue(forKey: number) else { continue }
                let result: RenewCall.Result =
                    switch outcome {
                    case .renewed(_, _, let expiresIn): .renewed(expiresIn: expiresIn)
                    case .gone(_, let reason, _): .gone(reason)
                    case .wrongToken: .wrongToken
                    case .noAnswer, .shuttingDown: .tryAgain
                    }
                world.trace { "\(self.name) answers the renewal of \(call.lease): \(result)" }
                call.client.deliver(result, to: call, waited: world.now - call.arrived)
            }
        }
    }

    // MARK: Scripts

    private func hearing(_ answer: Errand.Answer) {
        switch answer {
        case .waiters(let event): feed(event)
        case .renewals(let event):
            perform(renewals.handle(event, at: clock))
            arm()
        case .beat(let number, let outcome?):
            let isNew = !memory.epoch.isEmpty && memory.epoch != outcome.epoch
            memory = outcome.memory
            feed(
                .beatAnswered(
                    number: number,
                    BeatAnswer(outcome, isNewEpoch: isNew)))
        case .beat(let number, nil): feed(.beatFailed(number: number))
        case .agent, .released, .revoked, .nothing: break
        }
    }

    private func ask(_ reference: AskReference, _ request: LockRequest, _ age: AskAge) {
        let ask = Ask(
            request, age, coordinator: instance, beat: waiters.lastBeat, gathering: world.plan.gathering)
        let store = world.store
        link?.send(
            "ask",
            {
                let answer: AskAnswer
                do throws(StoreError) {
                    answer = AskAnswer(try await store.ask(ask))
                } catch {
                    answer = .failed
                }
                return .waiters(.askAnswered(reference, answer))
            }, hearing)
    }

    private func answerAgain(_ ticket: TicketID, _ token: TokenHash, _ nonce: String) {
        let (store, instance, beat) = (world.store, instance, waiters.lastBeat)
        link?.send(
            "answer again",
            {
                let answer: AgainAnswer
                do throws(StoreError) {
                    answer = AgainAnswer(
                        try await store.answerAgain(
                            AnswerAgain(ticket, coordinator: instance, newToken: token, nonce: nonce, beat: beat)))
                } catch {
                    answer = .failed
                }
                return .waiters(.againAnswered(ticket, nonce: nonce, answer))
            }, hearing)
    }

    private func cancel(_ ticket: TicketID, _ token: TokenHash, _ cause: CancelCause) {
        let (store, instance, beat) = (world.store, instance, waiters.lastBeat)
        let why = CancelReason(cause)
        link?.send(
            "cancel",
            {
                do throws(StoreError) {
                    _ = try await store.cancel(
                        Cancel(ticket, coordinator: instance, token: token, why: why, beat: beat))
                    return .nothing
                } catch {
                    return .waiters(.cancelFailed(ticket, token, cause))
                }
            }, hearing)
    }

    private func giveBack(_ lease: LeaseID, _ ticket: TicketID, _ token: TokenHash) {
        let (store, instance, beat) = (world.store, instance, waiters.lastBeat)
        link?.send(
            "cancel",
            {
                do throws(StoreError) {
                    _ = try await store.cancel(
                        Cancel(
                            ticket, lease: lease, coordinator: instance, token: token, why: .undelivered, beat: beat))
                    return .nothing
                } catch {
                    return .waiters(.giveBackFailed(lease, ticket, token))
                }
            }, hearing)
    }

    private func renew(_ lease: LeaseID, _ token: TokenHash, _ nonce: String) {
        let (store, instance) = (world.store, instance)
        link?.send(
            "renew",
            {
                let answer: RenewAnswer
                do throws(StoreError) {
                    answer = RenewAnswer(
                        try await store.renew(lease, token: token, nonce: nonce, coordinator: instance))
                } catch {
                    answer = .failed
                }
                return .renewals(.answered(nonce: nonce, answer))
            }, hearing)
    }

    private func beat(_ number: Int64, _ count: Int, _ naming: [TicketID]) {
        lastBeat = number
        let store = world.store
        let beat = Beat(coordinator: instance, number: number, count: count, tickets: naming, memory: memory)
        link?.send("beat", { .beat(number: number, try? await store.beat(beat)) }, hearing)
    }
}
