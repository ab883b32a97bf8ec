import EventLoop

/// Runs `body` beside a loop on a thread of its own, which ends on every path.
package func withLoop<Result: Sendable>(
    _ body: @Sendable (EventLoop) async throws -> Result
) async throws -> Result {
    let loop = try EventLoop.onOwnThread()
    defer { loop.stopAndJoin() }
    return try await body(loop)
}

extension EventLoop {
    /// Runs `work` on the loop's thread and waits for what it returns.
    package func run<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        let outcome: Swift.Result<Result, any Error> = await withUnsafeContinuation { continuation in
            perform { continuation.resume(returning: Swift.Result { try work() }) }
        }
        return try outcome.get()
    }
}
