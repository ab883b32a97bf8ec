/// Why a host does not join. Each text says what to do; nothing was changed then.
package enum JoinError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The token would go through the network for everybody to read.
    case inClear(String)
    case tokenFile(String, why: String)
    case unreachable(String, why: String)
    /// The coordinator's own words.
    case refused(String, status: Int, message: String)
    /// It answers, but not as a coordinator does.
    case notUnderstood(String)
    case otherPool(wanted: String, got: String)
    case redis(String, why: String)
    /// What answers at that address is not the Redis of the coordinator.
    case otherRedis(String)
    case settingsStand(String, names: [String])
    case settings(String, why: String)
    case state(String, why: String)

    package var description: String {
        switch self {
        case .inClear(let url):
            "\(url) is on another machine and speaks without TLS, so that everybody on the way could read the token and the password of Redis. Join by https://, or through a tunnel to an address of this machine."
        case .tokenFile(let path, let why):
            "The token file \(path) cannot be used (\(why)). It has to hold one token and be readable for this user."
        case .unreachable(let url, let why):
            "No coordinator answers at \(url) (\(why)). Look at the address, and with --ca-file at its authority."
        case .refused(let url, let status, let message):
            "The coordinator at \(url) refuses (\(status)): \(message)"
        case .notUnderstood(let url):
            "What answers at \(url) is no coordinator that lets agents join. Look at the address and at its version."
        case .otherPool(let wanted, let got):
            "The coordinator serves the pool \(got), and \(wanted) was asked for. Name the right one with --pool."
        case .redis(let address, let why):
            "The pool's Redis cannot be used from here: \(address) (\(why)). Open the way to it, or have another address named to agents by the coordinator's --agent-redis."
        case .otherRedis(let address):
            "A Redis answers at \(address), but it is not the coordinator's: that one is not known there. Have the right address named to agents by the coordinator's --agent-redis."
        case .settingsStand(let path, let names):
            "\(path) already says otherwise (\(names.joined(separator: ", "))). Look at it; --force replaces these lines."
        case .settings(let path, let why):
            "The settings \(path) cannot be written (\(why)). Call as root, or name another file with --settings."
        case .state(let path, let why):
            "The state directory \(path) cannot be used (\(why)). Call as root or as its owner, or name another with --state-dir."
        }
    }
}
