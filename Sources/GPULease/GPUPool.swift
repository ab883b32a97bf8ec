import EventLoop
import HTTP
import JSON
import Telemetry

/// The GPUs of a Leasehold pool, asked for at one or several coordinators.
///
/// ```swift
/// let gpu = try GPUPool()
/// try await gpu.withLease(for: "train") { lease in
///     try await train(on: lease.unit)
/// }
/// ```
///
/// It runs a thread of its own, which ends when this object and the leases taken from it are gone. One object serves a
/// whole program, from any number of tasks.
public final class GPUPool: Sendable {
    let service: Service

    /// A pool by its coordinators.
    ///
    /// - Parameters:
    ///   - urls: `http://host:port`, `https://host:port` or `unix:///path/of/socket`; several are asked in turn until one
    ///     answers. Nil takes `LEASEHOLD_URL`, where commas stand between several, or else `http://localhost:8080`.
    ///   - token: The bearer token of this caller. Nil takes `LEASEHOLD_TOKEN`, or else none.
    ///   - certificates: A PEM file with the certificates to trust in place of the system's.
    /// - Throws: ``LeaseError/Kind/invalid`` where an address cannot be read, or the system has no thread left.
    public init(urls: [String]? = nil, token: String? = nil, certificates: String? = nil) throws(LeaseError) {
        let given = urls ?? Environment.get("LEASEHOLD_URL")?.split(separator: ",").map { $0.trimmed }
        let secret = token ?? Environment.get("LEASEHOLD_TOKEN")
        do throws(HTTPError) {
            var endpoints: [HTTPEndpoint] = []
            for url in given ?? ["http://localhost:8080"] { endpoints.append(try HTTPEndpoint(parsing: url)) }
            guard !endpoints.isEmpty else { throw HTTPError(.badAddress, Texts.noURL) }
            service = try Self.service(endpoints, secret, certificates)
        } catch {
            throw LeaseError(.invalid, error.message)
        }
    }

    private static func service(
        _ endpoints: [HTTPEndpoint], _ token: String?, _ certificates: String?
    ) throws(HTTPError) -> Service {
        do throws(LoopError) {
            return try Service(
                endpoints: endpoints, token: token.flatMap { $0.isEmpty ? nil : Secret($0) }, trusting: certificates)
        } catch {
            throw HTTPError(.cannotConnect, error.description)
        }
    }

    // MARK: Leases

    /// Waits for a unit, runs `body` while it is held, and gives it back on every path.
    ///
    /// The lease is renewed meanwhile. When it is lost, the task that runs `body` is cancelled; what `body` returns or throws
    /// after that counts no more. Cancelling the calling task gives the place in the queue up, or cancels `body`.
    ///
    /// - Parameters:
    ///   - holder: Who holds it: 1 to 200 bytes, seen by everybody in the queue.
    ///   - options: What is asked for, and how long to wait.
    ///   - onWait: Told about once a second how the wait goes, on the library's thread: it must return soon.
    ///   - body: Runs in a task of its own.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, or a ``LeaseError``: as ``acquire(for:options:onWait:)``, and
    ///   ``LeaseError/Kind/lost(_:by:why:)`` when the lease was lost before `body` had ended.
    public func withLease<Value: Sendable>(
        for holder: String, options: LeaseOptions = LeaseOptions(),
        onWait: (@Sendable (WaitProgress) -> Void)? = nil,
        _ body: @escaping @Sendable (Lease) async throws -> Value
    ) async throws -> Value {
        let lease = try await acquire(for: holder, options: options, onWait: onWait)
        let outcome = await Self.run(body, lease)
        await lease.release()
        return try outcome.get()
    }

    private enum Step<Value: Sendable>: Sendable {
        case ended(Result<Value, any Error>)
        case lost(LeaseError?)
    }

    private static func run<Value: Sendable>(
        _ body: @escaping @Sendable (Lease) async throws -> Value, _ lease: Lease
    ) async -> Result<Value, any Error> {
        await withTaskGroup(of: Step<Value>.self) { group in
            group.addTask {
                let result: Result<Value, any Error>
                do {
                    result = .success(try await body(lease))
                } catch {
                    result = .failure(error)
                }
                // A lease that lapses from here on has served.
                guard let loss = lease.loss else { return .ended(result) }
                guard case .failure(let cause) = result else { return .ended(.failure(loss)) }
                return .ended(.failure(loss.caused(by: cause)))
            }
            group.addTask { .lost(await lease.lost) }
            var result: Result<Value, any Error>?
            for await step in group {
                if case .ended(let ended) = step { result = ended }
                if case .lost(nil) = step, result == nil { continue }
                group.cancelAll()
            }
            return result ?? .failure(CancellationError())
        }
    }

    /// Waits for a unit, for those who need no scope. The lease must be given back with ``Lease/release()``.
    ///
    /// Lost connections, errors of a coordinator and coordinators that stop are answered by the same call again, at the
    /// next one, which keeps the place in the queue. Cancelling the calling task gives the place up.
    ///
    /// - Parameters:
    ///   - holder: Who holds it: 1 to 200 bytes, seen by everybody in the queue.
    ///   - options: What is asked for, and how long to wait.
    ///   - onWait: Told about once a second how the wait goes, on the library's thread: it must return soon.
    /// - Throws: ``LeaseError/Kind/timedOut(position:)``, ``LeaseError/Kind/refused(by:why:)``,
    ///   ``LeaseError/Kind/replaced``, ``LeaseError/Kind/unreachable``, ``LeaseError/Kind/unauthorized``,
    ///   ``LeaseError/Kind/forbidden``, ``LeaseError/Kind/invalid`` or ``LeaseError/Kind/cancelled``.
    public func acquire(
        for holder: String, options: LeaseOptions = LeaseOptions(),
        onWait: (@Sendable (WaitProgress) -> Void)? = nil
    ) async throws(LeaseError) -> Lease {
        let wait = LeaseWait(holder, options, service: service, onWait: onWait)
        let outcome: Result<Lease, LeaseError> = await service.run { [service] in
            switch await wait.run() {
            case .failure(let error): return .failure(error)
            case .success(let grant):
                let keeper = LeaseKeeper(grant, in: options.pool ?? "", service: service, renewal: options.renewal)
                await keeper.begin()
                return .success(Lease(keeper))
            }
        }
        return try outcome.get()
    }
}

extension Substring {
    fileprivate var trimmed: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}
