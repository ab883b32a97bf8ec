/// Where a server's certificate and key lie, both in PEM.
package struct TLSSettings: Equatable, Sendable {
    /// The certificate, followed by those that lead to a root.
    package var certificatePath: String
    package var keyPath: String

    package init(certificatePath: String, keyPath: String) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
    }
}
