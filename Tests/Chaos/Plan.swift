import EventLoop
import TestSupport

/// How large a run is and how long its leases are.
struct Plan: Sendable {
    var seed: UInt64
    var duration: Duration
    /// Where the programs lie that were built.
    var programs: String
    /// This very program.
    var program: String
    var isRoot: Bool
    /// Names of the faults to draw from.
    var faults: [String]

    /// Where the programs run: side by side on sockets of one machine, or each on a host of its own.
    var network: Network?
    var coordinators = 2
    var agents = 3
    var unitsAHost = 4
    var workers = 6
    var clientsAWorker = 10
    /// The agent that finds its devices by a probe.
    var probedAgent = 2
    var longestTTL = Duration.seconds(4)
    /// The longest that clients ask for.
    var clientTTL = Duration.seconds(3)
    var lockDelay = Duration.milliseconds(300)

    /// Where there is a network three servers, of which one is the master, and as many sentinels.
    var redisServers: [String] { network == nil ? ["redis"] : Self.redisHosts.indices.map { "r\($0)" } }
    var sentinels: [String] { network == nil ? [] : Self.sentinelHosts.indices.map { "s\($0)" } }

    /// One by itself, one beside a coordinator, one beside an agent.
    private static let redisHosts = [0, 1, 3]
    /// Whichever host is cut off, two sentinels are left; some masters take one with them.
    private static let sentinelHosts = [1, 3, 4]

    /// The host that a program runs on where there is a network: one for Redis, then the others; a worker on each.
    func place(of program: String) -> Int {
        let number = Int(program.drop { !$0.isNumber }.prefix { $0.isNumber }) ?? 0
        return switch program.first {
        case "r": Self.redisHosts[number]
        case "s": Self.sentinelHosts[number]
        case "c": 1 + number
        case "a": 1 + coordinators + number
        case "w": number
        default: 0
        }
    }

    func host(_ index: Int) -> String { "h\(index)" }
    /// GPUs, and a unit a host for the loading of models.
    var units: Int { agents * (unitsAHost + 1) }
}

/// Numbers that follow from one.
struct RandomSeeds {
    private var source: RandomSource
    init(_ seed: UInt64) { source = RandomSource(seed: seed) }
    mutating func next() -> UInt64 { source.next() }
}
