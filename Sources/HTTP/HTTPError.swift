/// Why a server cannot listen, or why a call has no answer.
package struct HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// The address is taken, not of this machine, or not permitted.
        case cannotListen
        /// The certificate or key cannot be used, or the peer's is not trusted.
        case tls
        /// Nobody listens there; nothing of the request was sent.
        case cannotConnect
        /// No answer within the time given; the request may have been acted upon.
        case timeout
        /// The connection ended before the answer; the request may have been acted upon.
        case connectionLost
        /// What came is no HTTP answer or larger than the limits.
        case badAnswer
        /// The calling task was cancelled, or the client closed; the request may have been acted upon.
        case cancelled
        /// The address given cannot be read.
        case badAddress
    }

    package let kind: Kind
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String { message }
}
