/// A rule that the simulator's own shells break when told to.
enum Switch: String, Hashable, Sendable {
    /// A restarted agent takes its state directory for a new one.
    case forgottenJournal
    /// After a restart nothing of the journal is adopted, and nothing rests.
    case blindReboot
    /// The journal of an earlier boot is taken for this one's.
    case anyBoot
    /// A word is said although the journal could not be written.
    case unwrittenJournal
    /// Messages that were made for another session are taken.
    case anySession
    /// A grant is counted from its receipt, not from the heartbeat before the offer.
    case countedFromReceipt
}

/// The protocol with one rule removed, which the simulation has to notice.
package struct Mutant: Sendable {
    package let name: String
    /// The rule, as what happens without it.
    package let what: String
    let edits: [ScriptEdit]
    let switches: Set<Switch>
    /// The model and its mutant that refute it, where the simulation does not (docs/simulation.md).
    let model: (name: String, mutant: String)?

    init(
        _ name: String, _ what: String, edits: [ScriptEdit] = [], switches: Set<Switch> = [],
        model: (name: String, mutant: String)? = nil
    ) {
        self.name = name
        self.what = what
        self.edits = edits
        self.switches = switches
        self.model = model
    }

    package static let all: [Mutant] = [
        Mutant(
            "renewed-without-agent", "a renewal is answered by Redis, not by the agent",
            edits: [
                ScriptEdit(
                    script: "Renew",
                    find: "tell_agent(host_of(lease), { 'renew', lease, ARGV[2], '', ARGV[3], ARGV[4] })",
                    replace: "put(ARGV[4], { 'renewed', lease, ARGV[3], '1000' })"
                )
            ]),
        Mutant(
            "granted-before-confirm", "a holder is told as soon as its unit is offered",
            edits: [
                ScriptEdit(
                    script: nil, find: "tell_agent(unit.host, message)\n  return lease",
                    replace: "tell_agent(unit.host, message)\n  put(terms.coordinator, "
                        + "{ 'granted', terms.ticket, lease, terms.token, terms.ttl, beat })\n  return lease")
            ]),
        Mutant(
            "token-stays", "a lease is answered again with the token that it had",
            edits: [
                ScriptEdit(
                    script: "AnswerAgain", find: "{ 'renew', lease, record.token, ARGV[3],",
                    replace: "{ 'renew', lease, record.token, '',")
            ]),
        Mutant(
            "cancel-any-token", "a grant that was not delivered is given back whatever its token is now",
            edits: [
                ScriptEdit(script: "Cancel", find: "elseif record.token ~= token then", replace: "elseif false then")
            ], model: ("tokens", "CANCELS_BY_TICKET")),
        Mutant(
            "cancel-of-others", "a coordinator gives up leases that another has taken over",
            edits: [
                ScriptEdit(
                    script: "Cancel", find: "if record.coordinator ~= coordinator then return { 'not-yours' } end",
                    replace: "token = record.token")
            ]),
        Mutant(
            "no-restore", "a lease that Redis has lost is ended instead of restored",
            edits: [
                ScriptEdit(
                    script: nil, find: "  restore(unit, report)\nend",
                    replace: "  tell_agent(unit.host, { 'end', report.lease, report.token, 'duplicate' })\nend")
            ]),
        Mutant(
            "second-lease-ends", "of two leases for one ticket the one that Redis does not know is ended",
            edits: [
                ScriptEdit(
                    script: nil, find: "  local is_second = other and other.state ~= 'offered'\n",
                    replace: "  local is_second = other and other.state ~= 'offered'\n  if is_second then "
                        + "return tell_agent(unit.host, { 'end', lease, report.token, 'duplicate' }) end\n")
            ], model: ("tickets", "SECOND_LEASE_ENDS")),
        Mutant(
            "free-after-flush", "a unit that Redis does not know is offered before its agent has spoken",
            edits: [
                ScriptEdit(
                    script: nil,
                    find: "if record then drop_record(unit, lease, record, 'its agent has another lease') end",
                    replace: "settle(unit)\n  if true then return end")
            ]),
        Mutant(
            "fence-stands", "fencing tokens do not rise",
            edits: [
                ScriptEdit(script: nil, find: "fence = math.max(fence + 1, now)", replace: "fence = math.max(fence, 1)")
            ]),
        Mutant(
            "unknown-tickets-untold", "a heartbeat does not tell which tickets Redis has lost",
            edits: [
                ScriptEdit(script: "Beat", find: "unknown[#unknown + 1] = ticket", replace: "unknown[1] = nil")
            ]),
        Mutant(
            "held-tickets-untold", "a heartbeat does not tell which tickets have been granted",
            edits: [ScriptEdit(script: "Beat", find: "held[#held + 1] = lease", replace: "held = {}")]),
        Mutant(
            "dead-coordinators-stay", "the tickets of a silent coordinator stay",
            edits: [
                ScriptEdit(script: "Beat", find: "if drop_tickets(gone, 256) then", replace: "if true then")
            ]),
        Mutant(
            "no-take-of-free", "an ask does not look for a free unit",
            edits: [
                ScriptEdit(
                    script: "Ask", find: "local unit = most == 1 and free_unit(selector, terms.affinity)",
                    replace: "local unit = nil")
            ]),
        Mutant(
            "no-match-on-release", "a unit that becomes free is not offered to who waits",
            edits: [
                ScriptEdit(
                    script: nil, find: "local ticket, queue, score, others = first_waiter(unit, passed)",
                    replace: "local ticket, queue, score, others = nil, nil, nil, nil")
            ]),
        Mutant(
            "no-aging", "priority alone decides",
            edits: [
                ScriptEdit(
                    script: "Ask", find: "local score = now + tonumber(ARGV[5]) * tonumber(ARGV[10])",
                    replace: "local score = now + tonumber(ARGV[5]) * 10000000000000")
            ]),
        Mutant(
            "last-come-first", "the youngest request is served first",
            edits: [
                ScriptEdit(
                    script: nil, find: "call('ZRANGE', P .. 'queue:' .. selector, at, at + 1, 'WITHSCORES')",
                    replace: "call('ZREVRANGE', P .. 'queue:' .. selector, at, at + 1, 'WITHSCORES')")
            ]),
        Mutant(
            "taken-in-part", "of several units of a lease its agent takes the first",
            edits: [ScriptEdit(script: nil, find: "message[#message + 1] = also\n", replace: "\n")]),
        Mutant(
            "offers-stand", "an offer that is not confirmed does not lapse",
            edits: [
                ScriptEdit(
                    script: "Beat", find: "if not record or record.state ~= 'offered' then", replace: "if true then")
            ]),
        Mutant(
            "release-any-token", "an earlier token releases a lease",
            edits: [
                ScriptEdit(script: "Release", find: "record.token ~= ARGV[3] or ", replace: "")
            ]),
        Mutant(
            "no-marks", "a release that the agent did not hear is forgotten",
            edits: [
                ScriptEdit(
                    script: nil, find: "local mark = report.lease and call('HGET', key, report.lease)",
                    replace: "local mark = nil")
            ]),
        Mutant(
            "any-session", "scripts of an earlier session are taken",
            edits: [
                ScriptEdit(
                    script: nil, find: "local function session_trouble(words)\n  SELF = words[1]",
                    replace: "local function session_trouble(words)\n  SELF = words[1]\n  if true then return nil end"),
                ScriptEdit(
                    script: "Heartbeat",
                    find: "elseif before == instance and tonumber(record.session) > tonumber(session) then",
                    replace: "elseif false then"),
            ]),
        Mutant(
            "lease-lost-in-end", "the record of a lease that has ended stays",
            edits: [
                ScriptEdit(
                    script: "End", find: "remove_lease(lease, record)\nrare().remember_gone(lease, reason",
                    replace: "rare().remember_gone(lease, reason")
            ]),
        Mutant(
            "any-journal", "an agent does not notice that another one with another journal has spoken for its host",
            edits: [
                ScriptEdit(
                    script: "Heartbeat", find: "return { 'succeeds-another', before, int(fence) }",
                    replace: "before = ''")
            ], model: ("restart", "TRUSTS_AN_OLDER_JOURNAL")),
        Mutant(
            "offered-unsettled", "a record that was lost offers units before all have spoken",
            edits: [ScriptEdit(script: nil, find: "is_settled = saved[4] == '1'", replace: "is_settled = true")],
            model: ("settle", "OFFERS_AT_ONCE")),
        Mutant(
            "never-settled", "a record that was lost takes asks for free units no more",
            edits: [
                ScriptEdit(script: "Beat", find: "call('HSET', KEYS[1], 'settled', '1')", replace: "local _ = nil")
            ]),
        Mutant(
            "not-kept-apart", "what becomes free in a record that was lost is not matched later",
            edits: [
                ScriptEdit(script: nil, find: "call('ZADD', P .. 'settling', 0, unit.id)", replace: "local _ = nil")
            ]),
        Mutant(
            "free-in-a-copy", "what is free in an older copy is not matched with who is queued meanwhile",
            edits: [
                ScriptEdit(
                    script: "Beat", find: "do call('ZADD', P .. 'settling', 0, id) end", replace: "do local _ = nil end"
                )
            ]),
        Mutant(
            "any-connection", "scripts that a coordinator sent on an earlier connection are taken",
            edits: [
                ScriptEdit(
                    script: nil,
                    find: "return (tonumber(call('HGET', P .. 'beats', coordinator)) or 0) > tonumber(beat) end",
                    replace: "return false end")
            ], model: ("late", "ANSWERS_LATE")),
        Mutant("no-journal", "an agent forgets its leases when it restarts", switches: [.forgottenJournal]),
        Mutant("no-rest", "a host does not rest after a reboot", switches: [.blindReboot]),
        Mutant("any-boot", "deadlines of an earlier boot are taken for this one's", switches: [.anyBoot]),
        Mutant(
            "confirm-unwritten", "a lease is confirmed that the journal does not have", switches: [.unwrittenJournal]),
        Mutant(
            "mail-of-any-session", "an agent takes messages made for another session", switches: [.anySession],
            model: ("failover", "MAIL_OF_ANY_SESSION")),
        Mutant(
            "counted-from-receipt",
            "a grant is counted from its receipt instead of from the heartbeat before its offer",
            switches: [.countedFromReceipt]),
    ]
}
