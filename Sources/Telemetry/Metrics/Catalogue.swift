/// Every metric there is. Documents, alerts and the dashboard are held against this list.
package enum Catalogue {
    private static let priorityClass = Metric.Label("class", ["voice", "console", "standard", "dreamer"])
    private static let seconds = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
    ]

    // MARK: Both programs

    package static let buildInfo = Gauge(
        "leasehold_build_info", "Always 1; says which version runs.", labels: [.init("version"), .init("program")])
    package static let redisUp = Gauge("leasehold_redis_up", "1 while Redis is connected.")
    package static let redisRoundTrip = Histogram(
        "leasehold_redis_round_trip_seconds", "From sending a script to Redis until its answer.", buckets: seconds)
    package static let redisErrors = Counter(
        "leasehold_redis_errors_total", "Commands that Redis or the way to it failed.")

    // MARK: The coordinator

    package static let degraded = Gauge(
        "leasehold_degraded", "1 while what the coordinator shows and decides by is old or incomplete.")
    package static let queueDepth = Gauge(
        "leasehold_queue_depth", "Requests that wait in the pool, by priority class.", labels: [priorityClass])
    package static let connectedWaiters = Gauge(
        "leasehold_connected_waiters", "Lock calls that wait at this coordinator.")
    package static let lockWait = Histogram(
        "leasehold_lock_wait_seconds", "From a lock call's arrival until it was granted.", labels: [priorityClass],
        buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600])
    package static let leases = Gauge(
        "leasehold_leases", "Leases in the pool, by state.", labels: [.init("state", ["offered", "held", "ending"])])
    package static let unitsInPool = Gauge(
        "leasehold_pool_units", "Units in the pool, by kind.", labels: [.init("kind", ["gpu", "model-load"])])
    package static let hostsPresent = Gauge("leasehold_pool_hosts", "Hosts whose agent is present.")
    package static let gpus = Gauge(
        "leasehold_pool_gpus", "GPUs in the pool, by state.",
        labels: [.init("state", ["free", "offered", "held", "ending", "reserved", "resting", "unheard"])])
    package static let hostPresent = Gauge(
        "leasehold_host_present", "1 for each host whose agent is present, 0 while it is away.",
        labels: [.init("host")],
        series: Metric.hosts)
    package static let hostEvents = Counter(
        "leasehold_host_events_total",
        "What happened to hosts: their agent registered (started anew, or its units changed), was lost, came back, "
            + "rejected an offer, or let one lapse.", labels: [.init("host"), .init("event")], series: Metric.hosts)
    package static let grants = Counter(
        "leasehold_lock_grants_total", "Lock calls answered with a lease.", labels: [priorityClass])
    package static let timeouts = Counter(
        "leasehold_lock_timeouts_total", "Lock calls that waited in vain.", labels: [priorityClass])
    package static let cancels = Counter(
        "leasehold_lock_cancels_total", "Lock calls whose client went away.", labels: [priorityClass])
    package static let refusals = Counter(
        "leasehold_lock_refusals_total", "Lock calls refused: forced, no such unit, too many waiting, shutting down.",
        labels: [.init("reason")])
    package static let renewals = Counter(
        "leasehold_renewals_total", "Renew calls, by how they were answered.",
        labels: [.init("outcome", ["renewed", "gone", "unanswered"])])
    package static let releases = Counter("leasehold_leases_released_total", "Leases that their holders gave back.")
    package static let expiries = Counter("leasehold_leases_expired_total", "Leases that nobody renewed in time.")
    package static let forceReleases = Counter(
        "leasehold_leases_force_released_total", "Leases that an administrator ended.",
        labels: [.init("by", ["revoke", "reset", "force-release-all"])])
    package static let preemptions = Counter(
        "leasehold_preemptions_total", "Holders asked to give a unit back, and what came of it.",
        labels: [.init("step", ["asked", "spared", "revoked"])])
    package static let httpRequests = Counter(
        "leasehold_http_requests_total", "HTTP requests, by route and status.",
        labels: [.init("route"), .init("status")])
    package static let eventSubscribers = Gauge(
        "leasehold_event_stream_subscribers", "Open event streams at this coordinator.")
    package static let httpConnections = Gauge("leasehold_http_connections", "Open connections of clients.")
    package static let httpConnectionsClosed = Counter(
        "leasehold_http_connections_closed_total",
        "Connections that were closed for the sake of others, by reason: room (they were idle and all places taken), unread (they did not take their answers and memory ran short).",
        labels: [.init("reason", ["room", "unread"])])

    // MARK: The agent

    package static let units = Gauge(
        "leasehold_agent_units", "Units of this host, by state.",
        labels: [.init("state", ["free", "resting", "confirming", "held", "ending"])])
    package static let confirms = Counter("leasehold_agent_confirms_total", "Offers that this agent confirmed.")
    package static let rejects = Counter(
        "leasehold_agent_rejects_total", "Offers that this agent rejected.", labels: [.init("reason")])
    package static let agentSessions = Counter(
        "leasehold_agent_sessions_total", "Connections to Redis that this agent has begun to speak on.")
    package static let heartbeatAge = Gauge(
        "leasehold_agent_heartbeat_age_seconds",
        "Since Redis last answered a heartbeat; above 15 the host counts as lost.")
    package static let agentExpiries = Counter(
        "leasehold_agent_expiries_total",
        "Leases that this agent ended because their time was up; what a lost connection may have taken is told again.")
    package static let agentEnds = Counter(
        "leasehold_agent_leases_ended_total", "Ends of leases that this agent has told, by reason; likewise.",
        labels: [.init("reason")])
    package static let journalWrites = Counter(
        "leasehold_agent_journal_writes_total", "Times the journal was replaced.")
    package static let journalFailures = Counter(
        "leasehold_agent_journal_failures_total", "Times the journal could not be replaced.")
    package static let heartbeats = Counter(
        "leasehold_agent_heartbeats_total", "Heartbeats that Redis answered.")
    package static let probeRuns = Counter("leasehold_agent_probe_runs_total", "Searches for devices.")
    package static let probeFailures = Counter(
        "leasehold_agent_probe_failures_total", "Searches that found nothing out, so that the devices of before stand.")

    // MARK: Who shows what

    package static let coordinator: [Metric] = [
        buildInfo.metric, degraded.metric, redisUp.metric, redisRoundTrip.metric, redisErrors.metric,
        queueDepth.metric, connectedWaiters.metric, lockWait.metric, leases.metric, unitsInPool.metric,
        hostsPresent.metric, gpus.metric, hostPresent.metric, hostEvents.metric, grants.metric, timeouts.metric,
        cancels.metric, refusals.metric, renewals.metric,
        releases.metric, expiries.metric, forceReleases.metric, preemptions.metric, httpRequests.metric,
        eventSubscribers.metric, httpConnections.metric, httpConnectionsClosed.metric,
    ]

    package static let agent: [Metric] = [
        buildInfo.metric, redisUp.metric, redisRoundTrip.metric, redisErrors.metric, units.metric, confirms.metric,
        rejects.metric, agentSessions.metric, heartbeatAge.metric, agentExpiries.metric, agentEnds.metric,
        journalWrites.metric, journalFailures.metric,
        heartbeats.metric, probeRuns.metric, probeFailures.metric,
    ]

    /// Each metric once.
    package static let all: [Metric] = coordinator + agent.filter { !coordinator.contains($0) }
}
