/// What a program is told, in one place: each text says what is wrong or has happened, and what to do.
enum Texts {
    static let cancelled = "The task was cancelled, and its place in the queue is given up."
    static func timedOut(_ trouble: String) -> String {
        "No unit was granted in time\(trouble.isEmpty ? "" : " (\(trouble))"). Wait longer, or ask for less."
    }
    static let noURL =
        "No coordinator is named. Give the address of one, as in http://localhost:8080, or none for that one."
    static let callCancelled = "The task was cancelled before the answer came."
    static let replacedByOther = "Another call with the same request id has taken this one's place."

    static func expired(_ lease: String, _ why: String) -> String {
        "The lease \(lease) could not be renewed in time\(why.isEmpty ? "" : " (\(why))"). Stop using the unit and ask for a new one."
    }
    static func ended(_ lease: String, _ reason: LeaseError.LossReason, by: String?, why: String?) -> String {
        let what =
            switch reason {
            case .expired: "was not renewed in time"
            case .revoked: "was revoked"
            case .preempted: "was preempted: it was not given back in its grace"
            case .forceReleased: "was force-released"
            case .released: "was given back by somebody else"
            case .lost: "was lost: its agent does not have it any more"
            case .notHeld: "is not known any more"
            }
        let who = by.map { " by \($0)" } ?? ""
        let reason = why.map { " (\($0))" } ?? ""
        return "The lease \(lease) \(what)\(who)\(reason). Stop using the unit and ask for a new one."
    }
    static func givenBack(_ lease: String) -> String { "The lease \(lease) was given back already. Ask for a new one." }
    static func notRenewed(_ lease: String, _ why: String) -> String {
        "The lease \(lease) was not renewed now (\(why)). It stands until its deadline; try again."
    }
    static func unreachable(_ why: String) -> String {
        "No coordinator can be reached: \(why). Start one (leasehold up), or name it by LEASEHOLD_URL."
    }
    static func refused(_ status: Int, _ word: String?, _ msg: String?) -> String {
        msg ?? word ?? "The coordinator answered \(status)."
    }
    static func unauthorized(_ msg: String?) -> String {
        "\(msg ?? "No token, or an unknown one.") Give the token of this caller, or set LEASEHOLD_TOKEN."
    }
    static func odd(_ status: Int) -> String { "answer \(status) is not one of a coordinator" }
}
