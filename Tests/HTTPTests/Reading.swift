@testable import HTTP

/// What the request parser makes of bytes, without a socket.
enum Reading: Equatable {
    case request(String)
    case wantsContinue
    case refused(Refusal)

    /// - Parameter pieces: how many bytes the parser gets at a time.
    static func read(_ bytes: [UInt8], pieces: Int, limits: HTTPLimits = .init()) -> [Reading] {
        let parser = RequestParser(limits: limits)
        var readings: [Reading] = []
        var start = 0
        while start < bytes.count {
            let end = start + min(pieces, bytes.count - start)
            var at = start
            while at < end {
                var consumed = 0
                let outcome = bytes[at..<end].withUnsafeBytes { parser.read($0, consumed: &consumed) }
                at += consumed
                switch outcome {
                case .needsMore: precondition(at == end, "a parser that needs more has read what is there")
                case .wantsContinue: readings.append(.wantsContinue)
                case .request(let request, let form):
                    readings.append(.request("\(request) \(form)"))
                    // A server reads nothing after the last request of a connection.
                    if !form.keepsAlive { return readings }
                case .refused(let refusal): return readings + [.refused(refusal)]
                }
            }
            start = end
        }
        return readings
    }
}
