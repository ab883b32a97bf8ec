import EventLoop

/// A script that runs in the server, called by its fingerprint.
package struct RedisScript: Sendable {
    /// For logs and error messages.
    package let name: String
    package let source: [UInt8]
    /// The SHA-1 of the source in lower-case hexadecimal, which is the server's name for the script.
    package let sha1: String
    /// How many arguments a call of it has, where it takes several calls at once: it gets the calls' arguments and then
    /// this number, and answers with an array of their answers. Nil where each call is a script of its own.
    package let wordsACall: Int?
    /// Whether its calls may leave together with others of one turn.
    package private(set) var isGathered = true

    package init(name: String, source: [UInt8], wordsACall: Int? = nil) {
        self.name = name
        self.source = source
        self.wordsACall = wordsACall
        sha1 = Digest.sha1Hex(source)
    }

    /// The same script, each call of which leaves by itself: one that may take long keeps no others waiting.
    package var alone: RedisScript {
        var script = self
        script.isGathered = false
        return script
    }

    /// The arguments of a script that takes several calls, for these; for any other those of its one call.
    package func arguments(of calls: [[RedisArgument]]) -> [RedisArgument] {
        guard let wordsACall else { return calls.first ?? [] }
        precondition(calls.allSatisfy { $0.count == wordsACall }, "\(name) takes \(wordsACall) words a call")
        return calls.joined() + [.integer(Int64(wordsACall))]
    }

    /// The answers to so many calls; nil where the reply is not made of them.
    package func answers(in reply: RedisReply, to calls: Int) -> [RedisReply]? {
        guard wordsACall != nil else { return [reply] }
        guard case .array(let answers) = reply, answers.count == calls else { return nil }
        return answers
    }
}
