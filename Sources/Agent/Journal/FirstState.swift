import EventLoop
import LeaseModel

/// What `leasehold-agent init` came to: whether the state directory now says that nothing was ever held here.
package enum FirstState: Equatable, Sendable {
    /// An empty journal was written; the next start's units need not rest.
    case made
    /// There is, or was, a journal, and nothing was changed.
    case known
    /// The host booted so lately that a lease from before may stand; nothing was written, so the units rest.
    case bootedLately(rest: Duration)

    package func description(of directory: String) -> String {
        switch self {
        case .made: "The state directory \(directory) is new: the GPUs can be leased from the first start on."
        case .known: "The state directory \(directory) has held a journal before; nothing was changed."
        case .bootedLately(let rest):
            "This host booted lately, so a lease from before may stand: the GPUs rest for \(rest.components.seconds) s from the first start on."
        }
    }
}

extension JournalFile {
    /// Says that nothing was ever held on this host, for an agent that starts later, unless that may be untrue.
    ///
    /// Unlike `--first-join` this is for installers, which cannot know what the machine did before: leases of an
    /// earlier boot are given the time to end. The journal is of this boot, so that a reboot before the agent's first
    /// start counts as one (design §6).
    ///
    /// - Parameter uptime: Since the host booted; nil where somebody who knows has said that no lease was ever held here.
    func makeFirst(
        instance: InstanceID, uptime: Duration?, longestTTL: Duration, lockDelay: Duration
    ) throws(LoopError) -> FirstState {
        guard past(isFirstJoin: true, wallClock: .zero) == .firstJoin else { return .known }
        let rest = longestTTL + lockDelay
        guard uptime.map({ $0 > rest }) ?? true else { return .bootedLately(rest: rest) }
        try write(AgentMemory(instance: instance, units: [], longestTTL: .zero))
        return .made
    }
}
