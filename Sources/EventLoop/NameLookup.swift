import CSystem
import Glibc

/// Addresses of hosts, found beside the loop: a name server that does not answer must not hold up anything else.
package enum NameLookup {
    /// The numeric addresses of `host`, at least one, told on the loop's thread; a numeric one is told at once.
    package static func resolve(
        _ host: String, on loop: EventLoop,
        then tell: @escaping @Sendable (Result<[String], LoopError>) -> Void
    ) {
        if case .success(let addresses) = addresses(of: host, flags: Int32(AI_NUMERICHOST)) {
            return loop.perform { tell(.success(addresses)) }
        }
        let question = Question(host: host, loop: loop, tell: tell)
        let context = Unmanaged.passRetained(question)  // released by the thread
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, lookUp, context.toOpaque())
        if code == 0 {
            pthread_detach(thread)
        } else {
            context.release()
            loop.perform { tell(.failure(LoopError(call: "look up \(host)", code: code))) }
        }
    }

    fileprivate static func addresses(of host: String, flags: Int32) -> Result<[String], LoopError> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        guard code == 0 else {
            let why = gai_strerror(code).map { String(cString: $0) } ?? "error \(code)"
            return .failure(LoopError(call: "look up \(host): \(why)", code: 0))
        }
        var addresses: [String] = []
        var next = found
        while let entry = next?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let length = socklen_t(text.count)
            if getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, length, nil, 0, NI_NUMERICHOST) == 0 {
                let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            next = entry.ai_next
        }
        guard !addresses.isEmpty else {
            return .failure(LoopError(call: "look up \(host): no address", code: 0))
        }
        return .success(addresses)
    }
}

private final class Question: Sendable {
    let host: String
    let loop: EventLoop
    let tell: @Sendable (Result<[String], LoopError>) -> Void

    init(host: String, loop: EventLoop, tell: @escaping @Sendable (Result<[String], LoopError>) -> Void) {
        self.host = host
        self.loop = loop
        self.tell = tell
    }
}

private func lookUp(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let question = Unmanaged<Question>.fromOpaque(context).takeRetainedValue()
    let outcome = NameLookup.addresses(of: question.host, flags: 0)
    question.loop.perform { question.tell(outcome) }
    return nil
}
