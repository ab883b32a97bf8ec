import EventLoop
import HTTP

/// A certificate for `localhost` and 127.0.0.1 that signs itself and lasts for a hundred years; for tests only.
enum TestCertificate {
    static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBZjCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
        c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
        CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNHZCqMAuiaOPWEW
        0Z+9Ibq2jkRM3WJ1Cdr8vv2AY4cZjZ60sVg/ZJof94ImJZmPjGGsS3LAGzFzAgiq
        T4a9ib2jTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
        BTADAQH/MB0GA1UdDgQWBBTzywTHJhVFMesToS3m0uJkpL2m0jAKBggqhkjOPQQD
        AgNHADBEAiBgIjo0IGwoBRogc0kVpYMdTtBW3Q9KtVuYidcwcrM/lQIgTs2fq6P4
        cGAc6G0MtpfxEOxp60unVXhj+vW7wR9Ui78=
        -----END CERTIFICATE-----

        """

    static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6RqtGIwO2CqntzUw
        OghCMUruwxT47iupga4TP/QXCOShRANCAATR2QqjALomjj1hFtGfvSG6to5ETN1i
        dQna/L79gGOHGY2etLFYP2SaH/eCJiWZj4xhrEtywBsxcwIIqk+GvYm9
        -----END PRIVATE KEY-----

        """

    /// Runs `body` with both as files, which are removed on every path.
    static func withFiles<Result: Sendable>(
        _ body: @Sendable (TLSSettings) async throws -> Result
    ) async throws -> Result {
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        _ = try Files.makeDirectory(directory)
        defer { try? Files.removeTree(directory) }
        let settings = TLSSettings(certificatePath: "\(directory)/certificate.pem", keyPath: "\(directory)/key.pem")
        try Files.append(Array(certificate.utf8), to: settings.certificatePath)
        try Files.append(Array(key.utf8), to: settings.keyPath)
        return try await body(settings)
    }
}
