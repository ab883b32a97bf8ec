/// The exclusive right to a unit, from its grant until it is given back or lost.
///
/// It is renewed on a thread of the library's own, so a program that computes for long, or blocks its thread, keeps it.
/// A lease must be given back with ``release()``; ``GPUPool/withLease(for:options:onWait:_:)`` does so. One that is
/// dropped without that is renewed until the process ends, with ``LeaseOptions/Renewal/manual`` until it expires.
public final class Lease: Sendable, CustomStringConvertible {
    let keeper: LeaseKeeper

    init(_ keeper: LeaseKeeper) { self.keeper = keeper }

    /// Names this lease in the pool, as in `node1/0#1764000000000000`.
    public var id: String { keeper.grant.lease }
    /// What is held, as in `node1/0`, or the first of several units, which the lease is named by.
    public var unit: String { keeper.grant.unit }
    /// All units of the lease: as many as ``LeaseOptions/count`` asked for.
    public var units: [String] { keeper.grant.units }
    /// The host that the unit is a part of.
    public var host: String { keeper.grant.host }
    /// A device, or the right to load models.
    public var kind: LeaseOptions.Kind { keeper.grant.kind }
    /// Who holds it.
    public var holder: String { keeper.grant.holder }
    /// Rises from lease to lease of a unit, across every fault: a resource that remembers the highest that it has seen can
    /// refuse an earlier holder that was paused and does not know that its lease is over.
    public var fencingToken: Int64 { keeper.grant.fencingToken }
    /// How long it stands without a renewal.
    public var ttl: Duration { keeper.grant.ttl }
    /// How long the coordinator let this request wait.
    public var waited: Duration { keeper.grant.waited }
    /// Names the request that this lease was granted to.
    public var requestID: String { keeper.grant.requestID }
    /// The variables that let a program find this device and no other, such as `CUDA_VISIBLE_DEVICES`.
    public var environment: [String: String] { keeper.grant.environment }
    /// The secret that proves this lease: whoever has it can renew it and give it back.
    public var token: String { keeper.grant.token.revealed }

    /// Until when the lease is certain; moves with each renewal. Counted from before the calls that set it were sent, and
    /// suspended time counts.
    public var deadline: ContinuousClock.Instant { keeper.state.certainUntil }

    /// Whether the lease stands for certain: neither given back nor lost, and its deadline has not come.
    public var isHeld: Bool {
        let state = keeper.state
        return state.end == nil && state.certainUntil > .now
    }

    /// Throws unless the lease stands for certain: for the moment before something that only a holder may do.
    ///
    /// - Throws: ``LeaseError/Kind/lost(_:by:why:)``.
    public func checkHeld() throws(LeaseError) {
        if let loss { throw loss }
        if case .givenBack = keeper.state.end {
            throw LeaseError(.lost(.released, by: nil, why: nil), Texts.givenBack(id))
        }
    }

    /// Why it is lost already, also where the loop has not noticed yet.
    var loss: LeaseError? {
        let state = keeper.state
        switch state.end {
        case .lost(let error): return error
        case .givenBack: return nil
        case nil:
            guard state.certainUntil <= .now else { return nil }
            return LeaseError(.lost(.expired, by: nil, why: nil), Texts.expired(id, ""))
        }
    }

    /// Why the lease was lost, as soon as it is; nil when it was given back, or the waiting task was cancelled, first.
    public var lost: LeaseError? {
        get async { await keeper.loss() }
    }

    /// Who asks for the unit, where somebody does: give the lease back with ``release()`` before it is revoked.
    public var preemption: Preemption? { keeper.state.preemption }

    /// Waits until somebody asks for the unit; nil when the lease is over, or the waiting task was cancelled, first.
    public var preempted: Preemption? {
        get async { await keeper.wish() }
    }

    /// Renews now, for ``LeaseOptions/Renewal/manual``; elsewhere it only adds a renewal.
    ///
    /// - Throws: ``LeaseError/Kind/lost(_:by:why:)``, or ``LeaseError/Kind/unreachable`` where nobody answered: then the lease
    ///   stands until its ``deadline``, and trying again makes sense.
    public func renew() async throws(LeaseError) {
        try checkHeld()
        switch await keeper.renew() {
        case .renewed: break
        case .lost(let error): throw error
        case .unknown(let why):
            try checkHeld()
            throw LeaseError(.unreachable, Texts.notRenewed(id, why))
        }
    }

    /// Gives the unit back, for the next in the queue. May be called again, and by a cancelled task.
    ///
    /// - Returns: False where no coordinator answered for 5 s or until the ``deadline``; the unit is free soon after that.
    @discardableResult
    public func release() async -> Bool { await keeper.release() }

    /// The id and the holder; never the token.
    public var description: String { "\(id) held by \(holder)" }
}
