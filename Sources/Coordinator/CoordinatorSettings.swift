import HTTP
import LeaseModel
import RedisClient

/// What a coordinator is run with.
package struct CoordinatorSettings: Sendable {
    /// Where calls are taken.
    package enum Listen: Hashable, Sendable {
        /// Port 0 takes a free one; `*` is every address.
        case tcp(host: String, port: Int)
        /// A socket that only its owner may open, or everybody where there are `socketRoles`.
        case unix(path: String)
    }

    package var redis: RedisEndpoint
    /// What joining agents are told in place of `redis`, as they reach the same Redis; nil where `redis` serves them too.
    package var agentRedis: RedisEndpoint?
    /// The pool of calls that name none.
    package var pool = PoolID.standard
    /// Further pools that are served; none of them is `pool`.
    package var otherPools: [PoolID] = []
    package var aging = Aging.standard
    /// At least one.
    package var listen: [Listen] = [.tcp(host: "localhost", port: 8080)]
    /// For the TCP listeners; nil speaks plain HTTP.
    package var tls: TLSSettings?
    package var scope = Scope.pool
    /// The host whose agent is started beside this coordinator: it is not ready before the pool has that.
    package var ownHost: HostID?
    /// The longest lease that may be asked for, at most `Limits.longestTTL`.
    package var longestTTL = Limits.longestTTL
    /// Who may have whom asked to give a unit back.
    package var preemption = Preemptions.Policy()
    /// How long units of a host are held back at first for a request that takes several; zero for not at all.
    package var gathering = Limits.gathering
    /// Requests that may wait at once. Beyond: 429.
    package var waitingLimit = 10_000
    /// How long a shutdown waits for calls under way; waiters are answered at once.
    package var shutDownGrace = Duration.seconds(2)
    /// The token file; nil and no `bridgeToken` let every process of this machine do everything.
    package var tokensPath: String?
    /// The original bridge's one shared token.
    package var bridgeToken: String?
    /// What users of this machine may do on the unix sockets; nil makes these sockets their owner's alone.
    package var socketRoles: SocketRoles?
    /// Where every event is written, hash-chained; nil for nowhere.
    package var auditPath: String?
    package var origins = OriginRules.standard
    /// Names that this coordinator is called by beside its addresses.
    package var hosts: [String] = []
    package var callerLimits = CallerLimits()
    package var version: String
    package var redisSettings = RedisSettings()
    package var httpLimits = HTTPLimits()

    /// All that are served, that of calls which name none in front.
    var pools: [PoolID] { [pool] + otherPools }

    package init(redis: RedisEndpoint, version: String) {
        self.redis = redis
        self.version = version
    }
}

/// Why a coordinator does not start or go on. Each text says what to do.
package enum CoordinatorError: Error, Equatable, Sendable, CustomStringConvertible {
    case cannotListen(String, why: String)
    case redisRefused(String)
    case tokens(String, why: String)
    case audit(String)
    /// It would be open to other machines without tokens.
    case open(String)

    package var description: String {
        switch self {
        case .cannotListen(let address, let why):
            "The coordinator cannot listen at \(address) (\(why)). Stop what is there, or name another address with --listen."
        case .tokens(let path, let why): "The tokens of \(path) cannot be used: \(why)"
        case .open(let why): why
        case .audit(let why):
            "The audit file cannot be written: \(why). Verify it with \"leasehold audit --verify\", or name another one "
                + "with --audit-file."
        case .redisRefused(let why): "This Redis cannot be used: \(why)"
        }
    }
}
