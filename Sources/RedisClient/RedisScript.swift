import EventLoop

/// A script that runs in the server, called by its fingerprint.
package struct RedisScript: Sendable {
    /// For logs and error messages.
    package let name: String
    package let source: [UInt8]
    /// The SHA-1 of the source in lower-case hexadecimal, which is the server's name for the script.
    package let sha1: String

    package init(name: String, source: [UInt8]) {
        self.name = name
        self.source = source
        sha1 = Digest.sha1Hex(source)
    }
}
