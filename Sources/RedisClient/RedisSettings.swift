/// The bounds of one connection to Redis.
package struct RedisSettings: Equatable, Sendable {
    /// How long a command waits for its answer. Without one in that time the connection is given up.
    package var deadline = Duration.seconds(2)
    /// How long connecting may take, log-in and start-up checks included.
    package var connectDeadline = Duration.seconds(2)
    /// How long one sentinel or cluster node may take to say where the master is, before the next is asked.
    package var askDeadline = Duration.milliseconds(700)
    /// How often sentinels or nodes are asked whether the master is still the one that is used: it may live on, cut
    /// off from the others, and never say that it has been replaced. Cut by a random part of up to a half.
    package var lookInterval = Duration.seconds(3)
    /// Commands that may wait for their answers at one time; the next is refused as `overloaded`.
    package var inFlightLimit = 4096
    /// The first pause before connecting again; it doubles with each failure, and each is cut by a random part of up
    /// to a half, so that many clients do not come back at one instant.
    package var firstPause = Duration.milliseconds(50)
    /// The longest pause; waiting requests have to move within 10 s of the last fault.
    package var longestPause = Duration.seconds(2)
    /// The oldest server that will do.
    package var oldestVersion = RedisVersion(major: 7, minor: 0)

    package init() {}
}

/// The first two numbers of a server's version.
package struct RedisVersion: Comparable, Sendable, CustomStringConvertible {
    package let major: Int
    package let minor: Int

    package init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    init?(parsing text: some StringProtocol) {
        let parts = text.split(separator: ".")
        guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        self.init(major: major, minor: minor)
    }

    package static func < (a: RedisVersion, b: RedisVersion) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
    package var description: String { "\(major).\(minor)" }
}

/// How things stand with the server.
package enum RedisState: Equatable, Sendable {
    /// Commands are taken. The generation rises with every connection, so that who remembers it sees a gap.
    case connected(generation: Int)
    /// There is no connection; another is tried for ever.
    case disconnected(reason: String)
    /// The server answers but must not be used; it is asked again, in case that is mended.
    case refused(reason: String)
}
