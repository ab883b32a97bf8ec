/// What a server says that is not, or not now, the one for a command. The command has surely not run there: each of these
/// is said before it begins, or at a script's first write.
enum RedisRedirection: Equatable {
    /// It has become a replica.
    case replica
    /// Another node of the cluster has the slot.
    case moved(to: RedisEndpoint.Address)
    /// The slot's keys are on their way from one node to another, so that neither has them all.
    case underWay
    /// The cluster has no master for the slot, or cannot tell.
    case clusterDown
    /// It is a master that may not write, as too few replicas follow: it may have been replaced.
    case withoutReplicas

    /// Nil for all other errors. An address without a host means the one at `current`.
    init?(_ message: String, from current: RedisEndpoint.Address?) {
        let words = message.split(separator: " ", maxSplits: 3)
        switch words.first {
        case "READONLY": self = .replica
        case "ASK", "TRYAGAIN": self = .underWay
        case "CLUSTERDOWN": self = .clusterDown
        case "NOREPLICAS": self = .withoutReplicas
        case "MOVED":
            guard words.count == 3, let colon = words[2].lastIndex(of: ":"),
                let port = Int(words[2][words[2].index(after: colon)...]), (1...65535).contains(port)
            else { return nil }
            let host = words[2][..<colon]
            if host.isEmpty || host == "?" {
                guard case .tcp(let host, _)? = current else { return nil }
                self = .moved(to: .tcp(host: host, port: port))
            } else {
                self = .moved(to: .tcp(host: String(host), port: port))
            }
        default: return nil
        }
    }
}
