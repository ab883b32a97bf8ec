import CLLHTTP

/// Turns bytes into requests, one at a time, or into the refusal that a request deserves. No sockets, no clock.
final class RequestParser {
    enum Outcome {
        /// All bytes are read and the request is not complete.
        case needsMore
        /// The head is good and the client waits for a word before it sends the body.
        case wantsContinue
        case request(HTTPRequest, AnswerForm)
        /// There is no way on.
        case refused(Refusal)
    }

    private let message: MessageParser
    private let limits: HTTPLimits
    private let peer: String
    private let isSecure: Bool
    private var target: RequestTarget?

    init(limits: HTTPLimits, peer: String = "", isSecure: Bool = false) {
        self.limits = limits
        self.peer = peer
        self.isSecure = isSecure
        message = MessageParser(
            .request,
            .init(
                targetBytes: limits.targetBytes, headBytes: limits.headBytes, fields: limits.headerFields,
                bodyBytes: limits.bodyBytes))
    }

    /// Whether a byte of a request has come that is not complete.
    var hasBegun: Bool { message.hasBegun }

    /// Reads at most one request from the beginning of `chunk`; `consumed` grows by the bytes that belong to it.
    func read(_ chunk: UnsafeRawBufferPointer, consumed: inout Int) -> Outcome {
        var rest = chunk
        while true {
            let (count, stop) = message.execute(rest)
            consumed += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            switch stop {
            case .hungry: return .needsMore
            case .headComplete:
                if let refusal = refusalOfHead() { return .refused(refusal) }
                if expectsContinue { return .wantsContinue }
            case .messageComplete: return complete()
            case .breached(.target): return .refused(.targetTooLong)
            case .breached(.head): return .refused(.headTooLarge)
            case .breached(.body): return .refused(.bodyTooLarge)
            case .failed(let code): return .refused(refusal(code))
            }
        }
    }

    private func complete() -> Outcome {
        let form = AnswerForm(
            isHead: message.method == UInt8(HTTP_HEAD.rawValue), isChunkable: message.minor > 0,
            keepsAlive: message.keepsAlive)
        guard !message.hasBrokenLine else { return .refused(.malformed) }
        guard !message.hasTrailer else { return .refused(.trailer) }
        let method = HTTPMethod(message.method)
        let (headers, body) = message.takeMessage()
        guard let target else { return .refused(.badTarget) }
        self.target = nil
        var request = HTTPRequest(
            method: method, path: target.path, query: target.query, headers: headers, body: body, peer: peer,
            isSecure: isSecure)
        if let authority = target.authority { request.headers["Host"] = authority }
        return .request(request, form)
    }

    // MARK: What llhttp leaves to us

    private var expectsContinue: Bool {
        message.minor > 0 && (message.isChunked || (message.contentLength ?? 0) > 0)
            && message.headers.slots.contains { message.headers.isNamed($0, "Expect") }
    }

    private func refusalOfHead() -> Refusal? {
        guard message.major == 1, message.minor <= 1 else { return .unknownVersion }
        guard message.method != UInt8(HTTP_CONNECT.rawValue) else { return .unknownMethod }
        guard !message.isFolded else { return .foldedHeader }
        guard !message.hasBrokenLine else { return .malformed }
        target = RequestTarget(message.target)
        guard target != nil else { return .badTarget }
        if let refusal = refusalOfFields() { return refusal }
        if let length = message.contentLength {
            guard length <= UInt64(limits.bodyBytes) else { return .bodyTooLarge }
            message.reserveBody(Int(length))
        }
        return nil
    }

    private func refusalOfFields() -> Refusal? {
        let headers = message.headers
        var hosts = 0
        for slot in headers.slots {
            switch slot.name.count {
            case 4 where headers.isNamed(slot, "Host"):
                hosts += 1
                guard headers.bytes[slot.value].allSatisfy(Self.belongsToHost) else { return .badHost }
            case 6 where headers.isNamed(slot, "Expect"):
                guard message.minor == 0 || headers.matches(slot.value, "100-continue") else {
                    return .unknownExpectation
                }
            case 17 where headers.isNamed(slot, "Transfer-Encoding"):
                guard message.minor > 0 else { return .codingInOldVersion }
                guard headers.matches(slot.value, "chunked") else { return .unknownCoding }
            default: break
            }
        }
        if hosts > 1 { return .severalHosts }
        return hosts == 0 && message.minor > 0 ? .missingHost : nil
    }

    private static func belongsToHost(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ":"),
            UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "%"):
            true
        default: false
        }
    }

    private func refusal(_ code: llhttp_errno_t) -> Refusal {
        switch code {
        case HPE_INVALID_VERSION, HPE_PAUSED_H2_UPGRADE: .unknownVersion
        case HPE_INVALID_METHOD where message.failedAt.map { HTTPHeaders.isToken($0) || $0 == 0x20 } ?? false:
            .unknownMethod
        default: .malformed
        }
    }
}
