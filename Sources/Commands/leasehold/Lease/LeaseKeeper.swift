import EventLoop
import HTTP
import JSON
import Telemetry

/// Keeps a lease renewed at a third of its time until the task is cancelled or the lease is lost.
actor LeaseKeeper {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// Why a lease is over.
    struct Loss: Equatable, Sendable {
        let text: String
        /// How long the unit is nobody else's yet: what is left of a lease that could not be renewed. Unbounded where
        /// its agent has said that the lease is over, and waits for what it knows to run.
        let unitIsOurs: Duration

        init(text: String, unitIsOurs: Duration) {
            self.text = text
            self.unitIsOurs = unitIsOurs
        }

        /// The agent's word that it ends what runs under the lease; nil where it says something else.
        init?(_ event: ServerSentEvent, of lease: String) {
            guard event.kind == "ending", let body = (try? JSONParser.parse(Array(event.data.utf8)))?.object else {
                return nil
            }
            self.init(
                text: Texts.lost(lease, Texts.agentEnds(body.text("reason") ?? "")), unitIsOurs: .seconds(86_400))
        }
    }

    private let grant: Grant
    private let service: Service
    private let loop: EventLoop
    private let margin: Duration
    private let warn: @Sendable (String) -> Void
    private let onWish: @Sendable (PreemptWish) -> Void
    private var certainUntil: Duration
    private var hasWarned = false

    /// - Parameters:
    ///   - margin: How long before its certain end a lease counts as lost that cannot be renewed.
    ///   - warn: Told once when renewals begin to fail.
    ///   - onWish: Told, on the loop, with each renewal while somebody asks for the unit.
    init(
        _ grant: Grant, service: Service, loop: EventLoop, margin: Duration = .zero,
        warn: @escaping @Sendable (String) -> Void, onWish: @escaping @Sendable (PreemptWish) -> Void = { _ in }
    ) {
        self.grant = grant
        self.service = service
        self.loop = loop
        self.margin = margin
        self.warn = warn
        self.onWish = onWish
        certainUntil = grant.certainUntil
    }

    /// Returns when the lease is over, nil when the task was cancelled first.
    func keep() async -> Loss? {
        let interval = max(grant.ttl / 3, .milliseconds(30))
        // A grant may come with little left, since it is counted from before it was made.
        var pause = min(interval, max(.zero, certainUntil - margin - loop.now) / 2)
        while true {
            await loop.sleep(for: pause)
            guard !Task.isCancelled else { return nil }
            let sentAt = loop.now
            guard sentAt < certainUntil - margin else { return unrenewed() }
            switch await renew(sentAt, timeout: min(.seconds(5), certainUntil - margin - sentAt)) {
            case .renewed:
                hasWarned = false
                pause = interval
            case .over(let why): return over(why)
            case .unknown(let why):
                guard !Task.isCancelled else { return nil }
                if !hasWarned {
                    hasWarned = true
                    warn(Texts.renewalFailing(grant.lease, why, left: certainUntil - loop.now))
                }
                pause = min(.seconds(1), interval / 4)
                pause = min(pause, max(.milliseconds(1), certainUntil - margin - loop.now))
            }
        }
    }

    private enum Outcome { case renewed, over(String), unknown(String) }

    private func renew(_ sentAt: Duration, timeout: Duration) async -> Outcome {
        do throws(HTTPError) {
            let answer = try await service.call(
                .post, "/v1/gpu/renew", ["token": .string(grant.token.revealed)], timeout: timeout)
            switch answer.status {
            case 200:
                guard let expires = answer.body.number("expires_in") else {
                    return .unknown(Texts.oddAnswer(service.endpoint))
                }
                certainUntil = max(certainUntil, sentAt + .seconds(expires))
                if let wish = PreemptWish(renewal: answer.body) { onWish(wish) }
                return .renewed
            case 410: return .over(Texts.refused(answer, service.endpoint, hasToken: service.token != nil))
            default: return .unknown(Texts.refused(answer, service.endpoint, hasToken: service.token != nil))
            }
        } catch {
            return .unknown(error.message)
        }
    }

    /// Renews at once, as after having been stopped. Nil when the lease stands or cannot be asked about.
    func renewNow() async -> Loss? {
        let sentAt = loop.now
        guard sentAt < certainUntil else { return unrenewed() }
        guard case .over(let why) = await renew(sentAt, timeout: min(.seconds(5), certainUntil - sentAt)) else {
            return nil
        }
        return over(why)
    }

    private func unrenewed() -> Loss {
        Loss(text: Texts.renewalsFailed(grant.lease), unitIsOurs: max(.zero, certainUntil - loop.now))
    }

    private func over(_ why: String) -> Loss {
        Loss(text: Texts.lost(grant.lease, why), unitIsOurs: .seconds(86_400))
    }

    /// Gives the lease back. What went wrong, nil when it is given back or was over.
    static func release(_ token: Secret<String>, service: Service, timeout: Duration = .seconds(5)) async -> String? {
        do throws(HTTPError) {
            let answer = try await service.call(
                .post, "/v1/gpu/unlock", ["token": .string(token.revealed)], timeout: timeout)
            return answer.isOK ? nil : Texts.refused(answer, service.endpoint, hasToken: service.token != nil)
        } catch {
            return error.message
        }
    }
}
