import Glibc

/// The two streams of a program that people read.
package enum Console {
    /// Where a text goes.
    package enum Stream: Int32, Sendable {
        case output = 1
        case error = 2
    }

    /// Writes all of `text`; a closed or full stream swallows the rest, since there is nobody to tell. False when nobody
    /// reads the stream any more.
    @discardableResult
    package static func write(_ text: String, to stream: Stream = .output) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(stream.rawValue, $0.baseAddress, $0.count) }
            if written > 0 {
                bytes = bytes.dropFirst(written)
            } else if errno == EAGAIN {
                var poll = pollfd(fd: stream.rawValue, events: Int16(POLLOUT), revents: 0)
                guard Glibc.poll(&poll, 1, 1000) > 0 else { return true }
            } else if errno != EINTR {
                return errno != EPIPE
            }
        }
        return true
    }

    /// Whether a person's terminal is at the other end.
    package static func isTerminal(_ stream: Stream) -> Bool { isatty(stream.rawValue) == 1 }

    /// Whether a person can be asked on standard input.
    package static var isInputTerminal: Bool { isatty(0) == 1 }

    /// One line of standard input without its end, read byte by byte so that nothing behind it is taken; nil at its
    /// end. Blocks, so it is for asking a person before anything else is under way.
    package static func readLine(limit: Int = 4096) -> String? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while line.count < limit {
            let got = read(0, &byte, 1)
            if got == 1 {
                if byte == UInt8(ascii: "\n") { break }
                line.append(byte)
            } else if got == 0 || errno != EINTR {
                if line.isEmpty { return nil }
                break
            }
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// Everything that comes on standard input until it ends, at most `limit` bytes.
    package static func readInput(limit: Int) -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while all.count < limit {
            let got = read(0, &chunk, min(chunk.count, limit - all.count))
            if got > 0 {
                all += chunk[..<got]
            } else if got == 0 || errno != EINTR {
                break
            }
        }
        return all
    }
}
