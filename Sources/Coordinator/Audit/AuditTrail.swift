import EventLoop
import JSON
import LeaseModel
import RedisClient

/// The audit file of one coordinator: takes the pool's events in their order, each once, and marks where some are missing.
///
/// Each coordinator has a file of its own, since each reads the whole stream. Events come from the stream as it is
/// followed; whatever was missed is read from it again (`Coordinator.compareAudit`).
struct AuditTrail {
    /// How an event stands to the file.
    enum State: Equatable {
        /// What the stream holds has to be compared with the file first.
        case behind
        /// That is being done; what happens meanwhile waits in `meanwhile`.
        case comparing
        case following
    }

    /// Events whose ids are remembered, for a stream that has gone back: more than it keeps itself.
    static let remembered = 12_000
    /// Events kept while the past is read. Beyond: it is read further instead.
    static let backlog = 5000
    /// Bytes at the end of a file that are read when it is opened.
    static let tail = 8 << 20

    let path: String
    private(set) var state = State.behind
    /// Number of the last comparison.
    private(set) var comparison = 0
    /// The newest event in the file; nil in a new one.
    private(set) var last: RedisStreamID?
    private(set) var chain = AuditChain()
    /// What is known of the newest events: the hash of each document, good for this process alone.
    private var recent: [RedisStreamID: Int] = [:]
    private var order: [RedisStreamID] = []
    private var meanwhile: [PoolEvent] = []
    private var hasDropped = false
    /// The pool's memory that the events in the file are of; nil in a new one.
    private(set) var epoch: String?
    /// Whether a gap was marked, and what follows it has not been read to its end.
    private(set) var endsWithGap = false
    private var file: GrowingFile
    private let lock: FileLock

    /// Opens or makes the file. A last line without its end was torn by a loss of power and is removed: its event is read
    /// again.
    ///
    /// - Throws: `AuditError` where the file is another process's, cannot be written, or does not end as it was written.
    init(path: String) throws(AuditError) {
        self.path = path
        do throws(LoopError) {
            guard let lock = try FileLock.take(path + ".lock") else {
                throw LoopError(call: "another coordinator writes \(path): lock it", code: 11)
            }
            self.lock = lock
            if !Files.exists(path) { try Files.append([], to: path) }
            file = try GrowingFile(path)
            let tail = try Files.tail(path, bytes: Self.tail)
            let whole = tail.lastIndex(of: 0x0A).map { tail[...$0] } ?? []
            if whole.count < tail.count { try file.cut(to: file.size - (tail.count - whole.count)) }
            var lines = whole.split(separator: 0x0A)
            // The first may be the end of a line.
            if tail.count == Self.tail, !lines.isEmpty { lines.removeFirst() }
            try resume(lines)
        } catch {
            throw AuditError(path: path, why: error.description)
        }
    }

    private mutating func resume(_ lines: [ArraySlice<UInt8>]) throws(LoopError) {
        guard let end = lines.last else { return }
        guard let chain = AuditChain(behind: end) else {
            throw LoopError(call: "read the last line, which was changed, of \(path)", code: 22)
        }
        self.chain = chain
        for line in lines {
            guard let read = AuditLine(line) else { continue }
            if let epoch = read.entry["epoch"]?.string { self.epoch = epoch }
            guard let event = read.event else { continue }
            // A marker tells the id of the event before it, whose content may stand in the file before this one.
            if read.entry["marker"] == nil { remember(event, read.document) } else { last = event }
        }
    }

    private mutating func remember(_ event: RedisStreamID, _ document: some Collection<UInt8>) {
        last = event
        guard recent.updateValue(Array(document).hashValue, forKey: event) == nil else { return }
        order.append(event)
        guard order.count >= 2 * Self.remembered else { return }
        for old in order.dropLast(Self.remembered) { recent[old] = nil }
        order.removeFirst(order.count - Self.remembered)
    }

    // MARK: Events

    /// What the stream's reader brings.
    mutating func take(_ events: [PoolEvent]) throws(LoopError) {
        switch state {
        case .behind: break
        case .comparing:
            if meanwhile.count + events.count > Self.backlog {
                meanwhile = []
                hasDropped = true
            } else {
                meanwhile += events
            }
        case .following: try append(events)
        }
    }

    /// A page of the past.
    mutating func takePast(_ events: [PoolEvent]) throws(LoopError) { try append(events) }

    /// The past is in the file. False where more has to be read.
    mutating func pastIsTaken() throws(LoopError) -> Bool {
        let events = meanwhile
        meanwhile = []
        guard !hasDropped else {
            hasDropped = false
            return false
        }
        state = .following
        endsWithGap = false
        try append(events)
        return true
    }

    /// The stream may be another one, or have gone on unread.
    mutating func fallBehind() {
        meanwhile = []
        hasDropped = false
        state = .behind
    }

    /// Not to be called while it is compared.
    mutating func beginComparing() {
        state = .comparing
        comparison += 1
    }

    /// Whether the comparison of this number goes on: a file that fell behind meanwhile is compared by another one.
    func isComparing(_ number: Int) -> Bool { state == .comparing && comparison == number }

    // MARK: The file

    /// Why events may be missing, or which pool they are of.
    enum Marker: String {
        /// A new file.
        case begun
        /// The file before this one was moved away; the chain goes on.
        case continued
        /// Redis has lost its memory: events that were not read before are gone, and other ones follow.
        case redisForgot = "redis-forgot"
        /// The stream does not reach back to the last event of this file: it was trimmed before it was read.
        case missed
        /// The stream lacks the last event of this file although it reaches back: an older copy of it is followed now.
        case wentBack = "went-back"

        var isGap: Bool {
            switch self {
            case .begun, .continued: false
            case .redisForgot, .missed, .wentBack: true
            }
        }
    }

    /// - Parameter time: The wall clock's, for people.
    mutating func mark(_ marker: Marker, epoch: String?, time: String) throws(LoopError) {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("marker", marker.rawValue)
            writer.member("time", time)
            if let epoch { writer.member("epoch", epoch) }
            if let last { writer.member("after", last.text) }
        }
        var next = chain
        try write(next.line(writer.bytes))
        chain = next
        // A file that goes on behind a gap still does.
        if marker != .continued { endsWithGap = marker.isGap }
        if let epoch { self.epoch = epoch }
    }

    private mutating func append(_ events: [PoolEvent]) throws(LoopError) {
        var next = chain
        var bytes: [UInt8] = []
        var taken: [(RedisStreamID, [UInt8])] = []
        for event in events {
            let id = RedisStreamID(event.id)
            let document = EventFeed.document(of: event)
            // A page and the stream's reader may bring the same event, each of them brings none twice. A server that has
            // lost its memory may give an id anew.
            guard recent[id] != document.hashValue else {
                // Where the stream stands now: behind a gap that may be before what the file ends with.
                last = id
                continue
            }
            bytes += next.line(document)
            taken.append((id, document))
        }
        guard !bytes.isEmpty else { return }
        try write(bytes)
        chain = next
        for (id, document) in taken { remember(id, document) }
    }

    private mutating func write(_ bytes: [UInt8]) throws(LoopError) {
        do throws(LoopError) {
            try file.append(bytes)
        } catch {
            fallBehind()
            throw error
        }
    }

    /// Goes on in a new file where the old one was moved away, such as by logrotate.
    mutating func reopen(time: String) throws(LoopError) {
        guard !Files.exists(path) else { return }
        try Files.append([], to: path)
        file = try GrowingFile(path)
        try mark(.continued, epoch: epoch, time: time)
    }
}

/// Why an audit file cannot be written.
struct AuditError: Error, Equatable, Sendable, CustomStringConvertible {
    let path: String
    let why: String
    var description: String { "\(path): \(why)" }
}
