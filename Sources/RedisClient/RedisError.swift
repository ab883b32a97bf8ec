/// Why a command has no answer.
package struct RedisError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// Not sent, as there is no connection at the moment, or not done, as this server is not the one for it now.
        case notConnected
        /// The connection ended before the answer came; the server may or may not have done it.
        case disconnected
        /// No answer in time; the server may or may not do it yet.
        case deadline
        /// Not sent: too many commands wait for their answers.
        case overloaded
        /// The server answered with an error, which is the message.
        case server
        /// The server answered with what this command never answers.
        case protocolViolation
        /// Not sent: the server is one that must not be used.
        case refusedServer
        /// The address of the server cannot be understood.
        case badURL
    }

    package let kind: Kind
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Whether the server surely did not do what was asked.
    package var surelyNotDone: Bool {
        switch kind {
        case .notConnected, .overloaded, .refusedServer, .badURL: true
        case .disconnected, .deadline, .server, .protocolViolation: false
        }
    }

    package var description: String { message }
}
