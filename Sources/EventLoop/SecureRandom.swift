import CSystem
import Glibc

/// Random bytes that nobody can guess, for tokens and instance ids.
package enum SecureRandom {
    /// `count` bytes from the kernel.
    package static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                getrandom($0.baseAddress?.advanced(by: filled), count - filled, 0)
            }
            if got > 0 {
                filled += got
            } else {
                precondition(
                    errno == EINTR, "the kernel gives random bytes; a guessable token would be worse than a stop")
            }
        }
        return bytes
    }

    /// `bytes` random bytes as lower-case hexadecimal, two characters each.
    package static func randomHex(bytes count: Int) -> String { Digest.hex(bytes(count)) }
}
