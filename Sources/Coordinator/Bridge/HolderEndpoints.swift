import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// `unlock`, `renew` and `verify`: what holders and resources ask about a lease that stands.
extension Coordinator {
    func unlock(_ members: Members, _ call: BridgeCall) throws(Malformed) {
        let caller = call.caller
        // Read whole before anything is done: what is sent with a token has to be right too.
        let holder = try members.named("id") { (text) throws(InvalidName) in try HolderID(text) }
        let word = try members.text("kind", want: "gpu or model-load") ?? UnitKind.gpu.rawValue
        guard let kind = UnitKind(rawValue: word) else {
            throw Malformed("kind", got: .string(word), want: "gpu or model-load")
        }
        if let text = try members.text("token") {
            guard let (lease, secret) = Self.parts(ofToken: text) else {
                return respond(call, Self.notHeld(Texts.notHeldByToken))
            }
            let hash = TokenHash(Digest.sha256Hex(secret))
            return giveBack(.lease(lease, token: hash, by: caller.by), call, ifNotHeld: Texts.notHeldByToken)
        }
        guard let holder else { throw Malformed(Texts.unlockNeeds) }
        let oldest = Release.oldest(
            of: holder, caller: caller.name, kind: kind, by: caller.by, coordinator: instance, beat: waiters.lastBeat)
        giveBack(oldest, call, ifNotHeld: Texts.notHeldByID(holder.text))
    }

    private func giveBack(_ release: Release, _ call: BridgeCall, ifNotHeld text: String) {
        // What is named by its token may be named again, by the client too.
        let isRepeatable = if case .lease = release { true } else { false }
        let number = keep(call)
        calls.release(release) { outcome in
            switch outcome {
            case .success(let outcome): self.finish(number, Self.reply(to: outcome, text))
            case .failure:
                let pause = isRepeatable ? 1 : nil
                self.finish(number, .refusal(503, "unavailable", Texts.unavailable, retryAfter: pause))
            }
        }
    }

    private static func reply(to outcome: ReleaseOutcome, _ notHeldText: String) -> Reply {
        switch outcome {
        case .released(let count):
            Reply(200) { writer in
                writer.member("status", "released")
                writer.member("released", count)
            }
        case .notHeld: notHeld(notHeldText)
        case .marked: notHeld(Texts.markedByToken)
        }
    }

    private static func notHeld(_ text: String) -> Reply {
        Reply(200) { writer in
            writer.member("status", "not_held")
            writer.member("released", 0)
            writer.member("msg", text)
        }
    }

    /// The lease and the secret of a token; nil where it is none that was ever given.
    static func parts(ofToken text: String) -> (lease: LeaseID, secret: String)? {
        guard text.utf8.count <= 512, let dot = text.utf8.lastIndex(of: UInt8(ascii: ".")),
            let lease = try? LeaseID(String(text[..<dot]))
        else { return nil }
        return (lease, String(text[text.utf8.index(after: dot)...]))
    }

    func renew(_ members: Members, _ call: BridgeCall) throws(Malformed) {
        guard let text = try members.text("token") else { throw Malformed(Texts.renewNeeds) }
        guard let (lease, secret) = Self.parts(ofToken: text) else {
            return respond(call, .refusal(410, "not_held", Texts.notPresentToken))
        }
        lastNumber += 1
        let request = RenewRequest(
            call: CallID(lastNumber), lease: lease, token: TokenHash(Digest.sha256Hex(secret)),
            nonce: SecureRandom.randomHex(bytes: 8))
        renewCalls[request.call] = call
        call.exchange.onClientGone = {
            self.renewCalls[request.call] = nil
            self.perform(self.renewals.handle(.clientGone(request.call), at: self.now))
        }
        perform(renewals.handle(.requested(request), at: now))
        arm()
    }

    func answer(_ number: CallID, _ outcome: RenewalOutcome) {
        guard let call = renewCalls.removeValue(forKey: number) else { return }
        call.exchange.onClientGone = nil
        let word =
            switch outcome {
            case .renewed: "renewed"
            case .gone, .wrongToken: "gone"
            case .noAnswer, .shuttingDown: "unanswered"
            }
        meter.note { $0.count(Catalogue.renewals, word) }
        let preemption = outcome.renewedLease.flatMap { mirror.leases[$0]?.preemption }
        respond(call, outcome.reply(asked: Asked(preemption, poolNow: pool.clock(at: now))))
    }

    /// From the record, as a resource asks when a grant has just been told, or a release, that this copy of the pool has
    /// not heard of yet. What the copy is enough for is that a later lease of the unit stands.
    func verify(_ members: Members, _ call: BridgeCall) throws(Malformed) {
        guard let unit = try members.named("unit", { (text) throws(InvalidName) in try UnitID(text) }),
            let fencing = try members.integer("fencing_token", in: 1...Int64.max)
        else { throw Malformed(Texts.verifyNeeds) }
        guard degradedReason == nil else {
            return respond(call, .refusal(503, "unavailable", Texts.copyDegraded, retryAfter: 1))
        }
        // An offer does not count: its unit's agent may have another lease, and refuse it.
        if let later = mirror.lease(on: unit), later.state != .offered, later.lease.fencing.value > fencing {
            return respond(call, Self.verdict(unit, fencing, nil))
        }
        let number = keep(call)
        loop.spawn { [store] in
            let reply: Reply
            do throws(StoreError) {
                switch try await store.verify(unit, FencingToken(fencing)) {
                case .current(let holder): reply = Self.verdict(unit, fencing, holder)
                case .stale: reply = Self.verdict(unit, fencing, nil)
                case .unheard: reply = .refusal(503, "unavailable", Texts.unheard(unit.text), retryAfter: 1)
                case .unknownUnit: reply = await self.unitIsUnknown(unit)
                }
            } catch {
                reply = .refusal(503, "unavailable", Texts.copyDegraded, retryAfter: 1)
            }
            await self.finish(number, reply)
        }
    }

    /// A unit that this copy has and Redis does not: Redis has lost it, and its agent has not spoken since.
    private func unitIsUnknown(_ unit: UnitID) -> Reply {
        mirror.units[unit] == nil
            ? .refusal(404, "unknown_unit", Texts.unknownUnit(unit.text))
            : .refusal(503, "unavailable", Texts.unheard(unit.text), retryAfter: 1)
    }

    /// - Parameter holder: Nil where the token is stale.
    private static func verdict(_ unit: UnitID, _ fencing: Int64, _ holder: String?) -> Reply {
        Reply(200) { writer in
            writer.member("status", holder == nil ? "stale" : "current")
            writer.member("current", holder != nil)
            writer.member("unit", unit.text)
            writer.member("fencing_token", fencing)
            if let holder { writer.member("holder", holder) }
            writer.member("source", "coordinator")
            writer.member("age_ms", 0)
        }
    }
}
