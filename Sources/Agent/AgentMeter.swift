import EventLoop
import LeaseModel
import Telemetry

/// The metrics of an agent. All methods are for its loop's thread.
actor AgentMeter {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private var registry = MetricRegistry(Catalogue.agent)
    /// When Redis last answered a heartbeat; from the start on where it never has.
    private var heardAt: Duration

    init(loop: EventLoop, version: String) {
        self.loop = loop
        heardAt = loop.now
        registry.set(Catalogue.buildInfo, version, "leasehold-agent", to: 1)
    }

    /// Changes metrics.
    nonisolated func note(_ body: @Sendable (inout MetricRegistry) -> Void) { assumeIsolated { body(&$0.registry) } }

    /// A script's answer, or that there was none.
    nonisolated func answered(after duration: Duration, isAnswer: Bool) {
        note { registry in
            if isAnswer {
                registry.observe(Catalogue.redisRoundTrip, took: duration)
            } else {
                registry.count(Catalogue.redisErrors)
            }
        }
    }

    /// What the answers of Redis say.
    nonisolated func count(_ event: AgentMachine.Event) {
        switch event {
        case .heartbeatAnswered(_, .heard):
            note { $0.count(Catalogue.heartbeats) }
            assumeIsolated { $0.heardAt = $0.loop.now }
        case .confirmAnswered(_, _, .held): note { $0.count(Catalogue.confirms) }
        default: break
        }
    }

    /// What the agent says.
    nonisolated func count(_ word: AgentMachine.Word) {
        switch word {
        case .reject(_, _, let why): note { $0.count(Catalogue.rejects, why) }
        case .end(_, let reason):
            note { registry in
                registry.count(Catalogue.agentEnds, reason.rawValue)
                if reason == .expired { registry.count(Catalogue.agentExpiries) }
            }
        case .confirm, .renewed, .refuseRenewal, .insist: break
        }
    }

    /// Everything in the Prometheus text format.
    nonisolated func text(of reports: [UnitReport], isUp: Bool) -> String {
        assumeIsolated { meter in
            let states = Dictionary(grouping: reports, by: \.state.word)
            for state in ["free", "resting", "confirming", "held", "ending"] {
                meter.registry.set(Catalogue.units, state, to: states[state]?.count ?? 0)
            }
            meter.registry.set(Catalogue.redisUp, to: isUp)
            let age = (meter.loop.now - meter.heardAt).milliseconds
            meter.registry.set(Catalogue.heartbeatAge, to: Double(age) / 1000)
            return meter.registry.text
        }
    }
}

extension UnitReport.State {
    fileprivate var word: String {
        switch self {
        case .free: "free"
        case .resting: "resting"
        case .confirming: "confirming"
        case .held, .bound: "held"
        case .ending: "ending"
        }
    }
}
