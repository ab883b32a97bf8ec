import LeaseModel
import RedisClient

/// The calls that coordinators and agents make for most of what they are asked for, answered to a closure: a task for each
/// would cost as much as all else that is done about it. On the thread of the client's loop.
///
/// A script leaves within its call and takes along what was gathered before it; one that is gathered itself leaves at the end
/// of the turn. So what a coordinator has decided leaves in that order: its heartbeat before the asks of a new connection, a
/// cancel before the next ask for its ticket.
package struct LeaseCalls {
    /// Sends one script with its keys and arguments and tells its answer once, possibly inside the call.
    package typealias Sender =
        @Sendable (
            RedisScript, [String], [RedisArgument], @escaping (Result<RedisReply, RedisError>) -> Void
        ) -> Void
    /// Told once, possibly inside the call. After `.unavailable` the script may or may not have run; nothing is repeated.
    package typealias Reply<Outcome> = (Result<Outcome, StoreError>) -> Void

    let aging: Aging
    private let send: Sender
    private let keys: [String]

    package init(pool: PoolID, aging: Aging = .standard, send: @escaping Sender) {
        self.aging = aging
        self.send = send
        keys = Keys(pool).ofScripts
    }

    func call<Outcome>(
        _ script: RedisScript, _ words: [RedisArgument], _ read: @escaping (Answer) throws(StoreError) -> Outcome,
        _ reply: @escaping Reply<Outcome>
    ) {
        send(script, keys, words) { result in
            reply(
                Result { () throws(StoreError) in
                    switch result {
                    case .success(let answer): try read(Answer(script, answer))
                    case .failure(let error): throw StoreError(error)
                    }
                })
        }
    }
}
