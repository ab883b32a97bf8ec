import EventLoop

/// What became of a look at a server's certificate, key and authorities.
package enum CertificateLook: Equatable, Sendable {
    /// The next connections get what the files hold now; those that are open go on with what they began with.
    case taken(path: String)
    /// The files have changed and cannot be used; what was in use stays.
    case refused(path: String, why: String)
}

/// The certificate of a server's listeners: what is in use, and what its files held when they were looked at last.
///
/// `@unchecked Sendable` holds because it is used on the loop's thread alone.
final class ServerCertificate: @unchecked Sendable {
    private let settings: TLSSettings
    /// What new connections shake hands with.
    private(set) var context: TLSContext
    private var content: [[UInt8]?]

    init(_ settings: TLSSettings) throws(HTTPError) {
        self.settings = settings
        // Read before they are used: a change in between is found by the next look.
        content = Self.content(of: settings)
        context = try TLSContext(settings)
    }

    /// Takes changed files over; nil where nothing has changed since the last look.
    func look() -> CertificateLook? {
        let found = Self.content(of: settings)
        guard found != content else { return nil }
        content = found
        do throws(HTTPError) {
            context = try TLSContext(settings)
            return .taken(path: settings.certificatePath)
        } catch {
            return .refused(path: settings.certificatePath, why: error.message)
        }
    }

    private static func content(of settings: TLSSettings) -> [[UInt8]?] {
        [settings.certificatePath, settings.keyPath, settings.clientAuthoritiesPath].map { path in
            path.flatMap { try? Files.read($0, limit: HTTPLimits.certificateBytes) }
        }
    }
}
