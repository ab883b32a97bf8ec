import RedisClient

/// The shared record could not be reached, or answered with something that no script of this version says.
package struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// No connection, or no answer in time: the script may have run.
        case unavailable
        /// Too many commands are on their way: this one was not sent.
        case overloaded
        /// Redis refused the script, or its answer was not understood.
        case failed
    }

    package var kind: Kind
    package var message: String

    package init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }

    init(_ error: RedisError) {
        switch error.kind {
        case .notConnected, .disconnected, .deadline: kind = .unavailable
        case .overloaded: kind = .overloaded
        default: kind = .failed
        }
        message = error.message
    }

    package var description: String { message }

    /// A coordinator's next connection has opened with a heartbeat meanwhile; nothing was changed.
    static func late(_ script: RedisScript) -> StoreError {
        StoreError(
            kind: .unavailable,
            message:
                "\(script.name) arrived after a later connection of its coordinator had opened; nothing was changed")
    }

    static func notUnderstood(_ script: RedisScript, _ reply: RedisReply) -> StoreError {
        StoreError(kind: .failed, message: "\(script.name) answered \(reply), which this version does not know")
    }
}
