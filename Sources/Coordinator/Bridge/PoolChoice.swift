import HTTP
import LeaseModel

/// Which pool a call is about, where several are served: the one that it names in `pool`, else the one that has what it
/// speaks of, else the first.
extension Coordinator {
    func receive(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard !others.isEmpty else { return take(request, exchange) }
        switch addressee(of: request) {
        case .one(let coordinator): coordinator.assumeIsolated { $0.take(request, exchange) }
        case .unclear: take(request, exchange, isUnclear: true)
        }
    }

    private enum Addressee {
        case one(Coordinator)
        /// It names a unit that is in no pool as far as is known, and not all have been read.
        case unclear
    }

    private var all: [Coordinator] { [self] + others }

    /// A pool that is not served is left to the first, which refuses it.
    private func addressee(of request: HTTPRequest) -> Addressee {
        if let named = request.pool { return .one(coordinator(of: named)) }
        guard let route = Route.at(request.path) else { return .one(self) }
        if route == .requests { return .one(coordinator(ofRequest: request)) }
        guard route.method == .post, let members = try? Members(request.body) else { return .one(self) }
        if let named = try? members.text("pool") { return .one(coordinator(of: named)) }
        switch route {
        case .unlock, .renew:
            guard let token = try? members.text("token"), let (lease, _) = Self.parts(ofToken: token) else {
                return .one(self)
            }
            return coordinator(of: lease.unit, lease)
        case .verify:
            guard let unit = try? members.named("unit", { (text) throws(InvalidName) in try UnitID(text) }) else {
                return .one(self)
            }
            let fencing = (try? members.integer("fencing_token", in: 1...Int64.max)).flatMap { $0 }
            return coordinator(of: unit, fencing.map { LeaseID(unit: unit, fencing: FencingToken($0)) })
        case .lock, .reset, .forceRelease, .cordon, .drain, .join, .requests, .status, .events, .health, .ready,
            .metrics, .openAPI:
            return .one(self)
        }
    }

    private func coordinator(of pool: String) -> Coordinator {
        all.first { $0.assumeIsolated { $0.settings.pool.text } == pool } ?? self
    }

    /// The one whose pool has the unit; where hosts of several pools share a name, the one that knows the lease.
    private func coordinator(of unit: UnitID, _ lease: LeaseID?) -> Addressee {
        let having = all.filter { $0.assumeIsolated { $0.mirror.units[unit] != nil } }
        if having.count > 1, let lease {
            let knowing = having.first { $0.assumeIsolated { $0.mirror.leases[lease] != nil } }
            return .one(knowing ?? having[0])
        }
        if let one = having.first { return .one(one) }
        return all.allSatisfy { $0.assumeIsolated { $0.pool.isRead } } ? .one(self) : .unclear
    }

    private func coordinator(ofRequest request: HTTPRequest) -> Coordinator {
        let id = String(request.path.dropFirst(Route.requests.path.count))
        let judged = question(request, Route.requests.permission)
        return all.first { other in
            other.assumeIsolated { other in
                guard case .allowed(let caller, _) = other.access.judge(judged) else { return false }
                return other.knows(Self.ticket(of: id, caller))
            }
        } ?? self
    }

    private func knows(_ ticket: TicketID) -> Bool {
        mirror.waiters[ticket] != nil || mirror.lease(of: ticket) != nil || waiters.times(of: ticket, at: now) != nil
    }
}

extension HTTPRequest {
    /// The pool that the query names.
    var pool: String? { query.first { $0.0 == "pool" }?.1 }
}
