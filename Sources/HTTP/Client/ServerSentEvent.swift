/// One event of a stream (WHATWG HTML, server-sent events).
package struct ServerSentEvent: Equatable, Sendable {
    /// The last id that the stream has named; empty when none was.
    package var id: String
    /// What the server calls it; `message` where it calls it nothing.
    package var kind: String
    package var data: String

    package init(id: String, kind: String, data: String) {
        self.id = id
        self.kind = kind
        self.data = data
    }
}

/// Turns the bytes of an event stream into events.
struct EventStreamParser {
    private let eventBytes: Int
    private var line: [UInt8] = []
    private var followsReturn = false
    private var isFirstLine = true
    private var id = ""
    private var kind = ""
    private var data: [UInt8] = []
    private var hasData = false

    /// - Parameter eventBytes: What one event may hold.
    init(eventBytes: Int) { self.eventBytes = eventBytes }

    /// The events that these bytes complete; nil once an event is larger than allowed.
    mutating func read(_ bytes: some Sequence<UInt8>) -> [ServerSentEvent]? {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            let completesReturn = followsReturn && byte == 0x0A
            followsReturn = byte == 0x0D
            if completesReturn { continue }
            if byte == 0x0A || byte == 0x0D {
                if let event = endLine() { events.append(event) }
            } else {
                guard line.count + data.count < eventBytes else { return nil }
                line.append(byte)
            }
        }
        return events
    }

    private mutating func endLine() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else { return dispatch() }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.count
        var value = line[colon...].dropFirst()
        if value.first == 0x20 { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data":
            if hasData { data.append(0x0A) }
            hasData = true
            data += value
        case "event": kind = String(decoding: value, as: UTF8.self)
        case "id" where !value.contains(0): id = String(decoding: value, as: UTF8.self)
        default: break  // comments, and fields that a program has no use for
        }
        return nil
    }

    private mutating func dispatch() -> ServerSentEvent? {
        defer {
            kind = ""
            data = []
            hasData = false
        }
        guard hasData else { return nil }
        return ServerSentEvent(
            id: id, kind: kind.isEmpty ? "message" : kind, data: String(decoding: data, as: UTF8.self))
    }
}
