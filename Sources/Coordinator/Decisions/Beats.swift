import LeaseModel

/// The numbered heartbeats of one coordinator and the moments at which they were sent.
///
/// A grant's time is counted from the heartbeat that Redis had when it made the offer (design §5): a moment of this
/// host's own clock that lies before everything the agent did for the lease.
struct Beats {
    /// Numbers whose moments are kept: the longest lease's worth and as much again, at one beat every half second.
    static let kept = 2 * Int(Limits.longestTTL.milliseconds / Limits.beat.milliseconds)

    private var sent: [BootInstant] = []
    private(set) var last: Int64 = 0

    /// The number of the heartbeat that is sent at this moment.
    mutating func next(at now: BootInstant) -> Int64 {
        last += 1
        if sent.count < Self.kept {
            sent.append(now)
        } else {
            sent[Int((last - 1) % Int64(Self.kept))] = now
        }
        return last
    }

    /// When this coordinator sent the heartbeat, or nil where it did not or no longer knows.
    func moment(of number: Int64?) -> BootInstant? {
        guard let number, number >= 1, number <= last, number > last - Int64(Self.kept) else { return nil }
        return sent[Int((number - 1) % Int64(Self.kept))]
    }

    /// The moment until which a holder may count on a lease, or nil where it has to be renewed through its agent before
    /// anything is told: no number of our own, or less than half the time left (design §5).
    static func toldEnd(from begin: BootInstant?, ttl: Duration, at now: BootInstant) -> BootInstant? {
        guard let begin else { return nil }
        let end = begin + ttl - Limits.slack(of: ttl)
        return end - now >= ttl / 2 ? end : nil
    }
}
