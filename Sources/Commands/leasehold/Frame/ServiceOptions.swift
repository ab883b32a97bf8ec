import EventLoop
import HTTP
import Settings
import Telemetry

/// What every command that calls the service can be told.
enum ServiceOptions {
    static let url = Option.text(
        "url", "URL", standard: .text("http://localhost:8080"),
        help: "The coordinator: http://HOST:PORT, https://HOST:PORT or unix:///PATH.", section: section,
        places: [.flag, .variable])
    static let token = Option.text(
        "token", "TOKEN", help: "Who calls. Only a variable, since everybody can read a command line.",
        section: section, places: .variable, secrecy: .secret)
    static let tokenFile = Option.text(
        "token-file", "PATH", help: "A file with the token of who calls; it should be readable by its owner only.",
        section: section, places: [.flag, .variable])
    static let certificates = Option.text(
        "ca-file", "PATH", help: "A PEM file of the certificates to trust in place of the system's, for https.",
        section: section, places: [.flag, .variable])
    static let certificate = Option.text(
        "client-certificate", "PATH", help: "A PEM certificate to show, for https, in place of a token.",
        section: section, places: [.flag, .variable])
    static let key = Option.text(
        "client-key", "PATH", help: "The key of that certificate in PEM.", section: section,
        places: [.flag, .variable])
    static let pool = Option.text(
        "pool", "NAME",
        help: "Which pool, where the coordinator serves several. One that serves no such pool refuses the call.",
        section: section, places: [.flag, .variable])
    static let json = Option.flag(
        "json", help: "Print the service's answer as one JSON document.", section: section, places: .flag)

    static let all = [
        url.entry, token.entry, tokenFile.entry, certificates.entry, certificate.entry, key.entry, pool.entry,
        json.entry,
    ]
    private static let section = "The service"

    /// The certificate of who calls, nil where none was given.
    static func callersCertificate(_ given: Given) throws(Failure) -> TLSSettings? {
        switch (try given.optional(certificate), try given.optional(key)) {
        case (nil, nil): return nil
        case (let certificate?, let key?): return TLSSettings(certificatePath: certificate, keyPath: key)
        default: throw Failure(.usage, Texts.certificateWithoutKey)
        }
    }

    /// The token of who calls, nil where none was given. What is odd about its file is told on the error stream.
    static func callersToken(_ given: Given, _ surroundings: Surroundings) throws(Failure) -> Secret<String>? {
        if let path = try given.optional(tokenFile) {
            let bytes: [UInt8]
            do throws(LoopError) {
                bytes = try Files.read(path, limit: 64 << 10)
            } catch {
                throw Failure(.usage, Texts.tokenFileUnreadable(path, error.description))
            }
            let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            guard text.count == 1 else { throw Failure(.usage, Texts.tokenFileWrong(path)) }
            if let mode = Files.permissions(path)?.mode, mode & 0o077 != 0 {
                surroundings.error.line("leasehold: " + Texts.tokenFileOpen(path))
            }
            return Secret(String(text[0]))
        }
        return try given.optional(token).map { Secret($0) }
    }
}
