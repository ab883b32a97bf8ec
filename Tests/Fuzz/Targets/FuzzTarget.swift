/// What bytes from outside are thrown at, by scripts/fuzz for as long as one likes and by `make test` from the corpus.
enum FuzzTarget: String, CaseIterable, Sendable {
    /// A connection's bytes: parsed, judged, read as calls, answered.
    case request
    /// The value of an `Authorization` header, and the token file.
    case authorization
    /// A body: JSON, and as a lock call.
    case json
    /// `Last-Event-ID`, and an event stream as a client reads it.
    case resume
    /// What a server answers, as a client reads it.
    case answer
    /// Texts of strangers in events, logs, metrics and headers.
    case texts

    /// Whatever the bytes are, it neither traps nor throws.
    ///
    /// - Throws: `Broken` where a promise is not kept.
    func look(at bytes: [UInt8]) throws {
        switch self {
        case .request: try RequestBytes.look(at: bytes)
        case .authorization: try Proofs.look(at: bytes)
        case .json: try Bodies.look(at: bytes)
        case .resume: try Streams.look(at: bytes)
        case .answer: try Answers.look(at: bytes)
        case .texts: try StrangeTexts.look(at: bytes)
        }
    }
}

/// A promise that was not kept, and how.
struct Broken: Error, CustomStringConvertible {
    let description: String
}

/// Throws unless the promise is kept.
func kept(_ isKept: Bool, _ promise: @autoclosure () -> String) throws {
    if !isKept { throw Broken(description: promise()) }
}
