/// What a server has seen since it began.
package struct HTTPCounts: Equatable, Sendable {
    /// Connections open now.
    package internal(set) var openConnections = 0
    /// Connections accepted.
    package internal(set) var connections: UInt64 = 0
    /// Requests handed to the handler.
    package internal(set) var requests: UInt64 = 0
    /// Dispensable connections that were closed to make room for others.
    package internal(set) var closedForRoom: UInt64 = 0
    /// Connections that were closed because their clients did not take their answers while memory ran short.
    package internal(set) var slowReaders: UInt64 = 0
    /// Answers that the server itself gave, by status.
    package internal(set) var refusals: [Int: UInt64] = [:]
}
