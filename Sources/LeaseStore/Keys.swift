import LeaseModel

/// The keys that Swift names; the scripts build all others in `Scripts/Shared/Keys.lua` from the first.
struct Keys {
    let prefix: String
    /// What every script is given as its keys.
    let ofScripts: [String]

    init(_ pool: PoolID) {
        prefix = "lh:{\(pool.text)}:"
        ofScripts = [prefix + Self.clock, prefix + Self.absent]
    }

    /// Given to every script as `KEYS[1]`: it routes to the pool's slot and carries the prefix.
    private static let clock = "clock"
    /// Never written. It goes to every script as `KEYS[2]`: while a cluster moves the pool's slot from one node to
    /// another, neither has all keys, and a script would find half of a record there. A server that is asked for a key
    /// that it does not have refuses the script then (ASK, TRYAGAIN) before it begins.
    private static let absent = "absent"
    var absent: String { prefix + Self.absent }
    /// The hash in which each coordinator has the number of its last heartbeat.
    var beats: String { prefix + "beats" }
    var events: String { prefix + "events" }
    /// What is told to all agents of the pool.
    var allAgents: String { prefix + "to:agents" }
    /// A pattern of the pool's keys, as access rules take it.
    var all: String { prefix + "*" }
    /// A pattern of the channels of its agents and coordinators.
    var allInboxes: String { prefix + "to:*" }
    func inbox(_ instance: InstanceID) -> String { prefix + "to:" + instance.text }
}
