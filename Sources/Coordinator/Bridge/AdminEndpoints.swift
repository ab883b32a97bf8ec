import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// An admin's call that waits for the agents to end what it revoked.
struct AdminCall {
    var mode: RevokeMode
    /// Leases that have not been heard to end.
    var remaining: Set<LeaseID>
    var outcome: RevokeOutcome
    var timer: LoopTimer
}

/// `reset`, `force-release-all`, `cordon` and `drain` (design §4.6).
extension Coordinator {
    func intervene(
        _ members: Members, _ mode: RevokeMode, _ call: BridgeCall
    ) throws(Malformed) {
        let caller = call.caller
        let scope = try revokeScope(members)
        let why = try members.reason()
        log.warning(
            "intervention",
            ["mode": .text(mode.rawValue), "scope": .text("\(scope)"), "by": .text(caller.by), "why": .text(why)])
        let number = keep(call)
        loop.spawn { [store] in
            do throws(StoreError) {
                let outcome = try await store.revoke(scope, mode: mode, by: caller.by, why: why)
                await self.revoked(outcome, number, mode)
            } catch {
                await self.finish(number, .refusal(503, "unavailable", Texts.unavailable, retryAfter: 1))
            }
        }
    }

    /// Where the call names none, what this coordinator's calls are about.
    private func revokeScope(_ members: Members) throws(Malformed) -> RevokeScope {
        var scopes: [RevokeScope] = []
        if let host = try members.named("host", { (text) throws(InvalidName) in try HostID(text) }) {
            scopes.append(.host(host))
        }
        if let unit = try members.named("unit", { (text) throws(InvalidName) in try UnitID(text) }) {
            scopes.append(.unit(unit))
        }
        if let holder = try members.named("holder", { (text) throws(InvalidName) in try HolderID(text) }) {
            scopes.append(.holder(holder))
        }
        if let lease = try members.named("lease", { (text) throws(InvalidName) in try LeaseID(text) }) {
            scopes.append(.lease(lease))
        }
        guard scopes.count <= 1 else { throw Malformed(Texts.oneScope) }
        if let scope = scopes.first { return scope }
        switch settings.scope {
        case .pool: return .all
        case .host(let host): return .host(host)
        }
    }

    private func revoked(_ outcome: RevokeOutcome, _ number: UInt64, _ mode: RevokeMode) {
        let timer = loop.timer { [weak self] in self?.assumeIsolated { $0.finishAdminCall(number) } }
        // The events of their ends may have come before the script's own answer.
        let remaining = Set(outcome.ending.filter { mirror.leases[$0] != nil })
        adminCalls[number] = AdminCall(mode: mode, remaining: remaining, outcome: outcome, timer: timer)
        if remaining.isEmpty { finishAdminCall(number) } else { timer.arm(after: Limits.answerWindow) }
    }

    func leaseEnded(_ lease: LeaseID) {
        // The keys are copied first: they would share the calls, and each end would copy what remains of each call.
        for number in Array(adminCalls.keys) where adminCalls[number]?.remaining.remove(lease) != nil {
            if adminCalls[number]?.remaining.isEmpty == true { finishAdminCall(number) }
        }
    }

    /// A copy that was read anew tells what no event told.
    func lookAtAdminCalls() {
        for (number, call) in adminCalls {
            let remaining = call.remaining.filter { mirror.leases[$0] != nil }
            adminCalls[number]?.remaining = remaining
            if remaining.isEmpty { finishAdminCall(number) }
        }
    }

    private func finishAdminCall(_ number: UInt64) {
        guard let call = adminCalls.removeValue(forKey: number) else { return }
        call.timer.disarm()
        let leases = call.outcome.ending + call.outcome.withdrawn
        let hosts = Dictionary(grouping: leases, by: \.unit.host).sorted { $0.key < $1.key }
        let reply = Reply(200) { writer in
            writer.member("status", call.mode == .reset ? "reset" : "all_gpu_locks_force_released")
            writer.member("released", leases.count - call.remaining.count)
            writer.member("ending", call.remaining.count)
            writer.member("refused", call.outcome.refused)
            writer.key("hosts")
            writer.object { writer in
                for (host, leases) in hosts { writer.member(host.text, leases.count) }
            }
        }
        finish(number, reply)
    }

    func cordon(_ members: Members, _ call: BridgeCall) throws(Malformed) {
        let caller = call.caller
        guard let host = try members.named("host", { (text) throws(InvalidName) in try HostID(text) }),
            let isOn = try members.flag("on")
        else { throw Malformed(Texts.cordonNeeds) }
        let why = try members.reason()
        let number = keep(call)
        loop.spawn { [store] in
            let reply: Reply
            do throws(StoreError) {
                switch try await store.cordon(host, isOn ? .cordoned : .schedulable, by: caller.by, why: why) {
                case .ok:
                    reply = Reply(200) { writer in
                        writer.member("status", isOn ? "cordoned" : "uncordoned")
                        writer.member("host", host.text)
                    }
                case .unknownHost: reply = .refusal(404, "unknown_host", Texts.unknownHost(host.text))
                }
            } catch {
                reply = .refusal(503, "unavailable", Texts.unavailable, retryAfter: 1)
            }
            await self.finish(number, reply)
        }
    }

    /// Answered as soon as it has begun; the status tells how far it is.
    func drain(_ members: Members, _ call: BridgeCall) throws(Malformed) {
        let caller = call.caller
        guard let host = try members.named("host", { (text) throws(InvalidName) in try HostID(text) }) else {
            throw Malformed(Texts.drainNeeds)
        }
        let deadline = try members.seconds("deadline", in: .zero...Limits.longestDrain)
        let why = try members.reason()
        log.warning("drain", ["host": .text(host.text), "by": .text(caller.by), "why": .text(why)])
        let number = keep(call)
        loop.spawn { [store] in
            let reply: Reply
            do throws(StoreError) {
                switch try await store.drain(host, deadline: deadline, by: caller.by, why: why) {
                case .draining(let leases):
                    reply = Reply(200) { writer in
                        writer.member("status", "draining")
                        writer.member("host", host.text)
                        writer.member("leases", leases)
                        writer.seconds("deadline", milliseconds: deadline?.milliseconds)
                    }
                case .unknownHost: reply = .refusal(404, "unknown_host", Texts.unknownHost(host.text))
                }
            } catch {
                reply = .refusal(503, "unavailable", Texts.unavailable, retryAfter: 1)
            }
            await self.finish(number, reply)
        }
    }
}

extension Members {
    /// Why an admin does it; empty where nothing is said.
    fileprivate func reason() throws(Malformed) -> String {
        let (reason, why) = (
            try word("reason", limit: Limits.reasonBytes), try word("why", limit: Limits.reasonBytes)
        )
        return reason ?? why ?? ""
    }
}
