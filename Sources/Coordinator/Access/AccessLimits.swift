/// The bounds of access control: value, unit, and what is told beyond it.
package enum AccessLimits {
    /// Bytes of the token file. Beyond: it is not read.
    package static let fileBytes = 1 << 20
    /// Tokens of a coordinator; each request with a token looks at all of them. Beyond: the file is refused.
    package static let tokens = 4096
    /// Bytes of a token in a request or in `BRIDGE_TOKEN`. Beyond: 401, or the start is refused.
    static let tokenBytes = 512
    /// Bytes of an id prefix, which has to leave room within a holder's id. Beyond: the line is refused.
    package static let prefixBytes = 100
    /// Bytes of a certificate's subject. Beyond: the line is refused.
    static let subjectBytes = 1000
    /// Callers whose rates are remembered before those at rest are forgotten.
    static let accounts = 1024
}
