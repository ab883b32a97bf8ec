/// Where a side's certificate and key lie, both in PEM.
package struct TLSSettings: Hashable, Sendable {
    /// The certificate, followed by those that lead to a root.
    package var certificatePath: String
    package var keyPath: String
    /// At a server: the authorities whose certificates clients may show; nil asks for none.
    package var clientAuthoritiesPath: String?

    package init(certificatePath: String, keyPath: String, clientAuthoritiesPath: String? = nil) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.clientAuthoritiesPath = clientAuthoritiesPath
    }
}
