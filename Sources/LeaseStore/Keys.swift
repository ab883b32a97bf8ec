import LeaseModel

/// The keys that Swift names; the scripts build all others in `Scripts/Shared/Keys.lua` from the first.
struct Keys {
    let prefix: String

    init(_ pool: PoolID) { prefix = "lh:{\(pool.text)}:" }

    /// Given to every script as `KEYS[1]`: it routes to the pool's slot and carries the prefix.
    var clock: String { prefix + "clock" }
    var events: String { prefix + "events" }
    /// What is told to all agents of the pool.
    var allAgents: String { prefix + "to:agents" }
    func inbox(_ instance: InstanceID) -> String { prefix + "to:" + instance.text }
}
