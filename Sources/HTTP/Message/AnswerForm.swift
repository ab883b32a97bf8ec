/// What of a request decides the form of its answer.
struct AnswerForm: Equatable {
    /// The answer to HEAD has no body, only its length.
    var isHead = false
    /// HTTP/1.0 knows no chunks: a stream then ends with its connection.
    var isChunkable = true
    /// Whether the client wants to send another request on this connection.
    var keepsAlive = true
}
