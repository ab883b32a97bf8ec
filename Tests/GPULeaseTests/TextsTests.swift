import Testing

@testable import GPULease

@Suite struct `What a program is told` {
    /// Every text, so that a change of one is seen and read.
    @Test func `reads well`() {
        let told = [
            Texts.cancelled, Texts.timedOut(""), Texts.timedOut("no answer"), Texts.noURL, Texts.callCancelled,
            Texts.replacedByOther, Texts.expired("n/0#1", ""), Texts.expired("n/0#1", "no answer"),
            Texts.ended("n/0#1", .revoked, by: "ops", why: "update"), Texts.ended("n/0#1", .lost, by: nil, why: nil),
            Texts.givenBack("n/0#1"), Texts.notRenewed("n/0#1", "no answer"), Texts.unreachable("no answer"),
            Texts.refused(400, "bad_request", "What to do."), Texts.refused(500, nil, nil), Texts.unauthorized(nil),
            Texts.odd(299),
        ]
        #expect(
            told == [
                "The task was cancelled, and its place in the queue is given up.",
                "No unit was granted in time. Wait longer, or ask for less.",
                "No unit was granted in time (no answer). Wait longer, or ask for less.",
                "No coordinator is named. Give the address of one, as in http://localhost:8080, or none for that one.",
                "The task was cancelled before the answer came.",
                "Another call with the same request id has taken this one's place.",
                "The lease n/0#1 could not be renewed in time. Stop using the unit and ask for a new one.",
                "The lease n/0#1 could not be renewed in time (no answer). Stop using the unit and ask for a new one.",
                "The lease n/0#1 was revoked by ops (update). Stop using the unit and ask for a new one.",
                "The lease n/0#1 was lost: its agent does not have it any more. Stop using the unit and ask for a new one.",
                "The lease n/0#1 was given back already. Ask for a new one.",
                "The lease n/0#1 was not renewed now (no answer). It stands until its deadline; try again.",
                "No coordinator can be reached: no answer. Start one (leasehold up), or name it by LEASEHOLD_URL.",
                "What to do.", "The coordinator answered 500.",
                "No token, or an unknown one. Give the token of this caller, or set LEASEHOLD_TOKEN.",
                "answer 299 is not one of a coordinator",
            ])
    }
}
