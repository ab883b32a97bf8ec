import JSON
import Testing

private func parse(_ text: String, maxDepth: Int = 32) throws -> JSONValue {
    try JSONParser.parse(Array(text.utf8), maxDepth: maxDepth)
}

@Suite struct JSONParserTests {
    @Test(arguments: [
        ("null", JSONValue.null), ("true", .bool(true)), (" false\r\n\t", .bool(false)), ("0", .integer(0)),
        ("-0", .integer(0)), ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1.5", .number(1.5)), ("-2.5e-1", .number(-0.25)),
        ("1E2", .number(100)), ("1e-400", .number(0)), ("0.1", .number(0.1)), ("\"\"", .string("")),
        ("\"a\"", .string("a")), ("\"ä€😀\"", .string("ä€😀")),
        (#""\"\\\/\b\f\n\r\t\u0000\u00e4\u20AC\uD83D\uDE00""#, .string("\"\\/\u{8}\u{C}\n\r\t\0ä€😀")),
        ("[]", .array([])), ("[1, [2]]", .array([.integer(1), .array([.integer(2)])])), ("{}", .object([:])),
        (#"{"a": 1, "b": {"a": [null]}}"#, .object(["a": .integer(1), "b": .object(["a": .array([.null])])])),
    ])
    func `what is JSON`(_ text: String, _ value: JSONValue) throws {
        #expect(try parse(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-", "+1", "01", "-01", "1.", ".5", "1.e2", "1e", "1e+",
        "0x1",
        "1 2", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "\"\u{1}\"", "'a'", "[", "[1", "[1,",
        "[1,]",
        "[,1]", "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}",
        "{\"a\" 1}",
        "{,}", "{}{}", "// c\n1", "[1]//", "\u{FEFF}1", #""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, #""\ud800x""#,
        "1e400", "-1e400", "1e99999999999999999999", #"{"a":1,"a":2}"#, #"{"a":1,"b":2,"\u0061":3}"#,
    ])
    func `what is no JSON`(_ text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
        ] as [[UInt8]])
    func `text that is no UTF-8`(_ bytes: [UInt8]) {
        let quote = [UInt8(ascii: "\"")]
        #expect(throws: JSONError.self) { try JSONParser.parse(quote + bytes + quote) }
        #expect(throws: JSONError.self) { try JSONParser.parse(quote + Array("\\n".utf8) + bytes + quote) }
        #expect(throws: JSONError.self) { try JSONParser.parse(Array("{\"".utf8) + bytes + Array("\":1}".utf8)) }
    }

    @Test func `depth is bounded, and a flood of brackets is refused at once`() throws {
        let deep = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        _ = try parse(deep)
        #expect(throws: JSONError(message: "more than 32 levels deep", offset: 32)) { try parse("[\(deep)]") }
        #expect(throws: JSONError.self) { try parse(String(repeating: "{\"a\":", count: 100_000)) }
        #expect(throws: JSONError.self) { try parse("[[1]]", maxDepth: 1) }
        #expect(try parse("1", maxDepth: 0) == .integer(1))
    }

    @Test func `a name that stands twice is found among many`() {
        let members = (0..<1000).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
        #expect(throws: Never.self) { try parse("{\(members)}") }
        let error = #expect(throws: JSONError.self) { try parse("{\(members),\"m7\":1}") }
        #expect(error?.message == "the name \"m7\" stands twice in one object")
    }

    @Test func `an error tells where it is`() {
        #expect(throws: JSONError(message: "a colon should stand here", offset: 4)) { try parse("{\"a\"1}") }
        #expect(throws: JSONError(message: "something follows the value", offset: 3)) { try parse("[] x") }
    }

    @Test func `members keep their order and are found by name`() throws {
        var object = try #require(try parse(#"{"b":1,"a":2,"c":3}"#).object)
        #expect(object.map(\.name) == ["b", "a", "c"])
        #expect(object["a"] == .integer(2))
        #expect(object["x"] == nil)
        object["b"] = nil
        object["d"] = .null
        object["a"] = .bool(true)
        #expect(String(decoding: JSONValue.object(object).encoded(), as: UTF8.self) == #"{"a":true,"c":3,"d":null}"#)
        for number in 0..<40 { object["m\(number)"] = .integer(Int64(number)) }
        object["m7"] = nil
        #expect(object["m7"] == nil && object["m39"] == .integer(39) && object.count == 42)
    }

    @Test func `numbers are what they are worth`() throws {
        #expect(try parse("3.0").integer == 3)
        #expect(try parse("3.5").integer == nil)
        #expect(try parse("1e19").integer == nil)
        #expect(try parse("7").number == 7)
        #expect(try parse("\"7\"").number == nil)
    }
}

@Suite struct JSONWriterTests {
    @Test func `text is escaped as far as it has to be`() throws {
        let text = "\"\\/\u{0}\u{1F}\n\r\t\u{7F}ä😀<>&\u{2028}"
        let encoded = JSONValue.string(text).encoded()
        #expect(
            String(decoding: encoded, as: UTF8.self)
                == "\"\\\"\\\\/\\u0000\\u001f\\n\\r\\t\u{7F}ä😀<>&\u{2028}\"")
        #expect(try JSONParser.parse(encoded) == .string(text))
    }

    @Test(arguments: [
        (1.0, "1"), (-0.0, "0"), (0.1, "0.1"), (1e16, "10000000000000000"), (1e21, "1e+21"), (1.5e-9, "1.5e-09"),
        (.infinity, "null"), (.nan, "null"), (118.987, "118.987"),
    ])
    func `numbers are written so that they read the same`(_ number: Double, _ text: String) throws {
        let encoded = JSONValue.number(number).encoded()
        #expect(String(decoding: encoded, as: UTF8.self) == text)
        if number.isFinite { #expect(try JSONParser.parse(encoded).number == number) }
    }

    @Test func `pieces are joined without a tree`() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("status", "acquired")
            writer.member("owner", nil as String?)
            writer.member("position", 3)
            writer.member("expires_in", 2.5)
            writer.member("degraded", false)
            writer.key("metadata")
            writer.json(Array(#"{"a":1}"#.utf8))
            writer.key("queued")
            writer.array { writer in
                writer.string("a")
                writer.integer(UInt64.max)
                writer.array { _ in }
                writer.object { _ in }
                writer.null()
            }
        }
        let expected =
            #"{"status":"acquired","owner":null,"position":3,"expires_in":2.5,"degraded":false,"metadata":{"a":1},"#
            + #""queued":["a",18446744073709551615,[],{},null]}"#
        #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
    }

    @Test func `pretty text is indented`() {
        let value = JSONValue.object(["a": .array([.integer(1), .object([:])]), "b": .array([])])
        let expected = """
            {
              "a": [
                1,
                {}
              ],
              "b": []
            }
            """
        #expect(String(decoding: value.encodedPretty(), as: UTF8.self) == expected)
    }
}
