import JSON
import Telemetry

/// A lease as a lock call was answered with it.
struct Grant: Sendable {
    let token: Secret<String>
    let lease: String
    let unit: String
    let units: [String]
    let host: String
    let kind: LeaseOptions.Kind
    let holder: String
    let fencingToken: Int64
    let ttl: Duration
    let waited: Duration
    let requestID: String
    let environment: [String: String]
    /// Until when it is certain.
    let certainUntil: ContinuousClock.Instant

    /// Nil where this is no lease: only an answer that says "acquired" and carries a token is one.
    ///
    /// - Parameter sent: A moment before the call was sent. The lease is certain for `waited_ms` and `expires_in` from
    ///   then, so that no slow way of the answer stretches it (design §5).
    init?(_ body: JSONObject, requestID: String, sent: ContinuousClock.Instant) {
        guard body["status"]?.string == "acquired", let token = body["token"]?.string,
            let lease = body["lease"]?.string, let unit = body["unit"]?.string,
            let fencingToken = body["fencing_token"]?.integer, let expiresIn = body["expires_in"]?.number,
            let ttl = body["ttl"]?.number, expiresIn > 0, ttl > 0
        else { return nil }
        self.token = Secret(token)
        self.lease = lease
        self.unit = unit
        units = body["units"]?.array?.compactMap(\.string) ?? [unit]
        self.fencingToken = fencingToken
        self.ttl = .seconds(ttl)
        self.requestID = requestID
        host = body["host"]?.string ?? ""
        kind = body["kind"]?.string.flatMap { LeaseOptions.Kind(rawValue: $0) } ?? .gpu
        holder = body["holder"]?.string ?? ""
        waited = .milliseconds(body["waited_ms"]?.number ?? 0)
        certainUntil = sent + waited + .seconds(expiresIn)
        var environment: [String: String] = [:]
        for (name, value) in body["env"]?.object ?? [:] { environment[name] = value.string }
        self.environment = environment
    }
}
