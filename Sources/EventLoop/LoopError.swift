import Glibc

/// What the system refused, with the call and the number it gave.
package struct LoopError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call as a manual page names it, with the path it was made for where there is one.
    package let call: String
    /// The `errno` of the refusal; 0 where the refusal has none.
    package let code: Int32

    package init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The call and the system's own sentence for its number.
    package var description: String {
        guard code != 0, let text = strerror(code) else { return call }
        return "\(call): \(String(cString: text))"
    }

    static func last(_ call: String) -> LoopError { LoopError(call: call, code: errno) }
}
