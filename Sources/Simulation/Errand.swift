import Agent
import Coordinator
import LeaseStore

/// One script on its way to Redis, and its answer on the way back.
final class Errand {
    /// What the sender hears.
    enum Answer: Sendable {
        case agent(AgentMachine.Event)
        case waiters(Waiters.Event)
        case renewals(Renewals.Event)
        /// Nil where no answer came.
        case beat(number: Int64, BeatOutcome?)
        case released(ReleaseOutcome?)
        case revoked(RevokeOutcome?)
        case nothing

        /// Whether a heartbeat found everything as it was.
        var isRoutine: Bool {
            switch self {
            case .agent(.heartbeatAnswered(_, .heard(let messages))): messages.isEmpty
            case .beat(_, let outcome?):
                outcome.unknown.isEmpty && outcome.moved.isEmpty && outcome.held.isEmpty
                    && outcome.more.isEmpty && outcome.settling == .settled
            case .agent, .waiters, .renewals, .beat, .released, .revoked, .nothing: false
            }
        }
    }

    /// A store's function with everything it is called with. It runs its script at most once a call.
    typealias Twin = @Sendable () async -> Answer

    let name: String
    let twin: Twin
    let hear: (Answer) -> Void
    /// The connection it was sent on, and which one of it.
    let link: Link
    let generation: Int
    let master: Master
    /// The run of the process that sent it.
    let run: Int
    var answer: Answer?

    /// Its sender has given up the connection that it was sent on.
    var isLate: Bool { run != link.process.run || generation != link.generation }

    init(_ name: String, on link: Link, twin: @escaping Twin, hear: @escaping (Answer) -> Void) {
        self.name = name
        self.link = link
        generation = link.generation
        master = link.master
        run = link.process.run
        self.twin = twin
        self.hear = hear
    }
}
