import HTTP
import JSON

/// What happened in the pool: to what, by whom and why.
public struct GPUEvent: Hashable, Sendable, Identifiable {
    /// Names the event; ``GPUPool/events(of:after:)`` goes on behind it.
    public var id: String
    /// What happened, as in `granted` or `expired`.
    public var type: String
    /// When, by the pool's clock, since 1970. For people to read.
    public var at: Duration
    /// All its members by name, numbers as text.
    public var fields: [String: String]

    /// The unit it is about.
    public var unit: String? { self["unit"] }
    /// The lease it is about.
    public var lease: String? { self["lease"] }
    /// The holder it is about.
    public var holder: String? { self["holder"] }
    /// Who did it.
    public var by: String? { self["by"] }
    /// The reason given.
    public var why: String? { self["why"] }

    /// A member by its name; nil where it is missing or empty.
    public subscript(name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// Nil where this is no event of a pool.
    init?(_ event: ServerSentEvent) {
        guard let body = (try? JSONParser.parse(Array(event.data.utf8)))?.object, let type = body["type"]?.string else {
            return nil
        }
        self.type = type
        id = body["id"]?.string ?? event.id
        at = .milliseconds(body["at"]?.integer ?? 0)
        fields = [:]
        for (name, value) in body {
            switch value {
            case .null: break
            case .string(let text): fields[name] = text
            case .bool, .integer, .number, .array, .object:
                fields[name] = String(decoding: value.encoded(), as: UTF8.self)
            }
        }
    }
}
