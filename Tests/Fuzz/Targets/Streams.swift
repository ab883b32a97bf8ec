import LeaseModel
import RedisClient

@testable import Coordinator
@testable import HTTP

/// Where a stream is resumed is an id or refused; a stream reads the same however it is cut into packets.
enum Streams {
    static func look(at bytes: [UInt8]) throws {
        try lookAtID(String(decoding: bytes, as: UTF8.self))
        try lookAtFields(bytes)
        let whole = read(bytes, packets: max(1, bytes.count))
        let cut = read(bytes, packets: Int(bytes.last ?? 0) % 16 + 1)
        // One that is refused for its size may have been read up to the packet before.
        try kept(whole == cut || (whole == nil && cut == nil), "cut into packets it reads differently")
    }

    private static func lookAtID(_ text: String) throws {
        let id: RedisStreamID?
        do throws(Malformed) {
            id = try Coordinator.eventID(text)
        } catch {
            return try kept(error.description.utf8.count < 200, "the refusal is long")
        }
        guard let id else { return try kept(text.isEmpty, "\(text.debugDescription) is passed over") }
        try kept(RedisStreamID(parsing: id.text) == id, "\(id.text) is not itself")
        try kept(id.before <= id && (id == .beginning || id.before < id), "nothing lies before \(id.text)")
        try kept(id.text.utf8.allSatisfy { 0x30...0x39 ~= $0 || $0 == 0x2D }, "\(id.text) is no id")
    }

    /// Words of an entry that Redis has made, and one that somebody else has written there.
    private static func lookAtFields(_ bytes: [UInt8]) throws {
        let fields = EventFields(EventFields(words: bytes).all)
        try kept(fields.all == EventFields(words: bytes).all, "its fields read differently")
        for field in fields.all { try kept(fields[field.name] != nil, "\(field.name) is not found") }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let event = EventFields([.init(name: "event", value: text)]).event else { return }
        let words = text.utf8.split(separator: 0x1F, omittingEmptySubsequences: false)
        try kept(event.type.utf8.elementsEqual(words[0]), "the type is another")
        try kept(event.fields.all.count == (words.count - 2) / 2, "a field is lost")
    }

    private static func read(_ bytes: [UInt8], packets: Int) -> [ServerSentEvent]? {
        var parser = EventStreamParser(eventBytes: 1024)
        var events: [ServerSentEvent] = []
        for start in stride(from: 0, to: bytes.count, by: packets) {
            guard let more = parser.read(bytes[start..<min(start + packets, bytes.count)]) else { return nil }
            events += more
        }
        return events
    }
}
