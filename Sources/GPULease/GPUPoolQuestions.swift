import JSON

extension GPUPool {
    /// What the pool looks like: hosts, units, leases and who waits.
    ///
    /// - Parameter pool: Which one, where coordinators serve several; nil leaves it to them.
    /// - Throws: ``LeaseError/Kind/unreachable``, ``LeaseError/Kind/unauthorized``, ``LeaseError/Kind/forbidden`` or
    ///   ``LeaseError/Kind/cancelled``.
    public func status(of pool: String? = nil) async throws(LeaseError) -> PoolStatus {
        let path = "/v1/gpu/status" + (pool.map { "?pool=" + percentEncoded($0) } ?? "")
        let body = try await answer { await $0.ask(.get, path) }
        guard let status = PoolStatus(body) else { throw LeaseError(.unreachable, Texts.unreachable(Texts.odd(200))) }
        return status
    }

    /// Whether a fencing token is that of the lease which stands on its unit: for a resource that is about to let its
    /// holder write. The agent on the unit's host answers the same from its own table, also with Redis down.
    ///
    /// - Parameters:
    ///   - unit: As in `node1/0`.
    ///   - fencing: The ``Lease/fencingToken`` that was handed in.
    /// - Throws: ``LeaseError/Kind/unreachable``, also where no coordinator's copy of the pool is current,
    ///   ``LeaseError/Kind/unauthorized``, ``LeaseError/Kind/forbidden``, ``LeaseError/Kind/invalid`` where the pool has no
    ///   such unit, or ``LeaseError/Kind/cancelled``.
    public func verify(unit: String, fencing: Int64) async throws(LeaseError) -> Verification {
        let question: JSONObject = ["unit": .string(unit), "fencing_token": .integer(fencing)]
        let body = try await answer { await $0.ask(.post, "/v1/gpu/verify", question) }
        guard let isCurrent = body["current"]?.bool else {
            throw LeaseError(.unreachable, Texts.unreachable(Texts.odd(200)))
        }
        return Verification(
            isCurrent: isCurrent, holder: body["holder"]?.string, age: .milliseconds(body["age_ms"]?.number ?? 0))
    }

    /// What happens in the pool: who waits, is granted a unit, renews it, loses it or gives it back.
    ///
    /// - Parameters:
    ///   - types: Only these, as in `granted`; none means all.
    ///   - id: Goes on behind this event. Nil begins with what happens from now on.
    ///   - pool: Which one, where coordinators serve several; nil leaves it to them.
    public func events(of types: [String] = [], after id: String? = nil, in pool: String? = nil) -> GPUEvents {
        GPUEvents(service: service, types: types, after: id, pool: pool)
    }

    private func answer(
        _ ask: @escaping @Sendable (Service) async -> Result<JSONObject, LeaseError>
    ) async throws(LeaseError) -> JSONObject {
        try await service.run { [service] in await ask(service) }.get()
    }
}
