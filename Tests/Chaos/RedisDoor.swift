import EventLoop
import RedisClient

/// A Redis server or sentinel, asked through its unix socket, past all relays and cuts. Answers as a replica, too.
struct RedisDoor: Sendable {
    let name: String
    let path: String
    let password: String?
    let loop: EventLoop

    /// Throws `notConnected` where nobody listens, and `deadline` where nobody answers in half a second.
    func ask(_ command: [RedisArgument]) async throws(RedisError) -> RedisReply {
        let question = RedisQuestion(loop: loop, user: nil, password: password, command: command)
        let outcome: Result<RedisReply, RedisError> = await withUnsafeContinuation { continuation in
            loop.perform {
                question.ask(.unix(path: path), within: .milliseconds(500)) { outcome in
                    withExtendedLifetime(question) { continuation.resume(returning: outcome) }
                }
            }
        }
        return try outcome.get()
    }
}
