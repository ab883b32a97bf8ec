import CLLHTTP
import Glibc

/// llhttp with the parts that it leaves to its caller: collecting, counting and stopping where one message ends.
///
/// It stops after the head and after the message, so that whoever feeds it decides in between and the bytes of the
/// next message stay where they are.
final class MessageParser {
    enum Kind {
        case request, response
    }

    /// Why `execute` has returned.
    enum Stop: Equatable {
        /// All bytes are read and the message is not complete.
        case hungry
        case headComplete
        case messageComplete
        case breached(Bound)
        case failed(llhttp_errno_t)
    }

    /// The bound that a message does not keep.
    enum Bound {
        case target, head, body
    }

    struct Bounds {
        var targetBytes: Int
        var headBytes: Int
        var fields: Int
        var bodyBytes: Int
    }

    private enum Phase {
        case head, body
    }

    private enum Part {
        case none, name, value
    }

    private let parser: UnsafeMutablePointer<llhttp_t>
    private let bounds: Bounds
    private var phase = Phase.head
    private var part = Part.none
    private var stop = Stop.hungry
    private var headBytes = 0
    private var lastByte: UInt8 = 0
    private var isBodyChunked = false

    /// Whether a byte of the present message has come.
    private(set) var hasBegun = false
    /// Whether a header goes on in the next line (obs-fold, RFC 9112 §5.2), which llhttp lets through.
    private(set) var isFolded = false
    /// Whether a line ends without a carriage return, which others may read as no end at all, or begins without a name. Of
    /// a chunked body the last line alone is looked at: llhttp itself looks at the others.
    private(set) var hasBrokenLine = false
    /// Whether fields follow a chunked body.
    private(set) var hasTrailer = false
    private(set) var keepsAlive = false
    private(set) var target: [UInt8] = []
    private(set) var headers = HTTPHeaders()
    private(set) var body: [UInt8] = []
    /// The byte at which llhttp failed, where there is one.
    private(set) var failedAt: UInt8?

    /// The answer to come is one to HEAD: it has a length and no body.
    var answersHead = false
    /// Takes the body in pieces in place of `body`, without bound.
    var bodySink: ((UnsafeRawBufferPointer) -> Void)?

    init(_ kind: Kind, _ bounds: Bounds) {
        self.bounds = bounds
        parser = .allocate(capacity: 1)
        parser.initialize(to: llhttp_t())
        llhttp_init(parser, kind == .request ? HTTP_REQUEST : HTTP_RESPONSE, callbacks)
        parser.pointee.data = Unmanaged.passUnretained(self).toOpaque()  // the parser is freed in deinit
    }

    deinit { parser.deallocate() }

    var major: UInt8 { parser.pointee.http_major }
    var minor: UInt8 { parser.pointee.http_minor }
    var method: UInt8 { parser.pointee.method }
    var status: Int { Int(parser.pointee.status_code) }
    var isChunked: Bool { UInt32(parser.pointee.flags) & F_CHUNKED.rawValue != 0 }
    /// The length announced; nil where there is none.
    var contentLength: UInt64? {
        UInt32(parser.pointee.flags) & F_CONTENT_LENGTH.rawValue != 0 ? parser.pointee.content_length : nil
    }

    /// Reads up to the next stop and tells how many bytes of `chunk` belong to what was read.
    /// After a breach or a failure there is no way on.
    func execute(_ chunk: UnsafeRawBufferPointer) -> (count: Int, stop: Stop) {
        let start = chunk.baseAddress ?? UnsafeRawPointer(parser)  // never read where there are no bytes
        let wasInHead = phase == .head
        stop = .hungry
        let code = llhttp_execute(parser, start.assumingMemoryBound(to: CChar.self), chunk.count)
        guard code != HPE_OK else {
            if wasInHead, phase == .head { lookAtHead(chunk) } else { lastByte = chunk.last ?? lastByte }
            return (chunk.count, headBytes > bounds.headBytes ? .breached(.head) : .hungry)
        }
        let count = llhttp_get_error_pos(parser).map { UnsafeRawPointer($0) - start } ?? 0
        guard code == HPE_PAUSED else {
            failedAt = count < chunk.count ? chunk[count] : nil
            if case .breached = stop { return (count, stop) }
            return (count, .failed(code))
        }
        llhttp_resume(parser)
        if stop == .headComplete {
            lookAtHead(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            if headBytes > bounds.headBytes { return (count, .breached(.head)) }
            lastByte = 0
        } else if isBodyChunked, stop == .messageComplete {
            let beforeLast = count > 1 ? chunk[count - 2] : lastByte
            if beforeLast != 0x0D { hasBrokenLine = true }
        }
        return (count, stop)
    }

    /// Tells that no more bytes come; true when that completes a message which ends with its connection.
    func finish() -> Bool {
        stop = .hungry
        _ = llhttp_finish(parser)
        return stop == .messageComplete
    }

    /// Forgets the message that is complete; its parts go to the caller without a copy.
    func takeMessage() -> (headers: HTTPHeaders, body: [UInt8]) {
        defer {
            phase = .head
            part = .none
            headBytes = 0
            hasBegun = false
            isFolded = false
            lastByte = 0
            hasBrokenLine = false
            hasTrailer = false
            isBodyChunked = false
            target.removeAll(keepingCapacity: true)
            headers = HTTPHeaders()
            body = []
        }
        return (headers, body)
    }

    /// Reserves for a body whose length is announced and allowed.
    func reserveBody(_ count: Int) { body.reserveCapacity(count) }

    /// Counts, and looks at the line ends that llhttp lets through.
    private func lookAtHead(_ bytes: UnsafeRawBufferPointer) {
        headBytes += bytes.count
        var start = 0
        while start < bytes.count {
            if lastByte == 0x0A {
                if bytes[start] == 0x20 || bytes[start] == 0x09 { isFolded = true }
                if bytes[start] == UInt8(ascii: ":") { hasBrokenLine = true }
            }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            guard let base = rest.baseAddress, let found = memchr(base, 0x0A, rest.count) else { break }
            let length = UnsafeRawPointer(found) - base
            if (length > 0 ? rest[length - 1] : lastByte) != 0x0D { hasBrokenLine = true }
            start += length + 1
            lastByte = 0x0A
        }
        lastByte = bytes.last ?? lastByte
    }

    // MARK: From llhttp

    private func breach(_ bound: Bound) -> Int32 {
        stop = .breached(bound)
        return Int32(HPE_USER.rawValue)
    }

    fileprivate func begin() { hasBegun = true }

    fileprivate func targetCame(_ piece: UnsafeRawBufferPointer) -> Int32 {
        guard target.count + piece.count <= bounds.targetBytes else { return breach(.target) }
        target.append(contentsOf: piece)
        return 0
    }

    fileprivate func nameCame(_ piece: UnsafeRawBufferPointer) -> Int32 {
        if phase == .body { return trailerCame(piece) }
        if part != .name {
            endField()
            guard headers.count < bounds.fields else { return breach(.head) }
            headers.begin()
            part = .name
        }
        guard headers.bytes.count + piece.count <= bounds.headBytes else { return breach(.head) }
        headers.extendName(piece)
        return 0
    }

    fileprivate func valueCame(_ piece: UnsafeRawBufferPointer) -> Int32 {
        if phase == .body { return trailerCame(piece) }
        part = .value
        guard headers.bytes.count + piece.count <= bounds.headBytes else { return breach(.head) }
        headers.extendValue(piece)
        return 0
    }

    /// Fields behind a chunked body are read and dropped: nothing here has a use for them.
    private func trailerCame(_ piece: UnsafeRawBufferPointer) -> Int32 {
        hasTrailer = true
        headBytes += piece.count
        return headBytes <= bounds.headBytes ? 0 : breach(.head)
    }

    private func endField() {
        if part == .value { headers.endValue() }
        part = .none
    }

    fileprivate func headIsComplete() -> Int32 {
        guard phase == .head else { return 0 }
        endField()
        phase = .body
        stop = .headComplete
        isBodyChunked = isChunked
        // Asked to change to another protocol, a server may as well answer in this one (RFC 9110 §7.8).
        if method != UInt8(HTTP_CONNECT.rawValue) { parser.pointee.upgrade = 0 }
        if answersHead { parser.pointee.flags |= UInt16(F_SKIPBODY.rawValue) }
        return Int32(HPE_PAUSED.rawValue)
    }

    fileprivate func bodyCame(_ piece: UnsafeRawBufferPointer) -> Int32 {
        if let bodySink {
            bodySink(piece)
            return 0
        }
        guard body.count + piece.count <= bounds.bodyBytes else { return breach(.body) }
        body.append(contentsOf: piece)
        return 0
    }

    fileprivate func messageIsComplete() -> Int32 {
        keepsAlive = llhttp_should_keep_alive(parser) != 0
        stop = .messageComplete
        return Int32(HPE_PAUSED.rawValue)
    }
}

/// The one table of callbacks, behind a pointer because llhttp keeps it and calls back while it reads it.
/// `nonisolated(unsafe)` holds because it is written once, here, before anybody has it.
nonisolated(unsafe) private let callbacks: UnsafePointer<llhttp_settings_t> = {
    let table = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
    table.initialize(to: llhttp_settings_t())
    table.pointee.on_message_begin = messageBegan
    table.pointee.on_url = targetCame
    table.pointee.on_header_field = nameCame
    table.pointee.on_header_value = valueCame
    table.pointee.on_headers_complete = headCompleted
    table.pointee.on_body = bodyCame
    table.pointee.on_message_complete = messageCompleted
    return UnsafePointer(table)
}()

private func owner(_ parser: UnsafeMutablePointer<llhttp_t>?) -> MessageParser? {
    guard let data = parser?.pointee.data else { return nil }
    return Unmanaged<MessageParser>.fromOpaque(data).takeUnretainedValue()
}

private func messageBegan(_ parser: UnsafeMutablePointer<llhttp_t>?) -> Int32 {
    owner(parser)?.begin()
    return 0
}

private func targetCame(_ parser: UnsafeMutablePointer<llhttp_t>?, _ at: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
    owner(parser)?.targetCame(UnsafeRawBufferPointer(start: at, count: count)) ?? -1
}

private func nameCame(_ parser: UnsafeMutablePointer<llhttp_t>?, _ at: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
    owner(parser)?.nameCame(UnsafeRawBufferPointer(start: at, count: count)) ?? -1
}

private func valueCame(_ parser: UnsafeMutablePointer<llhttp_t>?, _ at: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
    owner(parser)?.valueCame(UnsafeRawBufferPointer(start: at, count: count)) ?? -1
}

private func headCompleted(_ parser: UnsafeMutablePointer<llhttp_t>?) -> Int32 {
    owner(parser)?.headIsComplete() ?? -1
}

private func bodyCame(_ parser: UnsafeMutablePointer<llhttp_t>?, _ at: UnsafePointer<CChar>?, _ count: Int) -> Int32 {
    owner(parser)?.bodyCame(UnsafeRawBufferPointer(start: at, count: count)) ?? -1
}

private func messageCompleted(_ parser: UnsafeMutablePointer<llhttp_t>?) -> Int32 {
    owner(parser)?.messageIsComplete() ?? -1
}
