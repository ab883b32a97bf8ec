import Foundation
import JSON
import TestSupport
import Testing

@Suite struct JSONFuzzTests {
    private static let seeds = [
        #"{"id":"Root-Mic","priority":5,"timeout":12.5,"labels":{"zone":"a","rack":"7"},"count":null}"#,
        #"[1,-2.5e+3,"\u20ac\ud83d\ude00\n",true,false,null,{"a":[{}],"b":"ä😀"}]"#, #""text""#, "0", "{}",
        #"{"a":{"b":{"c":[[[[]]]]}},"x":9223372036854775808,"y":1e308}"#,
    ].map { Array($0.utf8) }

    private static let pieces =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\udc00", "\\u0000", "e", "E", "+", "-", ".",
            "0",
            "1e999", "99999999999999999999", "true", "null", "\"a\":", "\"a\":1,", " ", "\n", "\u{2028}", "😀",
            "[[[[[[[[[[[[",
        ].map { Array($0.utf8) } + [[0xC3], [0xFF], [0xED, 0xA0, 0x80], [0x00], [0x1F]]

    /// `LEASEHOLD_FUZZ=N` makes it N rounds.
    @Test func `whatever comes is refused or reads the same when written`() async throws {
        var random = RandomSource(seed: 20_260_101)
        var accepted = 0
        for round in 0..<RandomSource.rounds(100_000) {
            if round.isMultiple(of: 500) { await Task.yield() }
            let text = random.mutated(random.element(Self.seeds), pieces: Self.pieces)
            guard let value = try? JSONParser.parse(text) else { continue }
            accepted += 1
            let written = value.encoded()
            let again = try JSONParser.parse(written)
            try #require(again.encoded() == written, "round \(round): \(text)")
            try #require(try JSONParser.parse(value.encodedPretty()) == again, "round \(round): \(text)")
        }
        #expect(accepted > 1000)
    }

    @Test func `nothing is taken that another strict parser refuses`() throws {
        var random = RandomSource(seed: 20_260_102)
        for round in 0..<RandomSource.rounds(5_000) / 5 {
            let text = random.mutated(random.element(Self.seeds), pieces: Self.pieces)
            guard (try? JSONParser.parse(text)) != nil else { continue }
            #expect(throws: Never.self, "round \(round): \(String(decoding: text, as: UTF8.self))") {
                try JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed)
            }
        }
    }

    @Test func `errors lie within the text`() {
        var random = RandomSource(seed: 20_260_103)
        for _ in 0..<RandomSource.rounds(10_000) / 10 {
            let text = random.mutated(random.element(Self.seeds), pieces: Self.pieces)
            do throws(JSONError) {
                _ = try JSONParser.parse(text)
            } catch {
                #expect((0...text.count).contains(error.offset) && !error.message.isEmpty)
            }
        }
    }
}
