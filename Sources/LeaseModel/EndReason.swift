/// Why a lease ended. The raw value is the word in events, in `gone` marks and in answers to a late renewal.
package enum EndReason: String, Hashable, Sendable, CaseIterable {
    /// Its holder gave it back.
    case released
    /// Nobody renewed it in time.
    case expired
    /// An admin revoked this lease.
    case revoked
    /// A waiter asked for the unit, and its holder had not given it back in its grace.
    case preempted
    /// An admin's `reset` covered it.
    case reset
    /// An admin's `force-release-all` covered it.
    case forceReleased = "force-released"
    /// Its grant could not be delivered, or its waiter left.
    case cancelled
    /// Its agent does not have it: it was restarted without its journal, or the device is gone.
    case lost
    /// A second lease for a ticket that had been answered.
    case duplicate
    /// The offer was withdrawn before it was confirmed.
    case withdrawn
}
