/// How a command ends, as scripts see it.
enum ExitCode: Equatable, Sendable {
    /// Done.
    case done
    /// Not granted in time, not held, gone, refused at the question, or a check has failed.
    case negative
    /// A wrong option or value, also one that only the service could know to be wrong.
    case usage
    /// The service cannot be reached, or cannot do it at present.
    case unavailable
    /// The token is unknown or its role does not allow this.
    case refused
    /// Another program's code, or 128 and the signal that ended it.
    case code(Int32)

    var number: Int32 {
        switch self {
        case .done: 0
        case .negative: 1
        case .usage: 2
        case .unavailable: 3
        case .refused: 4
        case .code(let code): code
        }
    }

    /// What `--help` and the documents say.
    static let meaning =
        "Exit codes: 0 done; 1 not granted, not held, gone, or a check failed; 2 wrong option or value; "
        + "3 the service cannot be reached or cannot do it now; 4 no token, a wrong one, or one that may not."
}

/// Why a command ends otherwise than well: what was wrong and what to do next.
struct Failure: Error, Equatable, Sendable {
    let exit: ExitCode
    let text: String
    /// What `--json` prints: the service's answer where there was one.
    let document: [UInt8]?

    init(_ exit: ExitCode, _ text: String, document: [UInt8]? = nil) {
        self.exit = exit
        self.text = text
        self.document = document
    }
}
