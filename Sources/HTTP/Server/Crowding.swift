/// How dispensable a connection is to a server that has no place left; the lowest goes first.
struct Dispensability: Comparable {
    enum Rank: Int {
        /// No request of it has ever been complete.
        case hasAskedNothing
        /// Between two requests.
        case idle
        /// In the midst of a request that is not its first.
        case sending
    }

    var rank: Rank
    /// Since when, by the loop's clock.
    var since: Duration

    static func < (one: Dispensability, other: Dispensability) -> Bool {
        (one.rank.rawValue, one.since) < (other.rank.rawValue, other.since)
    }
}

/// Who gets a place among a server's connections. It counts and decides; `HTTPServer` acts.
struct Crowding {
    private struct Network {
        var count = 0
        /// Till then a further look for dispensable connections would be in vain.
        var lookAgain = Duration.zero
    }

    private let limits: HTTPLimits
    private var admitted = 0
    private var beingRefused = 0
    private var networks: [PeerNetwork: Network] = [:]
    private var lookAgain = Duration.zero

    init(_ limits: HTTPLimits) { self.limits = limits }

    /// Whether dispensable connections have to be closed before one from `network` may come: those of that network, or
    /// of all. Nil where there is room, or where a look a moment ago found none.
    func lack(for network: PeerNetwork?, at now: Duration) -> Lack? {
        if admitted >= limits.connections, now >= lookAgain { return Lack(of: nil, count: limits.connections / 64) }
        if let network, let known = networks[network], known.count >= limits.connectionsPerAddress,
            now >= known.lookAgain
        {
            return Lack(of: network, count: limits.connectionsPerAddress / 64)
        }
        return nil
    }

    /// What has to make room.
    struct Lack: Equatable {
        /// Nil is all of them.
        var network: PeerNetwork?
        /// How many have to go; several at once, since to look for them is dear.
        var count: Int

        init(of network: PeerNetwork?, count: Int) {
            self.network = network
            self.count = max(1, count)
        }
    }

    /// Nothing was dispensable.
    mutating func lookedInVain(for lack: Lack, at now: Duration) {
        let later = now + limits.descriptorPause
        if let network = lack.network { networks[network]?.lookAgain = later } else { lookAgain = later }
    }

    enum Verdict: Equatable {
        case admitted
        case refused(Refusal)
        /// Not even a word can be spared.
        case dropped
    }

    /// A connection has come. Unless it is dropped, `left` follows once.
    mutating func came(from network: PeerNetwork?, isShuttingDown: Bool) -> Verdict {
        let verdict = verdict(on: network, isShuttingDown)
        switch verdict {
        case .admitted:
            admitted += 1
            if let network { networks[network, default: Network()].count += 1 }
        case .refused: beingRefused += 1
        case .dropped: break
        }
        return verdict
    }

    private func verdict(on network: PeerNetwork?, _ isShuttingDown: Bool) -> Verdict {
        if isShuttingDown {
            let room = limits.connections + limits.refusedConnections
            return admitted + beingRefused < room ? .refused(.shuttingDown) : .dropped
        }
        let refusal: Refusal
        if admitted >= limits.connections {
            refusal = .overloaded
        } else if let network, let known = networks[network], known.count >= limits.connectionsPerAddress {
            refusal = .crowded
        } else {
            return .admitted
        }
        return beingRefused < limits.refusedConnections ? .refused(refusal) : .dropped
    }

    mutating func left(_ network: PeerNetwork?, wasAdmitted: Bool) {
        guard wasAdmitted else {
            beingRefused -= 1
            return
        }
        admitted -= 1
        guard let network, let count = networks[network]?.count else { return }
        if count > 1 { networks[network]?.count = count - 1 } else { networks[network] = nil }
    }
}
