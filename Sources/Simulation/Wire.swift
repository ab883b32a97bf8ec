import LeaseModel
import LeaseStore
import RedisClient
import Synchronization

/// Runs the scripts of one world on a real Redis, each at the virtual moment that was set before.
final class Wire: Sendable {
    /// What the next script meets.
    struct Situation: Sendable {
        /// The first key of the pool on the master that the script reaches.
        var clockKey: String
        /// What `TIME` says there, in µs.
        var time: Int64
        var expired: [String]
    }

    /// What a script left behind besides its answer.
    struct Effects: Sendable {
        /// Messages: instance and bytes.
        var mail: [(to: String, bytes: [UInt8])] = []
        /// Keys and the ms that they live from now on; 0 for ever.
        var expiries: [(key: String, milliseconds: Int64)] = []
        var name = ""
        var error: String?
    }

    private enum Mode: Sendable {
        case idle
        case run(Situation)
        /// The answer does not come.
        case fail
        /// Only the pool's first key is wanted.
        case learn
        case done(Effects)
        case learned(String)
    }

    private let client: RedisClient
    private let scripts: VirtualScripts
    private let mode = Mutex(Mode.idle)

    init(client: RedisClient, scripts: VirtualScripts) {
        self.client = client
        self.scripts = scripts
    }

    func store(_ pool: PoolID, aging: Aging) -> LeaseStore {
        LeaseStore(pool: pool, aging: aging) { (script, keys, arguments) async throws(RedisError) in
            try await self.evaluate(script, keys, arguments)
        }
    }

    /// Lets `twin` run its script now.
    func run(_ twin: Errand.Twin, in situation: Situation) async -> (Errand.Answer, Effects) {
        mode.withLock { $0 = .run(situation) }
        let answer = await twin()
        let effects = mode.withLock { mode in
            defer { mode = .idle }
            if case .done(let effects) = mode { return effects }
            return Effects()
        }
        return (answer, effects)
    }

    /// What `twin` makes of an answer that does not come.
    func fail(_ twin: Errand.Twin) async -> Errand.Answer {
        mode.withLock { $0 = .fail }
        return await twin()
    }

    /// The first key of a pool, as the store spells it.
    func firstKey(of pool: PoolID) async -> String {
        mode.withLock { $0 = .learn }
        let store = store(pool, aging: .standard)
        _ = try? await store.leave(InstanceID("nobody"))  // throws, as nothing is sent
        return mode.withLock { mode in
            defer { mode = .idle }
            if case .learned(let key) = mode { return key }
            preconditionFailure("the store has run no script")
        }
    }

    /// Runs `Keep.lua`.
    func keep(_ clockKey: String, _ arguments: [RedisArgument]) async -> RedisReply {
        do throws(RedisError) {
            return try await client.evaluate(scripts.keep, keys: [clockKey], arguments: arguments)
        } catch {
            return .error(error.message)
        }
    }

    private func evaluate(
        _ script: RedisScript, _ keys: [String], _ arguments: [RedisArgument]
    ) async throws(RedisError) -> RedisReply {
        switch mode.withLock({ $0 }) {
        case .learn:
            mode.withLock { $0 = .learned(keys[0]) }
            throw RedisError(.notConnected, "nothing is sent")
        case .fail: throw RedisError(.disconnected, "the answer was lost")
        case .idle, .done, .learned: preconditionFailure("a twin runs one script, when it is told to")
        case .run(let situation):
            var effects = Effects()
            effects.name = script.name
            defer { mode.withLock { $0 = .done(effects) } }
            do throws(RedisError) {
                let reply = try await client.evaluate(
                    scripts.wrapped(script), keys: [situation.clockKey, String(situation.time)] + situation.expired,
                    arguments: script.arguments(of: [arguments]))
                guard let parts = reply.array, parts.count == 3, let mail = parts[1].array,
                    let expiries = parts[2].array
                else { throw RedisError(.protocolViolation, "\(script.name): an answer that is not wrapped") }
                for index in stride(from: 0, to: mail.count - 1, by: 2) {
                    guard let to = mail[index].text, case .bytes(let bytes) = mail[index + 1] else { continue }
                    effects.mail.append((to, bytes))
                }
                for index in stride(from: 0, to: expiries.count - 1, by: 2) {
                    guard let key = expiries[index].text, let life = expiries[index + 1].integer else { continue }
                    effects.expiries.append((key, life))
                }
                guard let answer = script.answers(in: parts[0], to: 1)?.first else {
                    throw RedisError(.protocolViolation, "\(script.name): one call has other answers")
                }
                return answer
            } catch {
                effects.error = "\(script.name): \(error.message)"
                throw error
            }
        }
    }
}
