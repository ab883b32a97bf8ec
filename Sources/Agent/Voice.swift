import LeaseModel
import LeaseStore
import Telemetry

/// Says the agent's words to Redis, one script each, and turns the answers into events.
package struct Voice: Sendable {
    let store: LeaseStore
    let log: Log
    let host: HostID
    let instance: InstanceID

    package init(store: LeaseStore, log: Log, host: HostID, instance: InstanceID) {
        self.store = store
        self.log = log
        self.host = host
        self.instance = instance
    }

    package func origin(_ session: Int64) -> AgentOrigin {
        AgentOrigin(host: host, instance: instance, session: session)
    }

    package func heartbeat(_ heartbeat: AgentHeartbeat) async -> AgentMachine.Event {
        let session = heartbeat.origin.session
        do throws(StoreError) {
            switch try await store.heartbeat(heartbeat) {
            case .heard(let messages): return .heartbeatAnswered(session: session, .heard(messages))
            case .hostInUse(let other): return .heartbeatAnswered(session: session, .hostInUse(other))
            case .succeedsAnother(let other, let highest):
                log.warning("journal_of_another", ["instance": .text(other.text)])
                return .heartbeatAnswered(session: session, .succeedsAnother(other, highest: highest))
            case .staleSession: return .heartbeatAnswered(session: session, .staleSession)
            }
        } catch {
            notice(error, "heartbeat")
            return .heartbeatAnswered(session: session, .failed)
        }
    }

    package func say(_ word: AgentMachine.Word, session: Int64) async -> AgentMachine.Event {
        let origin = origin(session)
        switch word {
        case .confirm(let lease): return await confirm(lease, origin)
        case .end(let lease, let reason): return await end(lease, reason, origin)
        case .insist(let lease, let ticket, let by): return await insist(lease, ticket, by, origin)
        case .reject(let lease, let highest, let why):
            log.info("offer_rejected", ["lease": .text(lease.text), "why": .text(why)])
            do throws(StoreError) {
                return told(try await store.reject(origin, lease, highest: highest, why: why), session)
            } catch {
                return failed(error, "reject", session)
            }
        case .renewed(let lease, let nonce, let token, let ttl, let coordinator, let also):
            do throws(StoreError) {
                return told(
                    try await store.renewed(
                        origin, lease, nonce: nonce, token: token, ttl: ttl, coordinator: coordinator, also: also),
                    session)
            } catch {
                return failed(error, "renewed", session)
            }
        case .refuseRenewal(let lease, let nonce, let coordinator, let reason):
            do throws(StoreError) {
                return told(
                    try await store.refuseRenewal(
                        origin, lease, nonce: nonce, coordinator: coordinator, reason: reason), session)
            } catch {
                return failed(error, "refuse_renewal", session)
            }
        }
    }

    private func confirm(_ lease: LeaseID, _ origin: AgentOrigin) async -> AgentMachine.Event {
        let outcome: Result<ConfirmOutcome, StoreError>
        do throws(StoreError) {
            outcome = .success(try await store.confirm(origin, lease))
        } catch {
            outcome = .failure(error)
        }
        return .confirmAnswered(session: origin.session, lease, answer(lease, outcome))
    }

    /// Says a confirm without a task: what an agent says most.
    func confirm(
        _ lease: LeaseID, session: Int64, through calls: LeaseCalls,
        heard: @escaping (AgentMachine.Event) -> Void
    ) {
        calls.confirm(origin(session), lease) { outcome in
            heard(.confirmAnswered(session: session, lease, answer(lease, outcome)))
        }
    }

    private func answer(
        _ lease: LeaseID, _ outcome: Result<ConfirmOutcome, StoreError>
    ) -> AgentMachine.ConfirmAnswer {
        switch outcome {
        case .success(.held):
            log.info("lease_granted", ["lease": .text(lease.text)])
            return .held
        case .success(.gone): return .gone
        case .success(.unknownHost): return .unknownHost
        case .success(.staleSession): return .staleSession
        case .failure(let error):
            notice(error, "confirm")
            return .failed
        }
    }

    private func end(_ lease: LeaseID, _ reason: EndReason, _ origin: AgentOrigin) async -> AgentMachine.Event {
        log.info("lease_ended", ["lease": .text(lease.text), "reason": .text(reason.rawValue)])
        do throws(StoreError) {
            switch try await store.end(origin, lease, reason: reason) {
            case .ended(let next): return .endAnswered(session: origin.session, next: next)
            case .unknownLease: return .wordAnswered(session: origin.session, .ok)
            case .unknownHost: return .wordAnswered(session: origin.session, .unknownHost)
            case .staleSession: return .wordAnswered(session: origin.session, .staleSession)
            }
        } catch {
            return failed(error, "end", origin.session)
        }
    }

    private func insist(
        _ lease: LeaseID, _ ticket: TicketID, _ by: String, _ origin: AgentOrigin
    ) async -> AgentMachine.Event {
        let answer: AgentMachine.InsistAnswer
        do throws(StoreError) {
            switch try await store.insist(origin, lease, for: ticket, by: by) {
            case .ending:
                log.info("lease_preempted", ["lease": .text(lease.text), "by": .text(by)])
                answer = .ending
            case .spared: answer = .spared
            case .unknownLease: answer = .unknownLease
            case .unknownHost: answer = .unknownHost
            case .staleSession: answer = .staleSession
            }
        } catch {
            notice(error, "insist")
            answer = .failed
        }
        return .insistAnswered(session: origin.session, lease, ticket, answer)
    }

    private func told(_ outcome: WordOutcome, _ session: Int64) -> AgentMachine.Event {
        switch outcome {
        case .ok: .wordAnswered(session: session, .ok)
        case .unknownHost: .wordAnswered(session: session, .unknownHost)
        case .staleSession: .wordAnswered(session: session, .staleSession)
        }
    }

    private func failed(_ error: StoreError, _ script: StaticString, _ session: Int64) -> AgentMachine.Event {
        notice(error, script)
        return .wordAnswered(session: session, .failed)
    }

    private func notice(_ error: StoreError, _ script: StaticString) {
        log.warning("script_failed", ["script": .text("\(script)"), "error": .text(error.message)])
    }
}
