import EventLoop
import LeaseModel
import RedisClient
import Synchronization
import TestSupport

/// The three connections of a coordinator, and what came through them.
final class Followers: Sendable {
    let client: RedisClient
    let messages = Mutex<[String]>([])
    let entries = Mutex<[String]>([])
    private let loop: EventLoop
    private let subscription: RedisSubscription
    private let reader: RedisStreamReader
    private let channel: String
    private let stream: String

    init(_ loop: EventLoop, _ endpoint: RedisEndpoint, _ settings: RedisSettings = .init(), tag: String = "{p}") {
        let endpoint = endpoint.serving(slotOf: "absent\(tag)")
        self.loop = loop
        channel = "to:\(tag)"
        stream = "events:\(tag)"
        client = RedisClient(loop: loop, endpoint: endpoint, name: "follower", log: .silent, settings: settings)
        subscription = RedisSubscription(
            loop: loop, endpoint: endpoint, name: "follower-inbox", log: .silent, settings: settings)
        reader = RedisStreamReader(
            loop: loop, endpoint: endpoint, name: "follower-events", stream: stream, log: .silent, settings: settings)
    }

    func start() async throws {
        try await loop.run { [self] in
            client.start()
            subscription.start(channels: [channel]) { _, body in
                self.messages.withLock { $0.append(String(decoding: body, as: UTF8.self)) }
            }
            reader.start(
                after: "0",
                onEntries: { entries in
                    self.entries.withLock { $0 += entries.compactMap { EventFields(words: $0.words)["word"] } }
                })
        }
    }

    /// Says a word until it has come back through the inbox and the stream, also while a failover is under way.
    func expectAllToWork(_ word: String) async throws {
        try await eventually("\(word): the stream tells it", within: .seconds(20)) {
            _ = try? await self.client.command(["XADD", .text(self.stream), "*", "word", .text(word)])
            return self.entries.withLock { $0.contains(word) }
        }
        try await eventually("\(word): the inbox tells it", within: .seconds(20)) {
            _ = try? await self.client.command(["PUBLISH", .text(self.channel), .text(word)])
            return self.messages.withLock { $0.contains(word) }
        }
    }

    /// The port of the server that takes the commands; nil while there is none.
    func port() async throws -> Int? {
        guard let info = try? await client.command(["INFO", "server"]).text else { return nil }
        return info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("tcp_port:") }.flatMap {
            Int($0.dropFirst("tcp_port:".count))
        }
    }

    func close() async {
        await reader.close()
        await subscription.close()
        await client.close()
    }
}
