/// What one client says to take a lock and to give it back, and how it reads the answers.
package protocol Dialogue {
    static var framing: Framing { get }
    /// What is said once before the first lock; empty where nothing is.
    mutating func greeting() -> [UInt8]
    /// False where the server refuses.
    mutating func greeted(_ status: Int, _ body: Span<UInt8>) -> Bool
    mutating func lock() -> [UInt8]
    /// Whether the lock is held now.
    mutating func locked(_ status: Int, _ body: Span<UInt8>) -> Bool
    mutating func unlock() -> [UInt8]
    mutating func unlocked(_ status: Int, _ body: Span<UInt8>) -> Bool
}

extension Dialogue {
    package mutating func greeting() -> [UInt8] { [] }
    package mutating func greeted(_ status: Int, _ body: Span<UInt8>) -> Bool { true }
}
