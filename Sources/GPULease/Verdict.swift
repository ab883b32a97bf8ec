import JSON

/// What an answer means for a wait.
enum LockVerdict {
    case granted(Grant)
    /// The request is over at the coordinator too.
    case over(LeaseError)
    /// A later call of this request has its place, which may be one of our own that was thought lost.
    case replaced
    /// The same call, sent again, keeps its place.
    case again(String, after: Duration?)

    init(_ answer: Service.Answer, requestID: String, sent: ContinuousClock.Instant) {
        let body = answer.body
        switch answer.status {
        case 200:
            if let grant = Grant(body, requestID: requestID, sent: sent) {
                self = .granted(grant)
            } else {
                self = .again(Texts.odd(200), after: nil)
            }
        case 409: self = .replaced
        case 503 where body["status"]?.string == "timeout":
            self = .over(
                LeaseError(
                    .timedOut(position: body["position"]?.integer.map { Int(clamping: $0) }),
                    body["reason"]?.string ?? Texts.timedOut("")))
        case 503 where body["status"]?.string == "refused":
            self = .over(
                LeaseError(
                    .refused(by: body.filled("by"), why: body.filled("why")), Texts.refused(503, nil, answer.message)))
        default:
            if let error = answer.mistake {
                self = .over(error)
            } else {
                self = .again(answer.message ?? Texts.odd(answer.status), after: answer.retryAfter)
            }
        }
    }
}

/// What an answer means for a lease.
enum RenewVerdict {
    /// `preemption` tells who asks for the unit.
    case renewed(until: ContinuousClock.Instant, preemption: Preemption? = nil)
    case lost(LeaseError)
    /// The time told last goes on.
    case unknown(String)

    /// - Parameter sent: A moment before the call was sent.
    init(_ answer: Service.Answer, lease: String, sent: ContinuousClock.Instant) {
        switch answer.status {
        case 200:
            if answer.body["status"]?.string == "renewed", let expiresIn = answer.body["expires_in"]?.number {
                self = .renewed(until: sent + .seconds(expiresIn), preemption: Preemption(answer.body))
            } else {
                self = .unknown(Texts.odd(200))
            }
        case 410:
            let reason = answer.body["error"]?.string.flatMap { LeaseError.LossReason(rawValue: $0) } ?? .notHeld
            let by = answer.body.filled("by")
            let why = answer.body.filled("why")
            self = .lost(
                LeaseError(
                    .lost(reason, by: by, why: why), answer.message ?? Texts.ended(lease, reason, by: by, why: why)))
        default: self = .unknown(answer.message ?? Texts.odd(answer.status))
        }
    }
}

extension Service.Answer {
    /// The caller's mistake, which the same call again would make again; nil where it is none.
    var mistake: LeaseError? {
        let text = Texts.refused(status, body["error"]?.string, message)
        return switch status {
        case 401: LeaseError(.unauthorized, Texts.unauthorized(message ?? body["error"]?.string))
        case 403: LeaseError(.forbidden, text)
        case 408, 425, 429: nil
        case 400..<500: LeaseError(.invalid, text)
        default: nil
        }
    }

    /// Coordinators answer in JSON; all else comes from what stands between.
    var isOfCoordinator: Bool { !body.isEmpty }

    /// What the coordinator says for people.
    var message: String? { body.filled("msg") }
}

extension JSONObject {
    /// A text with something in it.
    func filled(_ name: String) -> String? { self[name]?.string.flatMap { $0.isEmpty ? nil : $0 } }
}
