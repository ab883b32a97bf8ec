import RedisClient

/// The scripts as Redis gets them: each with what it needs of the shared pieces that its `uses:` line names put in front,
/// and of those that these call rarely.
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

    /// What several scripts share, each read once.
    private static let shared: [String: ScriptText.Piece] = [
        "Choose": .init(PackageResources.Choose_lua),
        "Clock": .init(PackageResources.Clock_lua),
        "Compare": .init(PackageResources.Compare_lua),
        "Drains": .init(PackageResources.Drains_lua),
        "Drop": .init(PackageResources.Drop_lua),
        "Events": .init(PackageResources.Events_lua),
        "Keys": .init(PackageResources.Keys_lua),
        "Mail": .init(PackageResources.Mail_lua),
        "Match": .init(PackageResources.Match_lua),
        "Preemption": .init(PackageResources.Preemption_lua),
        "Recall": .init(PackageResources.Recall_lua),
        "Session": .init(PackageResources.Session_lua),
        "Settle": .init(PackageResources.Settle_lua),
        "Several": .init(PackageResources.Several_lua),
    ]

    private static func script(_ name: String, _ body: [UInt8]) -> RedisScript {
        var placed: [String] = []
        var rare: [String] = []
        var text = ScriptText()
        func place(_ uses: [String], path: [String]) {
            for use in uses where !placed.contains(use) {
                // The scripts are part of this binary: a wrong name or a circle is our own mistake.
                precondition(!path.contains(use), "the scripts' uses lines form a circle at \(use)")
                guard let piece = shared[use] else { preconditionFailure("no shared script \(use)") }
                place(piece.uses, path: path + [use])
                text.add(piece, isRare: rare.contains(use))
                placed.append(use)
                rare += piece.rarely
            }
        }
        var main = body
        let wordsACall = ScriptText.words(behind: "-- calls: ", in: body).first.flatMap { Int($0) }
        place(ScriptText.words(behind: "-- uses: ", in: body), path: [])
        if wordsACall != nil {
            main = ScriptText.once(body) + PackageResources.Calls_lua
            place(ScriptText.words(behind: "-- uses: ", in: PackageResources.Calls_lua), path: [])
        }
        place(rare, path: [])
        return RedisScript(name: name, source: text.before(main), wordsACall: wordsACall)
    }
}
