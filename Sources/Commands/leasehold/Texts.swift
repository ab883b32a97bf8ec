import EventLoop
import HTTP
import JSON

/// What this program tells people beside tables: what was wrong, and what to do next.
enum Texts {
    // MARK: What was given

    static func unknownCommand(_ word: String, _ guess: String?) -> String {
        let hint = guess.map { " Did you mean \($0)?" } ?? ""
        return "\(quoted(word)) is no command.\(hint) See leasehold help."
    }

    static func tooManyWords(_ word: String, _ command: String) -> String {
        "\(quoted(word)) is one word too many for leasehold \(command). See leasehold \(command) --help."
    }

    static func missing(_ what: String, _ command: String, _ example: String) -> String {
        "leasehold \(command) needs \(what), as in: \(example)"
    }

    static func wrongURL(_ why: String) -> String { "--url: \(visible(why))." }

    static func tokenFileUnreadable(_ path: String, _ why: String) -> String {
        "--token-file: \(visible(why)). Give a file that this user can read, or set LEASEHOLD_TOKEN."
    }

    static func tokenFileWrong(_ path: String) -> String {
        "--token-file: \(visible(path)) holds no token or more than one; want one word on one line."
    }

    static func tokenFileOpen(_ path: String) -> String {
        "warning: others can read the token in \(visible(path)). Close it with: chmod 600 \(visible(path))"
    }

    static func noLeaseToken(_ command: String) -> String {
        "leasehold \(command) needs a lease's token. Set LEASEHOLD_LEASE_TOKEN to what leasehold lock printed, "
            + "give it as a word, or - to read it from standard input."
    }

    static func noTokenShape(_ word: String) -> String {
        "\(quoted(word)) is no lease's token (UNIT#NUMBER.SECRET). By holder it is: leasehold unlock --id \(visible(word))"
    }

    // MARK: The service

    static func unanswered(_ error: HTTPError, _ endpoint: HTTPEndpoint) -> String {
        let why = visible(error.message)
        switch error.kind {
        case .cannotConnect:
            return "\(why). Is a coordinator running there? Start one with leasehold up, or name another with --url."
        case .timeout: return "\(why). Ask again; leasehold doctor looks for the reason."
        case .connectionLost: return "\(why). Ask again: it may or may not have been done."
        case .tls: return "\(why). Name the certificate to trust with --ca-file."
        case .badAnswer: return "\(why). Does \(endpoint) lead to a leasehold coordinator? Check --url."
        case .cancelled: return "The call was given up."
        case .badAddress, .cannotListen: return "\(why). Check --url."
        }
    }

    static func refused(_ answer: Service.Answer, _ endpoint: HTTPEndpoint, hasToken: Bool) -> String {
        let message = answer.body.text("msg").map(visible)
        switch answer.status {
        case 401:
            return hasToken
                ? "The service does not know this token. Check LEASEHOLD_TOKEN or --token-file."
                : "The service wants a token. Set LEASEHOLD_TOKEN, or name a file with --token-file."
        case 403 where message == nil: return "This token may not do that. Ask for one with a higher role."
        case 404 where answer.word.isEmpty || answer.word == "not_found":
            return "\(endpoint) does not know this call. Does --url lead to a leasehold coordinator of this version?"
        default: break
        }
        if let message { return message }
        let word = answer.word.isEmpty ? "without a reason" : visible(answer.word)
        return "The service answered \(answer.status), \(word). Its log says more."
    }

    static func oddAnswer(_ endpoint: HTTPEndpoint) -> String {
        "What came from \(endpoint) is no answer of a leasehold coordinator. Check --url."
    }

    // MARK: Leases

    static let gaveUp = "Given up: the place in the queue goes to the next."
    static let notHeld = "That token or id holds nothing; nothing was freed. leasehold status shows who holds what."

    static func timedOut(_ timeout: Duration) -> String {
        "Nothing was granted in \(Words.span(timeout)). Wait longer with --timeout; leasehold status shows who holds what."
    }

    /// What a holder has to know. The time is what is left now, counted from before the call was sent.
    static func granted(_ grant: Grant, left: Duration, isHeld: Bool) -> [String] {
        let lease = visible(grant.lease)
        var lines = [
            "Granted \(visible(grant.unit)) to \(visible(grant.holder)) after \(Words.span(grant.waited)); lease \(lease)."
        ]
        for (name, value) in grant.variables.sorted(by: { $0.key < $1.key }) {
            lines.append("  \(visible(name))=\(visible(value))")
        }
        guard !isHeld else { return lines + ["Renewed until Ctrl-C, then given back."] }
        return lines + [
            "It stands for \(Words.span(left)) from now unless it is renewed. With the token in LEASEHOLD_LEASE_TOKEN:",
            "  leasehold renew     for another \(Words.span(grant.ttl))",
            "  leasehold unlock    to give it back",
        ]
    }

    static func renewed(_ lease: String, left: Double) -> String {
        "Renewed \(visible(lease)): it stands for \(Words.span(.seconds(max(0, left)))) from now."
    }

    static func renewalFailing(_ lease: String, _ why: String, left: Duration) -> String {
        "warning: cannot renew \(visible(lease)): \(visible(why)) "
            + "Trying again; it stands for \(Words.span(max(.zero, left))) from now."
    }

    static func renewalsFailed(_ lease: String) -> String {
        "The lease \(visible(lease)) is lost: it could not be renewed in time. Stop using the unit."
    }

    static func lost(_ lease: String, _ why: String) -> String {
        "The lease \(visible(lease)) is lost: \(why) Stop using the unit."
    }

    static func notGivenBack(_ lease: String, _ why: String) -> String {
        "The lease \(visible(lease)) could not be given back: \(visible(why)) It ends by itself when its time is over."
    }

    static func visible(_ text: String) -> String { Words.visible(text) }

    static func quoted(_ text: String) -> String {
        "\"" + Columns.fitted(visible(text), 60) + "\""
    }
}
