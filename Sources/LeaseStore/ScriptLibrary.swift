import RedisClient

/// The scripts as Redis gets them: each with the shared pieces that its `uses:` line names put in front, once.
package enum ScriptLibrary {
    package static let answerAgain = script("AnswerAgain", PackageResources.AnswerAgain_lua)
    package static let ask = script("Ask", PackageResources.Ask_lua)
    package static let beat = script("Beat", PackageResources.Beat_lua)
    package static let cancel = script("Cancel", PackageResources.Cancel_lua)
    package static let confirm = script("Confirm", PackageResources.Confirm_lua)
    package static let cordon = script("Cordon", PackageResources.Cordon_lua)
    package static let depart = script("Depart", PackageResources.Depart_lua)
    package static let drain = script("Drain", PackageResources.Drain_lua)
    package static let end = script("End", PackageResources.End_lua)
    package static let heartbeat = script("Heartbeat", PackageResources.Heartbeat_lua)
    package static let history = script("History", PackageResources.History_lua)
    package static let insist = script("Insist", PackageResources.Insist_lua)
    package static let leave = script("Leave", PackageResources.Leave_lua)
    package static let preempt = script("Preempt", PackageResources.Preempt_lua)
    package static let reject = script("Reject", PackageResources.Reject_lua)
    package static let release = script("Release", PackageResources.Release_lua)
    package static let renew = script("Renew", PackageResources.Renew_lua)
    package static let renewed = script("Renewed", PackageResources.Renewed_lua)
    package static let revoke = script("Revoke", PackageResources.Revoke_lua)
    package static let snapshot = script("Snapshot", PackageResources.Snapshot_lua)
    package static let spare = script("Spare", PackageResources.Spare_lua)
    package static let tickets = script("Tickets", PackageResources.Tickets_lua)
    package static let verify = script("Verify", PackageResources.Verify_lua)

    /// Those that agents call.
    static let agents = [confirm, depart, end, heartbeat, insist, reject, renewed]
    /// Those that coordinators call.
    static let coordinators = [
        answerAgain, ask, beat, cancel, cordon, drain, history, leave, preempt, release, renew, revoke, snapshot, spare,
        tickets, verify,
    ]
    /// Every script.
    package static let all = agents + coordinators

    private static func shared(_ name: Substring) -> [UInt8]? {
        switch name {
        case "Clock": PackageResources.Clock_lua
        case "Compare": PackageResources.Compare_lua
        case "Drains": PackageResources.Drains_lua
        case "Drop": PackageResources.Drop_lua
        case "Events": PackageResources.Events_lua
        case "Keys": PackageResources.Keys_lua
        case "Mail": PackageResources.Mail_lua
        case "Match": PackageResources.Match_lua
        case "Preemption": PackageResources.Preemption_lua
        case "Session": PackageResources.Session_lua
        case "Settle": PackageResources.Settle_lua
        default: nil
        }
    }

    private static func script(_ name: String, _ body: [UInt8]) -> RedisScript {
        var placed: [Substring] = []
        var source: [UInt8] = []
        func place(_ piece: [UInt8], path: [Substring]) {
            for use in uses(of: piece) where !placed.contains(use) {
                // The scripts are part of this binary: a wrong name or a circle is our own mistake.
                precondition(!path.contains(use), "the scripts' uses lines form a circle at \(use)")
                guard let text = shared(use) else { preconditionFailure("no shared script \(use)") }
                place(text, path: path + [use])
                placed.append(use)
            }
            source += piece
        }
        place(body, path: [])
        return RedisScript(name: name, source: source)
    }

    private static func uses(of piece: [UInt8]) -> [Substring] {
        let text = String(decoding: piece, as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix("-- uses: ") {
            return line.dropFirst("-- uses: ".count).split(separator: " ")
        }
        return []
    }
}
