import LeaseModel

/// What one caller may ask of one coordinator.
package struct CallerLimits: Hashable, Sendable {
    /// Requests that a caller may send a second in the long run. At least 1.
    package var requestsPerSecond: Int
    /// Requests that it may send at once after a pause. At least 1.
    package var burst: Int
    /// Lock calls that it may have waiting here; nil is unlimited.
    package var waiting: Int?
    /// Units that it may hold or wait for: a lease counts as many as it spans; nil is unlimited.
    package var leases: Int?

    package init(
        requestsPerSecond: Int = 200, burst: Int = 400, waiting: Int? = 1000, leases: Int? = nil
    ) {
        self.requestsPerSecond = requestsPerSecond
        self.burst = burst
        self.waiting = waiting
        self.leases = leases
    }
}

/// Counts what callers ask of a coordinator. Callers are told apart by their names; `local` has no limits.
struct RateLimits: Sendable {
    private struct Account {
        /// When the whole burst is there again. The bucket as one moment, the generic cell rate algorithm: what is
        /// missing in it is this moment's distance from now.
        var full: BootInstant
        var waiting = 0
        /// What those that wait want to hold.
        var wanted = 0
    }

    private let settings: CallerLimits
    private let interval: Duration
    private let burst: Duration
    private var accounts: [String: Account] = [:]
    private var roomBeforeLooking = AccessLimits.accounts

    init(_ settings: CallerLimits = CallerLimits()) {
        precondition(settings.requestsPerSecond > 0 && settings.burst > 0, "a limit lets something through")
        self.settings = settings
        interval = .seconds(1) / settings.requestsPerSecond
        burst = interval * settings.burst
    }

    /// How many callers are remembered.
    var count: Int { accounts.count }

    /// Counts a request. Why it is refused, nil where it is served; a refused one counts for nothing.
    mutating func take(_ caller: Access.Caller, at now: BootInstant) -> AccessRefusal? {
        guard !caller.name.isEmpty else { return nil }
        let full = max(accounts[caller.name]?.full ?? now, now) + interval
        guard full - now <= burst else { return .tooManyRequests(retryAfter: full - now - burst) }
        makeRoom(at: now)
        accounts[caller.name, default: Account(full: now)].full = full
        return nil
    }

    /// Counts a lock call that begins to wait, to be followed by one `endWait`. Why it is refused, nil where it may.
    ///
    /// - Parameters:
    ///   - held: How many units this caller's leases have.
    ///   - wanted: How many it asks for.
    mutating func beginWait(
        _ caller: Access.Caller, held: Int, wanted: Int = 1, at now: BootInstant
    ) -> AccessRefusal? {
        guard !caller.name.isEmpty else { return nil }
        let waiting = accounts[caller.name]?.waiting ?? 0
        if let limit = settings.waiting, waiting >= limit { return .tooManyWaiting(limit: limit) }
        // Each that waits may become a lease without another word.
        if let limit = settings.leases, held + (accounts[caller.name]?.wanted ?? 0) + wanted > limit {
            return .tooManyLeases(limit: limit)
        }
        makeRoom(at: now)
        accounts[caller.name, default: Account(full: now)].waiting += 1
        accounts[caller.name]?.wanted += wanted
        return nil
    }

    /// A lock call waits no more, however it ended; with what it began with.
    mutating func endWait(_ caller: Access.Caller, wanted: Int = 1) {
        guard !caller.name.isEmpty else { return }
        guard let waiting = accounts[caller.name]?.waiting, waiting > 0 else {
            preconditionFailure("a wait ends once, after it has begun")
        }
        accounts[caller.name]?.waiting = waiting - 1
        accounts[caller.name]?.wanted -= wanted
    }

    /// Forgets callers at rest, whose account reads as that of a new one; looks at all only when their number has doubled.
    private mutating func makeRoom(at now: BootInstant) {
        guard accounts.count >= roomBeforeLooking else { return }
        accounts = accounts.filter { $0.value.waiting > 0 || $0.value.full > now }
        roomBeforeLooking = max(AccessLimits.accounts, accounts.count * 2)
    }
}
