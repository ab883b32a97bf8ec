import CSystem
import Glibc

/// Whose connections are counted together: an IPv4 address, or the 64 bits of an IPv6 address behind which one machine may
/// have any number of addresses.
struct PeerNetwork: Hashable {
    private let isNew: Bool
    private let prefix: UInt64

    /// Nil where nothing is counted: for unix sockets and loopback addresses, behind which a proxy of this machine may
    /// stand for everybody, and where this machine's own processes have other means to harm it.
    init?(_ address: UnsafePointer<sockaddr>?) {
        guard let address else { return nil }
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let number = UInt32(bigEndian: raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr)
            guard number >> 24 != 127 else { return nil }
            (isNew, prefix) = (false, UInt64(number))
        case AF_INET6:
            let whole = raw.loadUnaligned(as: sockaddr_in6.self)
            let (high, low) = withUnsafeBytes(of: whole.sin6_addr) {
                (
                    UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                    UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            }
            guard (high, low) != (0, 1) else { return nil }
            (isNew, prefix) = (true, high)
        default: return nil
        }
    }
}
