@testable import HTTP

/// A server's answer as a client reads it: bounded, and the same however it is cut into packets.
enum Answers {
    private static let bounds = MessageParser.Bounds(targetBytes: 0, headBytes: 4096, fields: 64, bodyBytes: 8192)

    private struct Message: Equatable {
        var status: Int
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    private enum End: Equatable { case hungry, breached, failed, broken }

    static func look(at bytes: [UInt8]) throws {
        let whole = try read(bytes, packets: max(1, bytes.count))
        let cut = try read(bytes, packets: Int(bytes.last ?? 0) % 16 + 1)
        // A part that is counted before all of it is seen may let a bound speak first.
        let agree = whole == cut || (whole.messages == cut.messages && whole.end != .hungry && cut.end != .hungry)
        try kept(agree, "cut into packets it reads as \(cut), in one as \(whole)")
    }

    private static func read(_ bytes: [UInt8], packets: Int) throws -> (messages: [Message], end: End) {
        let parser = MessageParser(.response, bounds)
        var messages: [Message] = []
        var start = 0
        while start < bytes.count {
            let end = min(start + packets, bytes.count)
            while start < end {
                let (count, stop) = bytes[start..<end].withUnsafeBytes { parser.execute($0) }
                start += count
                switch stop {
                case .hungry: try kept(start == end, "a parser that needs more has read what is there")
                case .headComplete: if take(&messages, from: parser) { continue }
                case .messageComplete: complete(&messages, from: parser)
                case .breached: return (messages, .breached)
                case .failed: return (messages, .failed)
                }
            }
        }
        if parser.finish() { complete(&messages, from: parser) }
        return (messages, .hungry)
    }

    /// A message without a body is complete without another byte.
    private static func take(_ messages: inout [Message], from parser: MessageParser) -> Bool {
        let (_, stop) = parser.execute(UnsafeRawBufferPointer(start: nil, count: 0))
        guard stop == .messageComplete else { return false }
        complete(&messages, from: parser)
        return true
    }

    private static func complete(_ messages: inout [Message], from parser: MessageParser) {
        let status = parser.status
        let (headers, body) = parser.takeMessage()
        messages.append(Message(status: status, headers: headers, body: body))
    }

    /// Throws unless what is written for `response` reads as that one answer and nothing besides.
    static func hold(_ response: HTTPResponse, _ form: AnswerForm, isWhole what: String) throws {
        var text = MessageText()
        text.response(response, form, isLast: false, date: [])
        let parser = MessageParser(
            .response,
            .init(targetBytes: 0, headBytes: 1 << 20, fields: response.headers.count + 8, bodyBytes: 1 << 20))
        parser.answersHead = form.isHead
        var (count, stop) = text.bytes.withUnsafeBytes { parser.execute($0) }
        try kept(stop == .headComplete, "\(what): its head reads as \(stop)")
        if count == text.bytes.count {
            stop = parser.execute(UnsafeRawBufferPointer(start: nil, count: 0)).stop
        } else {
            let (rest, end) = text.bytes[count...].withUnsafeBytes { parser.execute($0) }
            (count, stop) = (count + rest, end)
        }
        try kept(stop == .messageComplete && count == text.bytes.count, "\(what): it reads as \(stop) of \(count)")
        let status = parser.status
        let (headers, body) = parser.takeMessage()
        let added = headers.filter { ["Content-Length", "Connection"].contains($0.name) }.count
        try kept(
            status == response.status && headers.count == response.headers.count + added
                && body == (form.isHead || response.status == 204 ? [] : response.body), "\(what): it reads differently"
        )
    }
}
