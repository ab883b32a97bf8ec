import LeaseModel
import RedisClient

/// What an agent is run with.
package struct AgentSettings: Sendable {
    package var redis: RedisEndpoint
    package var pool = PoolID.standard
    package var host: HostID
    /// Holds the journal; one agent at a time.
    package var stateDirectory: String
    /// The caller has just made the state directory, so no lease of this host can stand (design §6).
    package var isFirstJoin = false
    package var labels: [String: String] = [:]
    package var lockDelay = Limits.lockDelay
    /// The pool's longest lease: how long the units rest where it is not known what they held.
    package var longestTTL = Limits.longestTTL
    /// The longest that the processes of a lease have between being asked to end and being killed, whatever it asked for.
    package var longestGrace = Limits.longestGrace
    /// How often the devices are looked at again.
    package var probeInterval = Duration.seconds(60)
    /// Where `verify` is answered over TCP, beside the unix socket in the state directory; port 0 takes a free one.
    package var verifyListen: (host: String, port: Int)?
    /// Where others find that, or programs of this machine its socket, as `unix://PATH`; empty for nowhere.
    package var address = ""
    package var version: String
    package var redisSettings = RedisSettings()

    package init(redis: RedisEndpoint, host: HostID, stateDirectory: String, version: String) {
        self.redis = redis
        self.host = host
        self.stateDirectory = stateDirectory
        self.version = version
    }
}
