import EventLoop
import Telemetry

/// One entry of a stream.
package struct RedisStreamEntry: Equatable, Sendable {
    /// The server's name for the entry, as in `1712345678901-0`; later entries have greater ones.
    package let id: String
    /// The names and values of its fields in turn, as they came, each behind its length: one byte below 128, else four with
    /// the highest bit set, the highest byte first. Few of them are looked at, so no text is made of each.
    package let words: [UInt8]
}

/// Follows a stream over a connection of its own, each entry once and in order, also across reconnects.
///
/// Entries that the server has cut off or lost meanwhile are not told. When the stream's end lies before what was
/// already read, as after a flush, it begins again at the beginning. `@unchecked Sendable` holds because everything
/// happens on the loop's thread; `close` goes there first.
package final class RedisStreamReader: @unchecked Sendable {
    private let loop: EventLoop
    private let connector: RedisConnector
    private let stream: String
    private let settings: RedisSettings
    private var position: Position = .end
    private var onEntries: (([RedisStreamEntry]) -> Void)?

    private enum Position: Equatable {
        case end
        case after(RedisStreamID)
    }

    private static let blockMilliseconds: Int64 = 1000
    /// So few that whoever takes them on is soon back at other things, such as its own clients.
    private static let entriesARead: Int64 = 128
    /// A busy stream is read this often in this time, and gathered between: it then costs some hundred reads a second
    /// rather than one an entry. A quiet one tells at once.
    private static let gathering = Duration.milliseconds(5)
    private static let readsAtOnce = 2
    private var reads = 0
    private var readsBegan = Duration.zero
    private lazy var gatherTimer = loop.timer { [weak self] in
        guard let self, let link = self.connector.ready else { return }
        self.readOn(link)
    }

    package init(
        loop: EventLoop, endpoint: RedisEndpoint, name: String, stream: String, log: Log,
        settings: RedisSettings = .init()
    ) {
        self.loop = loop
        self.stream = stream
        self.settings = settings
        connector = RedisConnector(
            loop: loop, endpoint: endpoint, name: name, demands: .none, log: log, settings: settings)
    }

    /// Reads until `close`, on the loop's thread. `after` is the id of the last entry that is known; `0` reads from the
    /// beginning, `$` only what comes from now on. An id that is none reads from the beginning.
    package func start(
        after id: String, onEntries: @escaping ([RedisStreamEntry]) -> Void,
        onStateChange: @escaping @Sendable (RedisState) -> Void = { _ in }
    ) {
        loop.checkIsolated()
        position = id == "$" ? .end : .after(RedisStreamID(parsing: id) ?? .beginning)
        self.onEntries = onEntries
        connector.onReady = { [weak self] link in self?.findEnd(link) }
        connector.onStateChange = onStateChange
        connector.start()
    }

    /// Ends for ever. A reader that was started must be closed.
    package func close() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            loop.perform {
                self.connector.close()
                self.gatherTimer.disarm()
                self.onEntries = nil
                continuation.resume()
            }
        }
    }

    /// The id up to which all is read. On the loop's thread; nil before `$` has been resolved.
    package var lastID: String? {
        loop.checkIsolated()
        if case .after(let id) = position { return id.text }
        return nil
    }

    /// Asks where the stream ends, to resolve `$` and to notice a stream that has begun anew.
    private func findEnd(_ link: RedisLink) {
        ask(link, ["XREVRANGE", .text(stream), "+", "-", "COUNT", 1], settings.deadline) { reader, reply in
            guard let last = Self.entries(reply) else { return false }
            let end = last.first.flatMap { RedisStreamID(parsing: $0.id) } ?? .beginning
            switch reader.position {
            case .end: reader.position = .after(end)
            case .after(let known) where end < known: reader.position = .after(.beginning)
            case .after: break
            }
            reader.readOn(link)
            return true
        }
    }

    private func readOn(_ link: RedisLink) {
        guard case .after(let id) = position else { return findEnd(link) }
        let command: [RedisArgument] = [
            "XREAD", "COUNT", .integer(Self.entriesARead), "BLOCK", .integer(Self.blockMilliseconds),
            "STREAMS", .text(stream), .text(id.text),
        ]
        ask(link, command, .milliseconds(Self.blockMilliseconds) + settings.deadline) { reader, reply in
            if reply.isNull {
                reader.findEnd(link)
                return true
            }
            guard let pair = reply[0], pair.count == 2, let listed = pair[1], let entries = Self.entries(listed),
                let last = entries.last.flatMap({ RedisStreamID(parsing: $0.id) })
            else { return false }
            reader.position = .after(last)
            reader.onEntries?(entries)
            let pause = entries.count < Self.entriesARead ? reader.pause() : .zero
            if pause > .zero { reader.gatherTimer.arm(after: pause) } else { reader.readOn(link) }
            return true
        }
    }

    /// How long to gather before the next read.
    private func pause() -> Duration {
        let now = loop.now
        if now - readsBegan >= Self.gathering {
            readsBegan = now
            reads = 0
        }
        reads += 1
        return reads < Self.readsAtOnce ? .zero : readsBegan + Self.gathering - now
    }

    /// Gives the connection up when the answer is not what `take` understands.
    private func ask(
        _ link: RedisLink, _ command: [RedisArgument], _ deadline: Duration,
        _ take: @escaping (RedisStreamReader, RedisReplyView) -> Bool
    ) {
        let isSent = link.ask(command, deadline: deadline) { [weak self, weak link] outcome in
            guard let self, let link, link === self.connector.ready else { return }
            switch outcome {
            case .success(let reply):
                if !take(self, reply) { self.connector.abandon(link, because: "an answer that no stream gives") }
            case .failure(let error): self.connector.abandon(link, because: error.message)
            }
        }
        if !isSent { connector.abandon(link, because: "the connection takes no commands") }
    }

    private static func entries(_ reply: RedisReplyView) -> [RedisStreamEntry]? {
        guard let count = reply.count else { return nil }
        var entries: [RedisStreamEntry] = []
        entries.reserveCapacity(count)
        for index in 0..<count {
            guard let pair = reply[index], pair.count == 2, let id = pair[0]?.text, let listed = pair[1] else {
                return nil
            }
            guard let words = words(listed) else { return nil }
            entries.append(RedisStreamEntry(id: id, words: words))
        }
        return entries
    }

    /// Nil where one of them is none. Null stands for an entry that was deleted meanwhile.
    private static func words(_ listed: RedisReplyView) -> [UInt8]? {
        let count = listed.count ?? 0
        var total = 0
        for index in 0..<count {
            guard let bytes = listed[index]?.bytes, bytes.count <= Int32.max else { return nil }
            total += (bytes.count < 128 ? 1 : 4) + bytes.count
        }
        let words = [UInt8](unsafeUninitializedCapacity: total) { words, filled in
            let room = UnsafeMutableRawBufferPointer(words)
            for index in 0..<count {
                guard let bytes = listed[index]?.bytes else { break }
                if bytes.count < 128 {
                    room[filled] = UInt8(bytes.count)
                    filled += 1
                } else {
                    let length = UInt32(bytes.count) | 1 << 31
                    room.storeBytes(of: length.bigEndian, toByteOffset: filled, as: UInt32.self)
                    filled += 4
                }
                UnsafeMutableRawBufferPointer(rebasing: room[filled...]).copyMemory(from: bytes)
                filled += bytes.count
            }
        }
        return words
    }
}
