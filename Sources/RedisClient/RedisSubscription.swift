import EventLoop
import Telemetry

/// Messages of some channels, over a connection of its own that connects again for ever.
///
/// A lost message is never told: who needs to know looks for a new generation of `connected` and asks what it missed.
/// `@unchecked Sendable` holds because everything happens on the loop's thread; `close` goes there first.
package final class RedisSubscription: @unchecked Sendable {
    private let loop: EventLoop
    private let connector: RedisConnector
    private var channels: [String] = []
    private var onMessage: ((String, [UInt8]) -> Void)?
    private var link: RedisLink?
    private var heardAt = Duration.zero
    private var unconfirmed: Set<String> = []
    private lazy var beat = loop.timer { [weak self] in self?.proveAlive() }

    /// A silent connection is noticed after these two together, 5 s. Subscribing again to a channel is the one question
    /// that a subscribed connection answers through hiredis, which swallows the answer to PING.
    private static let beatInterval = Duration.seconds(1)
    private static let longestSilence = Duration.seconds(4)

    package init(
        loop: EventLoop, endpoint: RedisEndpoint, name: String, log: Log, settings: RedisSettings = .init()
    ) {
        self.loop = loop
        connector = RedisConnector(
            loop: loop, endpoint: endpoint, name: name, demands: .none, log: log, settings: settings)
    }

    /// Subscribes until `close`, on the loop's thread. `connected` is told when the server has confirmed all channels, of
    /// which there must be at least one.
    package func start(
        channels: [String], onMessage: @escaping (String, [UInt8]) -> Void,
        onStateChange: @escaping @Sendable (RedisState) -> Void = { _ in }
    ) {
        loop.checkIsolated()
        precondition(!channels.isEmpty, "a subscription has at least one channel")
        self.channels = channels
        self.onMessage = onMessage
        connector.prepare = { [weak self] link, finish in self?.subscribe(link, finish) }
        connector.onStateChange = onStateChange
        connector.onEnd = { [weak self] in self?.ended() }
        connector.start()
    }

    /// Ends for ever. A subscription that was started must be closed.
    package func close() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            loop.perform {
                self.connector.close()
                self.ended()
                self.onMessage = nil
                continuation.resume()
            }
        }
    }

    /// How things stand. On the loop's thread.
    package var state: RedisState {
        loop.checkIsolated()
        return connector.state
    }

    private func subscribe(_ link: RedisLink, _ finish: @escaping () -> Void) {
        self.link = link
        heardAt = loop.now
        unconfirmed = Set(channels)
        link.onPush = { [weak self] push in self?.heard(push, finish) }
        guard link.subscribe(channels) else {
            return connector.abandon(link, because: "the connection takes no commands")
        }
        beat.arm(after: Self.beatInterval)
    }

    private func heard(_ push: RedisReplyView, _ finish: () -> Void) {
        heardAt = loop.now
        guard push.count == 3, let channel = push[1]?.text else {
            if let message = push.error, let link { connector.abandon(link, because: message) }
            return
        }
        switch push[0]?.text {
        case "message":
            if let body = push[2]?.bytes { onMessage?(channel, Array(body)) }
        case "subscribe":
            guard unconfirmed.remove(channel) != nil, unconfirmed.isEmpty else { return }
            finish()
        default: break
        }
    }

    private func proveAlive() {
        guard let link else { return }
        guard loop.now - heardAt <= Self.longestSilence, link.subscribe([channels[0]]) else {
            return connector.abandon(link, because: "the subscribed connection is silent")
        }
        beat.arm(after: Self.beatInterval)
    }

    private func ended() {
        link = nil
        beat.disarm()
    }
}
