import JSON
import LeaseModel

/// A body that cannot be taken: the text names the member, what came and what is wanted.
struct Malformed: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    init(_ name: String, got value: JSONValue, want: String) {
        description = "\"\(name)\": got \(Self.shown(value)), want \(want)"
    }

    init(_ invalid: InvalidName) { description = invalid.description }

    /// Short, and without what could steer a terminal.
    private static func shown(_ value: JSONValue) -> String {
        let text = String(decoding: value.encoded(), as: UTF8.self).unicodeScalars.prefix(60).map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: "\u{FFFD}"
            default: String(scalar)
            }
        }.joined()
        return text.unicodeScalars.count == 60 ? text + "…" : text
    }
}

/// The members of a request's body, each read as what it has to be. A null counts as missing; unknown members are
/// passed over, as the original bridge did.
struct Members {
    private let object: JSONObject

    /// Takes a JSON object, or an empty body as one without members.
    init(_ body: [UInt8]) throws(Malformed) {
        guard !body.isEmpty else {
            object = JSONObject()
            return
        }
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONParser.parse(body)
        } catch {
            throw Malformed("The body is not JSON: \(error.description). Send an object, as in {\"id\": \"Root-Mic\"}.")
        }
        guard let object = value.object else {
            throw Malformed("The body is JSON but not an object. Send one, as in {\"id\": \"Root-Mic\"}.")
        }
        self.object = object
    }

    private func value(_ name: String) -> JSONValue? {
        guard let value = object[name], value != .null else { return nil }
        return value
    }

    func has(_ name: String) -> Bool { value(name) != nil }

    func text(_ name: String, want: String = "a text") throws(Malformed) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else { throw Malformed(name, got: value, want: want) }
        return text
    }

    /// A text of 1 to `limit` bytes without control characters.
    func word(_ name: String, limit: Int) throws(Malformed) -> String? {
        let want = "a text of 1 to \(limit) bytes without control characters"
        guard let text = try text(name, want: want) else { return nil }
        guard !text.isEmpty, text.utf8.count <= limit, !Self.hasControlCharacter(text) else {
            throw Malformed(name, got: .string(text), want: want)
        }
        return text
    }

    func flag(_ name: String) throws(Malformed) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let flag = value.bool else { throw Malformed(name, got: value, want: "true or false") }
        return flag
    }

    func integer(_ name: String, in range: ClosedRange<Int64>) throws(Malformed) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let integer = value.integer, range.contains(integer) else {
            throw Malformed(
                name, got: value, want: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    /// A span of time in seconds, fractions too.
    func seconds(_ name: String, in range: ClosedRange<Duration>) throws(Malformed) -> Duration? {
        guard let value = value(name) else { return nil }
        guard let seconds = value.number, seconds >= range.lowerBound.seconds, seconds <= range.upperBound.seconds
        else {
            throw Malformed(
                name, got: value,
                want: "\(Self.text(range.lowerBound)) to \(Self.text(range.upperBound)) seconds")
        }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    func texts(_ name: String) throws(Malformed) -> [String: String] {
        guard let value = value(name) else { return [:] }
        guard let object = value.object else {
            throw Malformed(name, got: value, want: "an object of texts, as in {\"zone\": \"a\"}")
        }
        var texts: [String: String] = [:]
        for (key, value) in object {
            guard let text = value.string else {
                throw Malformed("\(name).\(key)", got: value, want: "a text")
            }
            texts[key] = text
        }
        return texts
    }

    /// Any value as compact JSON, at most `limit` bytes and `depth` levels; empty where there is none.
    func compact(_ name: String, limit: Int, depth: Int) throws(Malformed) -> String {
        guard let value = value(name) else { return "" }
        guard !value.isDeeper(than: depth) else {
            throw Malformed(
                "\"\(name)\": got more than \(depth) arrays and objects within each other, want at most that many"
            )
        }
        let text = value.encoded()
        guard text.count <= limit else {
            throw Malformed("\"\(name)\": got \(text.count) bytes of JSON, want at most \(limit)")
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A name that `make` checks.
    func named<Name>(
        _ name: String, _ make: (String) throws(InvalidName) -> Name
    ) throws(Malformed) -> Name? {
        guard let text = try text(name) else { return nil }
        do throws(InvalidName) {
            return try make(text)
        } catch {
            throw Malformed("\"\(name)\": got \"\(error.got)\", want \(error.want)")
        }
    }

    private static func text(_ duration: Duration) -> String {
        let milliseconds = duration.milliseconds
        return milliseconds % 1000 == 0 ? String(milliseconds / 1000) : String(Double(milliseconds) / 1000)
    }

    private static func hasControlCharacter(_ text: String) -> Bool {
        text.unicodeScalars.contains {
            $0.properties.generalCategory == .control || $0 == "\u{2028}" || $0 == "\u{2029}"
        }
    }
}
