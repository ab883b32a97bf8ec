import CSystem
import Glibc

/// What the TLS connections of a listener or a client have in common; owns an `SSL_CTX`.
final class TLSContext {
    private let context: OpaquePointer
    /// Whether clients are asked for a certificate.
    private(set) var asksForCertificates = false

    /// For a server. Throws when a file cannot be used.
    init(_ settings: TLSSettings) throws(HTTPError) {
        context = try Self.make(TLS_server_method())
        try use(settings)
        guard let authorities = settings.clientAuthoritiesPath else { return }
        guard SSL_CTX_load_verify_locations(context, authorities, nil) == 1,
            let names = shim_tls_client_authorities(authorities)
        else { throw Self.error("the authorities \(authorities)") }
        SSL_CTX_set_client_CA_list(context, names)  // owns them from here on
        asksForCertificates = true
        // A client may show none; one that it shows has to be good.
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        // Without a name of its own OpenSSL resumes no session in which a certificate was asked for.
        SSL_CTX_set_session_id_context(context, Self.sessions, UInt32(Self.sessions.count))
    }

    private static let sessions = Array("leasehold".utf8)

    /// Shows this certificate to the other side.
    private func use(_ settings: TLSSettings) throws(HTTPError) {
        // A key with a password would be asked for on the terminal, while everything waits.
        SSL_CTX_set_default_passwd_cb(context, noPassword)
        guard SSL_CTX_use_certificate_chain_file(context, settings.certificatePath) == 1 else {
            throw Self.error("the certificate \(settings.certificatePath)")
        }
        guard SSL_CTX_use_PrivateKey_file(context, settings.keyPath, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(context) == 1
        else { throw Self.error("the key \(settings.keyPath)") }
    }

    /// For a client that trusts what the system trusts, or the certificates of one file, and shows `identity` to servers
    /// that ask for a certificate.
    init(trusting file: String?, showing identity: TLSSettings? = nil) throws(HTTPError) {
        context = try Self.make(TLS_client_method())
        let isTaken =
            if let file {
                SSL_CTX_load_verify_locations(context, file, nil) == 1
            } else {
                SSL_CTX_set_default_verify_paths(context) == 1
            }
        guard isTaken else { throw Self.error("the trusted certificates \(file ?? "of this system")") }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        if let identity { try use(identity) }
    }

    deinit { SSL_CTX_free(context) }

    private static func make(_ method: OpaquePointer?) throws(HTTPError) -> OpaquePointer {
        ERR_clear_error()
        guard let made = SSL_CTX_new(method) else { throw error("TLS") }
        SSL_CTX_ctrl(made, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        SSL_CTX_set_options(made, shim_tls_options())
        return made
    }

    private static func error(_ what: String) -> HTTPError {
        let code = ERR_get_error()
        defer { ERR_clear_error() }  // else the next failure of any connection would read as this one
        let why = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
        return HTTPError(.tls, "\(what) cannot be used: \(why)")
    }

    /// A bufferevent that shakes hands with a client and owns the descriptor.
    func acceptingBuffer(_ base: OpaquePointer, _ descriptor: Int32) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        return buffer(base, descriptor, ssl, BUFFEREVENT_SSL_ACCEPTING)
    }

    /// A bufferevent without a descriptor as yet, for a server whose certificate has to be that of `host`.
    func connectingBuffer(_ base: OpaquePointer, host: String) -> OpaquePointer? {
        guard let ssl = SSL_new(context) else { return nil }
        guard shim_tls_expect_host(ssl, host) == 1 else {
            SSL_free(ssl)
            return nil
        }
        return buffer(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING)
    }

    private func buffer(
        _ base: OpaquePointer, _ descriptor: Int32, _ ssl: OpaquePointer, _ state: bufferevent_ssl_state
    ) -> OpaquePointer? {
        let made = bufferevent_openssl_socket_new(
            base, descriptor, ssl, state, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
        guard let made else {
            SSL_free(ssl)
            return nil
        }
        // Many clients close without TLS's own goodbye; our messages have lengths, so none is cut short unnoticed.
        bufferevent_openssl_set_allow_dirty_shutdown(made, 1)
        return made
    }

    /// Tells the peer that nothing more comes, without waiting for its answer.
    static func sayGoodbye(_ buffer: OpaquePointer) {
        guard let ssl = bufferevent_openssl_get_ssl(buffer), SSL_is_init_finished(ssl) == 1 else { return }
        SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN)
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// The subject of the certificate that the client has shown and proved to be its own (RFC 2253); nil where it showed
    /// none.
    static func subject(_ buffer: OpaquePointer) -> String? {
        guard let ssl = bufferevent_openssl_get_ssl(buffer) else { return nil }
        var text = [CChar](repeating: 0, count: HTTPLimits.subjectBytes)
        let length = shim_tls_peer_subject(ssl, &text, Int32(text.count))
        guard length > 0 else { return nil }
        return String(decoding: text[..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Why a handshake has failed; nil when it was not TLS that did.
    static func refusal(_ buffer: OpaquePointer) -> String? {
        let code = bufferevent_get_openssl_error(buffer)
        guard code != 0 else { return nil }
        let reason = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
        guard let ssl = bufferevent_openssl_get_ssl(buffer) else { return reason }
        let verdict = SSL_get_verify_result(ssl)
        guard verdict != Int(X509_V_OK), let text = X509_verify_cert_error_string(verdict) else { return reason }
        return String(cString: text)
    }
}

private func noPassword(
    _ text: UnsafeMutablePointer<CChar>?, _ room: Int32, _ use: Int32, _ context: UnsafeMutableRawPointer?
) -> Int32 { 0 }
