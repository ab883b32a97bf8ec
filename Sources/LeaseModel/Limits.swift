/// The bounds of the lease protocol: value, unit, reason, and what a caller sees beyond it.
package enum Limits {
    /// Characters of a host, pool, unit or label name. Beyond: 400.
    package static let nameLength = 64
    /// Bytes of a holder's id. Beyond: 400.
    package static let holderBytes = 200
    /// Bytes of a `request_id`. Beyond: 400.
    package static let requestIDBytes = 200
    /// Bytes of `metadata` as compact JSON. Beyond: 400.
    package static let metadataBytes = 2048
    /// Arrays and objects within each other in `metadata`: it stands within lists of a status and entries of an audit
    /// file, whose readers go no deeper than 32. Beyond: 400.
    package static let metadataDepth = 16
    /// Bytes of a reason that an admin gives. Beyond: 400.
    package static let reasonBytes = 500
    /// Labels of one host or of one selector. Beyond: 400, or the agent refuses to start.
    package static let labels = 16
    /// Priorities reach from 0 (first) to this. Beyond: 400.
    package static let lowestPriority = 100
    /// The longest `affinity` in bytes.
    package static let affinityBytes = 200
    /// The shortest lease (design §5: slack is a quarter of it).
    package static let shortestTTL = Duration.milliseconds(100)
    /// The longest lease of a pool (design §7, `max_ttl`).
    package static let longestTTL = Duration.seconds(600)
    /// A lease's time where the request names none: the original bridge's clients never renew (design §7).
    package static let standardTTL = Duration.seconds(120)
    /// What a lease's processes have between SIGTERM and SIGKILL where the request says nothing.
    package static let standardGrace = Duration.seconds(30)
    /// The longest grace that may be asked for: a unit is nobody's for as long. Beyond: 400.
    package static let longestGrace = Duration.seconds(600)
    /// Between SIGTERM and SIGKILL, at most, once a lease's grace has passed in being asked.
    package static let preemptedGrace = Duration.seconds(5)
    /// Asks of one coordinator that are on their way to Redis at once, which each hold some kilobytes; others wait for their
    /// turn. Redis is kept busy by far fewer.
    package static let asksAtOnce = 256
    /// Messages that a coordinator takes before it looks at its sockets again: an emergency refuses thousands of requests in
    /// one message, and each refusal is an answer to be sent.
    package static let messagesATurn = 64
    /// How much worse a lease's priority is than that of a request that may preempt it.
    package static let preemptDistance = 10
    /// How long a lease is left alone, so that units do not go back and forth.
    package static let minRun = Duration.seconds(10)
    /// How long a lock call waits where it names no timeout (design §7).
    package static let standardTimeout = Duration.seconds(120)
    /// The longest wait of a lock call. Refusals by force are remembered for as long (design §6).
    package static let longestTimeout = Duration.seconds(3600)
    /// The longest time that a drain gives to holders; one without a deadline has no end.
    package static let longestDrain = Duration.seconds(7 * 86400)
    /// An offer that is not confirmed lapses after this (design §4.2).
    package static let offerWindow = Duration.seconds(2)
    /// An agent's heartbeat (design §6).
    package static let heartbeat = Duration.seconds(5)
    /// A host is present for this long after a heartbeat (design §6, host dies).
    package static let hostPresence = Duration.seconds(15)
    /// A coordinator's heartbeat (design §4.7).
    package static let beat = Duration.milliseconds(500)
    /// A silent coordinator's tickets are dropped after this (design §4.7).
    package static let coordinatorPresence = Duration.seconds(5)
    /// Between the end of a lease by time and the next grant (design §5).
    package static let lockDelay = Duration.seconds(2)
    /// How long a renewal waits for the agent's answer (design §4.3), and an admin's call for the agents (§4.6).
    package static let answerWindow = Duration.seconds(2)
    /// How long a grant that cannot be delivered waits for a client that gave a `request_id` (design §4.7).
    package static let redelivery = Duration.seconds(5)
    /// Waiting tickets that one coordinator's heartbeat names; each is named every 5 s.
    package static let ticketsPerBeat = 1000
    /// Units that one lease may span. Beyond: 400.
    package static let unitsPerLease = 64
    /// How long units of a host are held back at first for a request that takes several (docs/protocol.md §5).
    package static let gathering = Duration.seconds(30)
    /// Units of one host. Beyond: the agent refuses to start.
    package static let unitsPerHost = 4096
    /// Entries that the event stream keeps, about.
    package static let events = 10_000

    /// What is taken off a lease's time before it is told to its holder (design §5): 1 s, under 4 s a quarter.
    package static func slack(of ttl: Duration) -> Duration { min(.seconds(1), ttl / 4) }
}
