import LeaseModel
import LeaseStore
import Telemetry

/// What `Preemptions` needs of the copy of the pool, and its actions performed.
extension Coordinator {
    /// The request is queued, and its client wants a holder to be asked.
    func preemptionWanted(_ request: LockRequest, isQueued: Bool) {
        preemptions.waits(
            Preemptions.Wish(
                ticket: request.ticket, selector: request.selector, priority: request.priority, by: request.by))
        // In a crowd the next heartbeat looks for all of them at once.
        if isQueued, preemptions.count <= Preemptions.searchesAtOnce { lookForHolders() }
    }

    func lookForHolders() {
        guard !preemptions.isEmpty, isUp else { return }
        perform(preemptions.look(at: mirror.candidates, poolNow: pool.clock(at: now), at: now))
    }

    /// The request is answered or given up.
    func preemptionOver(_ ticket: TicketID, isElsewhere: Bool = false) {
        guard !preemptions.isEmpty else { return }
        perform(preemptions.over(ticket, isElsewhere: isElsewhere))
    }

    private func perform(_ actions: [Preemptions.Action]) {
        for action in actions {
            switch action {
            case .preempt(let wish, let lease): preempt(wish, lease)
            case .spare(let ticket, let lease): spare(ticket, lease)
            }
        }
    }

    private func preempt(_ wish: Preemptions.Wish, _ lease: LeaseID) {
        loop.spawn { [store, instance, log, policy = preemptions.policy] in
            let answer: Preemptions.Answer
            do throws(StoreError) {
                switch try await store.preempt(
                    lease, for: wish.ticket, coordinator: instance, distance: policy.distance, minRun: policy.minRun,
                    by: wish.by)
                {
                case .asked(let lease): answer = .asked(lease)
                case .notNow: answer = .notNow
                }
            } catch {
                log.warning("preempt_failed", ["lease": .text(lease.text), "error": .text(error.message)])
                answer = .failed
            }
            await self.preempted(wish.ticket, answer)
        }
    }

    private func preempted(_ ticket: TicketID, _ answer: Preemptions.Answer) {
        perform(preemptions.answered(ticket, answer, at: now))
    }

    private func spare(_ ticket: TicketID, _ lease: LeaseID) {
        loop.spawn { [store, log] in
            do throws(StoreError) {
                _ = try await store.spare(lease, for: ticket)
            } catch {
                // Its agent asks whether the waiter still waits before it ends anything.
                log.warning("spare_failed", ["lease": .text(lease.text), "error": .text(error.message)])
            }
        }
    }
}

extension PoolMirror {
    /// The leases that are held on units that could be granted again.
    var candidates: [Preemptions.Candidate] {
        leases.values.flatMap { lease -> [Preemptions.Candidate] in
            guard lease.state == .held, let granted = lease.granted, let host = hosts[lease.lease.unit.host],
                host.isPresent, !host.isCordoned
            else {
                return []
            }
            // One that spans several units gives all of them back: it is asked for any.
            return lease.units.compactMap { units[$0] }.map { unit in
                Preemptions.Candidate(
                    lease: lease.lease, priority: lease.priority, granted: granted,
                    preemptor: lease.preemption?.ticket, properties: unit.properties, labels: host.labels)
            }
        }
    }
}
