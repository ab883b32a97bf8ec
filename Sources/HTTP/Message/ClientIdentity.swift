/// Who a connection's client has proved to be by the connection itself, whatever its requests say.
package enum ClientIdentity: Hashable, Sendable {
    case unknown
    /// The holder of a certificate that one of the server's authorities has signed; its subject as RFC 2253 writes it, in
    /// ASCII.
    case certificate(subject: String)
    /// A process of this machine: the ids of its user and of its groups as the kernel knows them from when it connected.
    case process(user: UInt32, groups: [UInt32])
}
