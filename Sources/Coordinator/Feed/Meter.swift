import EventLoop
import HTTP
import LeaseModel
import LeaseStore
import Telemetry

/// The metrics of a coordinator.
///
/// `@unchecked Sendable` holds because everything happens on the loop's thread.
final class Meter: @unchecked Sendable {
    private let loop: EventLoop
    private var registry = MetricRegistry(Catalogue.coordinator)

    init(loop: EventLoop, version: String) {
        self.loop = loop
        registry.set(Catalogue.buildInfo, version, "leasehold-coordinator", to: 1)
    }

    /// Changes metrics.
    func note(_ body: (inout MetricRegistry) -> Void) {
        loop.checkIsolated()
        body(&registry)
    }

    func roundTrip(_ duration: Duration) { note { $0.observe(Catalogue.redisRoundTrip, took: duration) } }

    func redisFailed() { note { $0.count(Catalogue.redisErrors) } }

    /// Everything in the Prometheus text format.
    var text: String {
        loop.checkIsolated()
        return registry.text
    }
}

extension Coordinator {
    func count(_ event: PoolEvent) {
        switch event.kind {
        case .released: meter.note { $0.count(Catalogue.releases) }
        case .expired: meter.note { $0.count(Catalogue.expiries) }
        case .revoked where event.lease != nil: meter.note { $0.count(Catalogue.forceReleases, "revoke") }
        case .reset where event.lease != nil: meter.note { $0.count(Catalogue.forceReleases, "reset") }
        case .preempting: meter.note { $0.count(Catalogue.preemptions, "asked") }
        case .spared: meter.note { $0.count(Catalogue.preemptions, "spared") }
        case .preempted: meter.note { $0.count(Catalogue.preemptions, "revoked") }
        case .forceReleased where event.lease != nil:
            meter.note { $0.count(Catalogue.forceReleases, "force-release-all") }
        default: break
        }
        countOfHost(event)
    }

    private static let hostWords = ["registered", "lost", "back", "rejected", "lapsed"]

    private func countOfHost(_ event: PoolEvent) {
        let word: String
        switch event.kind {
        case .registered: word = "registered"
        case .hostLost: word = "lost"
        case .hostBack: word = "back"
        case .rejected: word = "rejected"
        case .lapsed: word = "lapsed"
        default: return
        }
        guard let host = event.fields["host"] ?? event.unit?.host.text else { return }
        meter.note { $0.count(Catalogue.hostEvents, host, word) }
    }

    func count(_ outcome: LockOutcome, _ call: LockReplies.Call, began: BootInstant) {
        let name = PriorityClass(of: call.priority).rawValue
        let waited = now - began
        meter.note { registry in
            switch outcome {
            case .acquired:
                registry.count(Catalogue.grants, name)
                registry.observe(Catalogue.lockWait, name, took: waited)
            case .timedOut: registry.count(Catalogue.timeouts, name)
            case .forceReleased: registry.count(Catalogue.refusals, "forced")
            case .shuttingDown: registry.count(Catalogue.refusals, "shutting_down")
            case .ofUnknownAge: registry.count(Catalogue.refusals, "unknown_age")
            case .moved, .replaced: registry.count(Catalogue.refusals, "replaced")
            case .unknownHost, .unknownUnit: registry.count(Catalogue.refusals, "unknown_place")
            case .nameTaken: registry.count(Catalogue.refusals, "name_taken")
            case .tooManyWaiting: registry.count(Catalogue.refusals, "too_many_waiting")
            }
        }
    }

    /// What is read rather than counted.
    func metricsText() -> String {
        let waiting = Dictionary(grouping: mirror.waiters.values) { PriorityClass(ofValue: $0.priority) }
        let leases = Dictionary(grouping: mirror.leases.values, by: \.state)
        let units = Dictionary(grouping: mirror.units.values, by: \.properties.kind)
        let (isUp, isDegraded, calls, streams) = (isUp, degradedReason != nil, lockCalls.count, feed.count)
        let gpus = Dictionary(grouping: units[.gpu] ?? [], by: \.state)
        let hosts = mirror.hostOrder.compactMap { mirror.hosts[$0] }
        let connections = connectionCounts
        meter.note { registry in
            registry.set(Catalogue.redisUp, to: isUp)
            registry.set(Catalogue.degraded, to: isDegraded)
            for name in PriorityClass.allCases {
                registry.set(Catalogue.queueDepth, name.rawValue, to: waiting[name]?.count ?? 0)
            }
            registry.set(Catalogue.connectedWaiters, to: calls)
            for state in [LeaseRecord.State.offered, .held, .ending] {
                registry.set(Catalogue.leases, state.rawValue, to: leases[state]?.count ?? 0)
            }
            for kind in UnitKind.allCases {
                registry.set(Catalogue.unitsInPool, kind.rawValue, to: units[kind]?.count ?? 0)
            }
            registry.set(Catalogue.hostsPresent, to: hosts.count { $0.isPresent })
            registry.replace(
                Catalogue.hostPresent, with: hosts.map { (label: $0.host.text, value: $0.isPresent ? 1 : 0) })
            // So that the first of each is seen as a rise.
            for host in hosts {
                for word in Self.hostWords { registry.count(Catalogue.hostEvents, host.host.text, word, by: 0) }
            }
            for state in UnitRecord.State.allCases {
                registry.set(Catalogue.gpus, state.rawValue, to: gpus[state]?.count ?? 0)
            }
            registry.set(Catalogue.eventSubscribers, to: streams)
            if let connections {
                registry.set(Catalogue.httpConnections, to: connections.openConnections)
                registry.count(
                    Catalogue.httpConnectionsClosed, "room", upTo: Int64(clamping: connections.closedForRoom))
                registry.count(
                    Catalogue.httpConnectionsClosed, "unread", upTo: Int64(clamping: connections.slowReaders))
            }
        }
        return meter.text
    }
}
