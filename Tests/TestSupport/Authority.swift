import EventLoop
import HTTP

/// A certificate authority for one test, made by the openssl program; its files go with it.
package struct Authority: Sendable {
    /// Everything that was made lies here.
    package let directory: String
    private let loop: EventLoop

    /// The authority's own certificate.
    package var certificatePath: String { "\(directory)/authority.pem" }

    /// Runs `body` beside a new authority.
    package static func with<Result: Sendable>(
        on loop: EventLoop, _ body: @Sendable (Authority) async throws -> Result
    ) async throws -> Result {
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        try Files.makeDirectory(directory)
        defer { try? Files.removeTree(directory) }
        let authority = Authority(directory: directory, loop: loop)
        try await authority.openssl(
            ["-subj", "/CN=Test Authority", "-out", authority.certificatePath, "-keyout", "\(directory)/authority.key"])
        return try await body(authority)
    }

    /// Makes a certificate for `localhost` and 127.0.0.1, or for a client.
    ///
    /// - Parameter subject: As openssl takes it, `/O=Acme/CN=alice`.
    package func issue(_ name: String, subject: String) async throws -> TLSSettings {
        let made = TLSSettings(certificatePath: "\(directory)/\(name).pem", keyPath: "\(directory)/\(name).key")
        try await openssl(
            [
                "-CA", certificatePath, "-CAkey", "\(directory)/authority.key", "-subj", subject, "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", made.certificatePath, "-keyout", made.keyPath,
            ])
        return made
    }

    private func openssl(_ arguments: [String]) async throws {
        let command = ChildCommand(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
                + ["-utf8", "-days", "30"] + arguments)
        let result = try await ChildProcess.run(command, deadline: .seconds(60), on: loop)
        guard result.exit == .exited(0) else {
            throw NeverHappened(description: "openssl: \(String(decoding: result.errorOutput, as: UTF8.self))")
        }
    }
}
