import Coordinator
import LeaseModel
import LeaseStore

/// A holder of leases: locks, holds, renews, gives back, and sometimes does none of that properly.
final class Client: Process {
    private let sessions: [Session]
    private let gaps: [Duration]
    private var isDone = false

    init(_ number: Int, sessions: [Session], gaps: [Duration], in world: World) {
        self.sessions = sessions
        self.gaps = gaps
        super.init("client \(number)", in: world, bootedAt: .zero)
        began()
        next(0)
    }

    private func next(_ index: Int) {
        guard index < sessions.count else {
            isDone = true
            return
        }
        at(world.now + gaps[index], .plan) { [self] in begin(sessions[index]) { [self] in next(index + 1) } }
    }

    /// Nothing of it is open any more.
    var isFinished: Bool { isDone && sessions.allSatisfy { $0.openCalls.isEmpty } }

    // MARK: Lock

    private var onEnd: () -> Void = {}

    private func begin(_ session: Session, _ onEnd: @escaping () -> Void) {
        self.onEnd = onEnd
        session.began = world.now
        world.counts.requests += 1
        call(session)
        if session.isDoubled {
            at(world.now + world.numbers.duration(.milliseconds(1) ... .seconds(2)), .plan) { [self] in
                if !session.isOver, session.leases.isEmpty { call(session) }
            }
        }
        if let patience = session.patience {
            at(world.now + patience, .plan) { [self] in
                guard !session.isOver, session.leases.isEmpty else { return }
                world.trace { "\(self.name) gives \(session.ticket) up" }
                for call in session.openCalls { hangUp(call) }
                end(session)
            }
        }
    }

    private func call(_ session: Session) {
        session.attempts += 1
        let coordinator = world.numbers.element(of: world.coordinators)
        world.lastCall += 1
        let call = LockCall(
            id: world.lastCall, client: self, session: session, coordinator: coordinator, sent: world.now)
        session.openCalls.append(call)
        session.newestCall = call.id
        world.trace {
            "\(self.name) calls \(coordinator.name) for \(session.ticket) (\(session.selector.text), call \(call.id))"
        }
        guard coordinator.isRunning, !world.weather.cutsClients(at: world.now) else {
            return lockBroke(call, after: world.delay())
        }
        world.checker.asked(
            call: call.id, session: session.id, wish: session.wish, priority: session.priority.value,
            age: session.began, timeout: session.timeout, coordinator: coordinator.number)
        coordinator.at(world.now + world.delay(), .traffic) { if call.isOpen { coordinator.lock(call) } }
        watch(call, run: coordinator.run)
        if session.severs > 0 {
            session.severs -= 1
            at(world.now + world.numbers.duration(.milliseconds(1) ... .seconds(6)), .plan) { [self] in sever(call) }
        }
        // A client's own bound on a call.
        at(world.now + session.timeout + .seconds(20), .timer) { [self] in
            guard call.isOpen else { return }
            hangUp(call)
            lockBroke(call, after: .zero)
        }
    }

    /// A coordinator may end before a call reaches it.
    private func watch(_ call: LockCall, run: Int) {
        at(world.now + .seconds(1), .timer) { [self] in
            guard call.isOpen, call.number == nil else { return }
            if call.coordinator.run == run { watch(call, run: run) } else { lockBroke(call, after: .zero) }
        }
    }

    private func hangUp(_ call: LockCall, noticedAfter pause: Duration = .zero) {
        guard call.isOpen else { return }
        call.isOpen = false
        world.checker.closed(call: call.id)
        call.session.openCalls.removeAll { $0 === call }
        let coordinator = call.coordinator
        coordinator.at(world.now + pause + world.delay(), .traffic) { coordinator.gone(call) }
    }

    /// Something between client and coordinator ends the connection; the client asks again with its `request_id`.
    private func sever(_ call: LockCall) {
        guard call.isOpen else { return }
        world.trace { "the connection of call \(call.id) breaks" }
        hangUp(
            call,
            noticedAfter: world.numbers.chance(percent: 70) ? .zero : world.numbers.duration(.zero ... .seconds(6)))
        at(world.now + world.numbers.duration(.milliseconds(10) ... .seconds(2)), .traffic) { [self] in
            again(call.session)
        }
    }

    /// The connection of a call ended without an answer.
    func lockBroke(_ call: LockCall, after pause: Duration) {
        let session = call.session
        call.isOpen = false
        world.checker.closed(call: call.id)
        session.openCalls.removeAll { $0 === call }
        at(world.now + pause + world.numbers.duration(.milliseconds(50) ... .seconds(1)), .traffic) { [self] in
            again(session)
        }
    }

    private func again(_ session: Session) {
        guard !session.isOver, session.leases.isEmpty, session.openCalls.isEmpty else { return }
        guard session.isResumable, session.attempts < 12, world.now - session.began < session.timeout + .seconds(60)
        else { return end(session) }
        call(session)
    }

    /// Returns whether the answer could be handed over, as far as the coordinator can tell.
    func deliver(_ outcome: LockOutcome, to call: LockCall, waited: Duration) -> Bool {
        guard call.isOpen else { return world.numbers.chance(percent: 50) }
        if !world.checker.isCalm, call.session.isResumable, world.numbers.chance(percent: 4) {
            sever(call)
            return world.numbers.chance(percent: 50)
        }
        at(world.now + world.delay(), .traffic) { [self] in
            guard call.isOpen else { return }
            call.isOpen = false
            hear(outcome, call, waited)
        }
        return true
    }

    private func hear(_ outcome: LockOutcome, _ call: LockCall, _ waited: Duration) {
        let session = call.session
        session.openCalls.removeAll { $0 === call }
        world.checker.answered(call: call.id)
        switch outcome {
        case .acquired(let lease):
            let hash = TokenHash("hash-" + lease.secret.text)
            guard call.id == session.newestCall else {
                session.unheard.append((lease.lease, hash))
                return again(session)
            }
            world.counts.grants += 1
            let until = call.sent + waited + lease.expiresIn
            world.trace { "\(self.name) has \(lease.lease) until \(World.seconds(until))" }
            let units = ([lease.lease.unit] + lease.also).map(\.text)
            world.checker.told(
                session: session.id, wish: session.wish, units: units, lease: lease.lease.text, until: until)
            let isFirst = session.leases.isEmpty
            if isFirst {
                for unit in units {
                    world.checker.granted(
                        unit: unit, age: session.began, priority: session.priority.value, lease: lease.lease.text)
                }
            }
            session.leases.append((lease.lease, hash))
            session.until = max(session.until, until)
            releaseByOldToken(session)
            // A client that has ended meanwhile does not want it any more.
            if session.isOver { giveBack(session, attempt: 0) } else if isFirst { hold(session) }
        case .moved, .replaced, .shuttingDown, .ofUnknownAge, .unknownHost, .unknownUnit, .tooManyWaiting, .nameTaken:
            at(world.now + world.numbers.duration(.milliseconds(100) ... .seconds(1)), .traffic) { [self] in
                again(session)
            }
        case .timedOut, .forceReleased:
            if session.openCalls.isEmpty, session.leases.isEmpty { end(session) }
        }
    }

    // MARK: Hold

    private func hold(_ session: Session) {
        let end = world.now + session.hold
        if session.isRenewing { renewLater(session, end) }
        switch session.ending {
        case .vanish:
            at(end, .plan) { [self] in
                guard !session.isOver else { return }
                world.trace { "\(self.name) vanishes" }
                session.isOver = true
                onEnd()
            }
        case .release, .releaseByHolder:
            at(end, .plan) { [self] in finish(session) }
        case .oversleep:
            at(end, .plan) { [self] in
                guard !session.isOver else { return }
                pausedUntil = max(world.now, session.until) + world.numbers.duration(.milliseconds(10) ... .seconds(6))
                world.trace { "\(self.name) oversleeps" }
                at(pausedUntil, .plan) { [self] in
                    if world.numbers.chance(percent: 50) { renew(session) }
                    finish(session)
                }
            }
        }
    }

    private func finish(_ session: Session) {
        guard !session.isOver else { return }
        session.isOver = true
        world.checker.gaveBack(session: session.id)
        if session.ending == .releaseByHolder { giveBackByHolder(session) } else { giveBack(session, attempt: 0) }
        onEnd()
    }

    private func end(_ session: Session) {
        guard !session.isOver else { return }
        session.isOver = true
        world.checker.gaveBack(session: session.id)
        onEnd()
    }

    /// An admin has ended this lease; the event feed says so.
    func forced(_ lease: String) {
        for session in sessions where !session.isOver && session.leases.last?.lease.text == lease { end(session) }
    }

    private func giveBack(_ session: Session, attempt: Int) {
        world.checker.gaveBack(session: session.id)
        guard let (lease, token) = session.leases.last, attempt < 4 else { return }
        let coordinator = world.numbers.element(of: world.coordinators)
        guard coordinator.isRunning, !world.weather.cutsClients(at: world.now) else {
            at(world.now + .milliseconds(300), .traffic) { [self] in giveBack(session, attempt: attempt + 1) }
            return
        }
        coordinator.at(world.now + world.delay(), .traffic) {
            coordinator.release(lease, token) { [self] outcome in
                guard outcome == nil else { return }
                at(world.now + .milliseconds(300), .traffic) { [self] in giveBack(session, attempt: attempt + 1) }
            }
        }
    }

    /// A part of the client that has missed the newest answer gives back what it was told before: in vain.
    private func releaseByOldToken(_ session: Session) {
        let coordinator = world.numbers.element(of: world.coordinators)
        guard let newest = session.leases.last, let old = session.unheard.last, old.lease == newest.lease,
            coordinator.isRunning, world.numbers.chance(percent: 50)
        else { return }
        world.trace { "\(self.name) releases \(old.lease) by an old token" }
        coordinator.at(world.now + world.delay(), .traffic) { coordinator.release(old.lease, old.token) { _ in } }
    }

    private func giveBackByHolder(_ session: Session) {
        let coordinator = world.numbers.element(of: world.coordinators)
        coordinator.at(world.now + world.delay(), .traffic) { coordinator.release(holder: session.holder) { _ in } }
    }

    // MARK: Renew

    private func renewLater(_ session: Session, _ end: Duration) {
        let pause = session.ttl / 3
        guard world.now + pause < end else { return }
        at(world.now + pause, .plan) { [self] in
            guard !session.isOver, session.until > world.now else { return }
            renew(session)
            renewLater(session, end)
        }
    }

    private func renew(_ session: Session, with index: Int? = nil) {
        let coordinator = world.numbers.element(of: world.coordinators)
        let index = index ?? session.leases.count - 1
        let (lease, token) = session.leases[index]
        world.lastCall += 1
        let call = RenewCall(
            id: world.lastCall, client: self, session: session, lease: lease, token: token, sent: world.now)
        world.counts.renewals += 1
        guard coordinator.isRunning, !world.weather.cutsClients(at: world.now) else {
            return renewalBroke(call, after: world.delay())
        }
        coordinator.at(world.now + world.delay(), .traffic) { coordinator.renew(call) }
    }

    func renewalBroke(_ call: RenewCall, after pause: Duration) {
        at(world.now + pause + .milliseconds(500), .traffic) { [self] in
            if !call.isOver { tryAgain(call) }
        }
    }

    private func tryAgain(_ call: RenewCall) {
        call.isOver = true
        guard !call.session.isOver, call.session.until > world.now, call.session.isRenewing else { return }
        renew(call.session)
    }

    func deliver(_ result: RenewCall.Result, to call: RenewCall, waited: Duration) {
        at(world.now + world.delay(), .traffic) { [self] in
            guard !call.isOver else { return }
            let session = call.session
            switch result {
            case .renewed(let expiresIn):
                call.isOver = true
                let until = call.sent + waited + expiresIn
                world.checker.renewed(session: session.id, lease: call.lease.text, until: until)
                if !session.isOver { session.until = max(session.until, until) }
            case .gone:
                call.isOver = true
                world.checker.lost(session: session.id, lease: call.lease.text)
                if !session.isOver { end(session) }
            case .wrongToken:
                call.isOver = true
                // One of several answers to doubled calls: another token is in force.
                guard !session.isOver else { break }
                let index = session.leases.lastIndex { $0.token == call.token } ?? 0
                if index > 0 { return renew(session, with: index - 1) }
                if session.leases.count == 1 {
                    world.checker.refusedToken(session: session.id, lease: call.lease.text)
                }
                // A record that came back from an old copy may have an older token until its agent speaks.
                at(world.now + .milliseconds(700), .traffic) { [self] in tryAgain(call) }
            case .tryAgain:
                at(world.now + .milliseconds(300), .traffic) { [self] in tryAgain(call) }
            }
        }
    }
}
