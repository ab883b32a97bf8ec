import HTTP
import JSON
import LeaseModel
import RedisClient

/// The open event streams of a coordinator; for its loop's thread alone.
struct EventFeed {
    /// Streams at once. Beyond: 503.
    static let subscribers = 2000
    /// Streams of one caller, since each may hold memory for a reader that does not read. Beyond: 429.
    static let subscribersOfOne = 200
    /// Events kept for a stream that is still reading the past; beyond, it is ended and resumes by its last id.
    static let backlog = 5000
    /// Entries of one page of the past.
    static let page = 500
    /// Between two comments that keep proxies from cutting a quiet stream.
    static let commentInterval = Duration.seconds(10)

    private struct Subscriber {
        var exchange: HTTPExchange
        var caller: String
        /// Nil takes all.
        var kinds: Set<PoolEvent.Kind>?
        /// Nil once the past is told; till then what happens meanwhile.
        var later: [(id: String, kind: PoolEvent.Kind, text: [UInt8])]?
        /// The end of the past that was told: the stream's reader, on another connection, may still bring what is in it.
        var told: RedisStreamID?
    }

    private var subscribers: [UInt64: Subscriber] = [:]

    var count: Int { subscribers.count }
    func count(of caller: String) -> Int { subscribers.values.count { $0.caller == caller } }
    func has(_ number: UInt64) -> Bool { subscribers[number] != nil }

    /// - Parameters:
    ///   - caller: Whose it is counted as; empty where callers are not told apart.
    ///   - resumes: Whether the past is told first.
    mutating func add(
        _ number: UInt64, _ exchange: HTTPExchange, _ kinds: Set<PoolEvent.Kind>?, of caller: String, resumes: Bool
    ) {
        subscribers[number] = Subscriber(exchange: exchange, caller: caller, kinds: kinds, later: resumes ? [] : nil)
        _ = exchange.send(Array("retry: 1000\n\n".utf8))
    }

    mutating func remove(_ number: UInt64) { subscribers[number] = nil }

    /// Tells an event to whoever wants it.
    mutating func tell(_ event: PoolEvent) {
        guard !subscribers.isEmpty else { return }
        let text = Self.text(of: event)
        for (number, subscriber) in subscribers {
            if let told = subscriber.told {
                if RedisStreamID(event.id) <= told { continue }
                subscribers[number]?.told = nil
            }
            if let kinds = subscriber.kinds, !kinds.contains(event.kind) { continue }
            if let later = subscriber.later {
                guard later.count < Self.backlog else {
                    end(number)
                    continue
                }
                subscribers[number]?.later?.append((event.id, event.kind, text))
            } else if !subscriber.exchange.send(text) {
                subscribers[number] = nil
            }
        }
    }

    /// A piece of the past. False when the stream is over.
    mutating func tellPast(_ events: [PoolEvent], to number: UInt64) -> Bool {
        guard let subscriber = subscribers[number] else { return false }
        var text: [UInt8] = []
        for event in events where subscriber.kinds?.contains(event.kind) ?? true { text += Self.text(of: event) }
        if !text.isEmpty, !subscriber.exchange.send(text) {
            subscribers[number] = nil
            return false
        }
        return true
    }

    /// The past is told up to `last`: what has happened meanwhile follows, and then what happens.
    mutating func pastIsTold(to number: UInt64, upTo last: RedisStreamID?) {
        guard let later = subscribers[number]?.later else { return }
        subscribers[number]?.later = nil
        subscribers[number]?.told = last
        for entry in later where last.map({ $0 < RedisStreamID(entry.id) }) ?? true {
            guard let subscriber = subscribers[number], subscriber.exchange.send(entry.text) else {
                subscribers[number] = nil
                return
            }
        }
    }

    /// Keeps quiet streams open, and notices readers that are gone.
    mutating func comment() {
        let text = Array(": here\n\n".utf8)
        for (number, subscriber) in subscribers where !subscriber.exchange.send(text) { subscribers[number] = nil }
    }

    mutating func end(_ number: UInt64) {
        subscribers.removeValue(forKey: number)?.exchange.endStream()
    }

    mutating func endAll() { for number in subscribers.keys { end(number) } }

    // MARK: Texts

    /// Members of an event that are numbers.
    private static let numbers: Set<String> = ["priority", "ttl", "expires", "score", "left", "grace"]

    /// An event as a stream tells it.
    static func text(of event: PoolEvent) -> [UInt8] {
        Array("id: \(event.id)\ndata: ".utf8) + document(of: event) + [0x0A, 0x0A]
    }

    /// An event as one JSON object, its fields in the stream's order.
    static func document(of event: PoolEvent) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("id", event.id)
            writer.member("type", event.kind.rawValue)
            writer.member("at", event.at)
            for field in event.fields.all {
                let (name, value) = (field.name, field.value)
                if name == "metadata" {
                    writer.key(name)
                    if value.isEmpty { writer.null() } else { writer.json(value.utf8) }
                } else if numbers.contains(name), let number = Int64(value) {
                    writer.member(name, number)
                } else {
                    writer.member(name, value)
                }
            }
        }
        return writer.bytes
    }
}
