import JSON
import Telemetry

/// A lease as its holder got it.
struct Grant: Sendable {
    let token: Secret<String>
    let lease: String
    /// The first unit, which the lease is named by.
    let unit: String
    let units: [String]
    let host: String
    let holder: String
    let fencingToken: Int64
    let ttl: Duration
    let waited: Duration
    /// Until when it is certain, by the loop's clock.
    let certainUntil: Duration
    /// What programs need to find this device and no other.
    let variables: [String: String]
    /// The whole answer.
    let body: JSONObject

    /// - Parameter sentAt: When the call was sent. The lease is certain for `waited_ms` and `expires_in` from then, so that
    ///   no slow way of the answer stretches it (design §5).
    init?(_ body: JSONObject, sentAt: Duration) {
        guard let token = body.text("token"), let lease = body.text("lease"), let unit = body.text("unit"),
            let ttl = body.number("ttl"), let expires = body.number("expires_in")
        else { return nil }
        self.token = Secret(token)
        self.lease = lease
        self.unit = unit
        units = body["units"]?.array?.compactMap(\.string) ?? [unit]
        self.ttl = .seconds(ttl)
        host = body.text("host") ?? ""
        holder = body.text("holder") ?? ""
        fencingToken = body.integer("fencing_token") ?? 0
        waited = .milliseconds(body.number("waited_ms") ?? 0)
        certainUntil = sentAt + waited + .seconds(expires)
        var variables: [String: String] = [:]
        for (name, value) in body["env"]?.object ?? [:] {
            // What a service says becomes the environment of a program: names that are none are left out.
            guard let text = value.string, !text.utf8.contains(0), Self.isVariable(name) else { continue }
            variables[name] = text
        }
        self.variables = variables
        self.body = body
    }

    private static func isVariable(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
            default: false
            }
        }
    }
}
