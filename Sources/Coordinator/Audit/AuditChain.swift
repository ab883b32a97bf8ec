import EventLoop
import JSON
import RedisClient

/// Entries of an audit file as lines of JSON, each with the hash of the one before it:
///
///     {"n":7,"previous":"HASH","entry":{…},"hash":"HASH"}
///
/// `hash` is the SHA-256, in hexadecimal, of the line as it would be without `,"hash":"…"`. So no entry can be changed,
/// added, left out or moved without a new hash for every later one.
struct AuditChain: Equatable, Sendable {
    /// What stands for the hash before the very first entry.
    static let beginning = String(repeating: "0", count: 64)

    /// The number of the last entry; 0 before the first.
    private(set) var number: Int64 = 0
    /// The hash of the last entry.
    private(set) var hash = Self.beginning

    init() {}

    /// Goes on behind a line that was written earlier; nil where that is none.
    init?(behind line: some Collection<UInt8>) {
        guard let read = AuditLine(line), read.isIntact else { return nil }
        number = read.number
        hash = read.hash
    }

    /// One more entry, as a line with its line feed.
    mutating func line(_ entry: [UInt8]) -> [UInt8] {
        number += 1
        var line = Array("{\"n\":\(number),\"previous\":\"\(hash)\",\"entry\":".utf8) + entry + [UInt8(ascii: "}")]
        hash = Digest.hex(Digest.sha256(line))
        line.removeLast()
        line += Array(",\"hash\":\"\(hash)\"}\n".utf8)
        return line
    }
}

/// A line of an audit file as it was read.
package struct AuditLine: Sendable {
    package let number: Int64
    let previous: String
    let hash: String
    /// What happened: an event as the event stream tells it, or a marker of the file's own.
    package let entry: JSONObject
    /// The bytes of `entry`, where the line is intact.
    let document: ArraySlice<UInt8>
    /// Whether the hash is that of the line.
    let isIntact: Bool

    /// Nil where it has not the form of a line.
    package init?(_ line: some Collection<UInt8>) {
        let bytes = Array(line)
        let tail = ",\"hash\":\"".utf8.count + 64 + 2
        guard bytes.count > tail, let object = try? JSONParser.parse(bytes).object,
            let number = object["n"]?.integer, let previous = object["previous"]?.string,
            let hash = object["hash"]?.string, let entry = object["entry"]?.object
        else { return nil }
        self.number = number
        self.previous = previous
        self.hash = hash
        self.entry = entry
        let head = "{\"n\":\(number),\"previous\":\"\(previous)\",\"entry\":".utf8.count
        document = bytes[min(head, bytes.count - tail)..<bytes.count - tail]
        isIntact =
            bytes.suffix(tail).elementsEqual(",\"hash\":\"\(hash)\"}".utf8)
            && Digest.hex(Digest.sha256(Array(bytes.dropLast(tail)) + [UInt8(ascii: "}")])) == hash
    }

    /// The stream's id of the entry, or of the last one before a marker.
    var event: RedisStreamID? { (entry["id"] ?? entry["after"])?.string.flatMap { RedisStreamID(parsing: $0) } }
}

/// Verifies a chain line by line. What it begins with is taken as it is: what went before has been removed.
package struct AuditCheck: Sendable {
    /// Where a chain breaks, and how; whole sentences.
    package struct Break: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// The first entry's number; nil before it.
    package private(set) var first: Int64?
    package private(set) var last: Int64 = 0
    /// The last entry's hash: two that verify the same file see the same one.
    package private(set) var hash = AuditChain.beginning
    /// Markers that say that events are missing or that Redis had lost its memory, by their entry's number.
    package private(set) var markers: [(number: Int64, word: String)] = []

    package init() {}

    package mutating func take(_ line: some Collection<UInt8>) throws(Break) -> AuditLine {
        guard let read = AuditLine(line) else {
            throw Break(description: "What follows entry \(last) is no line of an audit file.")
        }
        guard read.isIntact else {
            throw Break(description: "Entry \(read.number) was changed: its hash is not that of its line.")
        }
        if first == nil {
            first = read.number
        } else {
            guard read.number == last + 1 else {
                throw Break(description: "Entry \(read.number) follows entry \(last): some were removed or moved.")
            }
            guard read.previous == hash else {
                throw Break(
                    description: "Entry \(read.number) does not follow entry \(last): that one, or all before it, were "
                        + "written anew.")
            }
        }
        last = read.number
        hash = read.hash
        if let word = read.entry["marker"]?.string { markers.append((read.number, word)) }
        return read
    }
}
