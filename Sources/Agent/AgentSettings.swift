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
    package var longestTTL = Limits.longestTTL
    /// Where this agent's own HTTP is found, for show; empty for none.
    package var address = ""
    package var version: String

    package init(redis: RedisEndpoint, host: HostID, stateDirectory: String, version: String) {
        self.redis = redis
        self.host = host
        self.stateDirectory = stateDirectory
        self.version = version
    }
}
