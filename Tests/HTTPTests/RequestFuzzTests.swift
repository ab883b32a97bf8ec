import TestSupport
import Testing

@testable import HTTP

@Suite struct RequestFuzzTests {
    private static let seeds = (TranscriptTests.served + TranscriptTests.refusedOnes)
        .map { Array($0.sent.utf8) }.filter { $0.count < 2000 }

    private static let pieces =
        [
            "\r\n", "\n", "\r", " ", "\t", ":", "\r\n ", "\r\n\r\n", "0\r\n\r\n", "Host: a\r\n",
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n", "HTTP/1.1",
            "HTTP/1.0",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "%", "%2F", "%00", "?", "&", "=", "#", "http://", "POST ", "chunked, ",
            "-1",
            "ffffffffffffffff\r\n", "99999999999999999999", ";a=b",
        ].map { Array($0.utf8) } + [[0x00], [0xFF], [0x80], [0x7F]]

    /// `LEASEHOLD_FUZZ=N` makes it N rounds.
    @Test func `whatever comes is a sound request or refused, however it is cut into packets`() async throws {
        var random = RandomSource(seed: 20_260_104)
        let limits = HTTPLimits()
        var requests = 0
        for round in 0..<RandomSource.rounds(100_000) {
            if round.isMultiple(of: 500) { await Task.yield() }
            let bytes = random.mutated(random.element(Self.seeds), pieces: Self.pieces)
            requests += try look(at: bytes, limits, round)
            let whole = Reading.read(bytes, pieces: .max, limits: limits)
            let pieces = random.below(7) + 1
            let cut = Reading.read(bytes, pieces: pieces, limits: limits)
            try #require(
                agree(whole, cut), "round \(round), pieces of \(pieces): \(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(requests > 1000)
    }

    /// Whether both came to the same. Where a request breaks two rules at once, a piece of a name that is counted before
    /// the rest of it is seen may let the bound speak first: refused it is all the same.
    private func agree(_ whole: [Reading], _ cut: [Reading]) -> Bool {
        guard whole != cut else { return true }
        guard whole.dropLast() == cut.dropLast(), case .refused(let first)? = whole.last,
            case .refused(let second)? = cut.last
        else { return false }
        let bounds: [Refusal] = [.headTooLarge, .targetTooLong, .bodyTooLarge]
        return bounds.contains(first) || bounds.contains(second)
    }

    /// Each request that comes out keeps what the handler is promised; how many there were.
    private func look(at bytes: [UInt8], _ limits: HTTPLimits, _ round: Int) throws -> Int {
        let parser = RequestParser(limits: limits)
        var at = 0
        var count = 0
        while at < bytes.count {
            var consumed = 0
            let outcome = bytes[at...].withUnsafeBytes { parser.read($0, consumed: &consumed) }
            at += consumed
            guard case .request(let request, let form) = outcome else {
                if case .wantsContinue = outcome { continue }
                return count
            }
            count += 1
            let isSound =
                (request.path.hasPrefix("/") || request.path == "*") && !request.path.utf8.contains(0)
                && request.headers.count <= limits.headerFields && request.body.count <= limits.bodyBytes
                && request.headers.values(of: "host").count <= 1
                && request.headers.allSatisfy { field in
                    !field.name.isEmpty && field.name.utf8.allSatisfy(HTTPHeaders.isToken)
                        && !field.value.utf8.contains { $0 == 0 || $0 == 0x0A || $0 == 0x0D }
                }
            try #require(isSound, "round \(round): \(request)")
            if !form.keepsAlive { return count }
        }
        return count
    }
}
