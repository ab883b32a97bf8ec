import EventLoop
import HTTP
import JSON

/// Tells on the error stream how a wait goes: one line that changes on a terminal, now and then a line elsewhere.
actor WaitProgress {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe surroundings.loop.asUnownedSerialExecutor() }

    private let requestID: String
    private let service: Service
    private let surroundings: Surroundings
    private var told = ""
    private var toldAt: Duration?

    /// A wait shorter than this is not worth a word.
    private static let quiet = Duration.milliseconds(700)
    private static let interval = Duration.seconds(1)
    /// Between two lines where there is no terminal, unless the position has changed.
    private static let pause = Duration.seconds(30)

    init(requestID: String, service: Service, surroundings: Surroundings) {
        self.requestID = requestID
        self.service = service
        self.surroundings = surroundings
    }

    /// Asks until the task is cancelled.
    func follow() async {
        await surroundings.loop.sleep(for: Self.quiet)
        while !Task.isCancelled {
            let path = "/v1/gpu/requests/" + Service.encoded(requestID)
            if let answer = try? await service.call(.get, path), answer.isOK, !Task.isCancelled,
                let text = Self.text(answer.body)
            {
                tell(text)
            }
            await surroundings.loop.sleep(for: Self.interval)
        }
    }

    /// The connection was lost and the call is made again.
    func interrupted() { tell("The connection was lost; asking again, the place in the queue is kept.") }

    /// Takes the line away.
    func clear() {
        if surroundings.error.isTerminal, !told.isEmpty { surroundings.error.write("\r\u{1B}[K") }
        told = ""
    }

    private func tell(_ text: String) {
        let now = surroundings.loop.now
        if surroundings.error.isTerminal {
            let width = surroundings.size()?.columns ?? 80
            surroundings.error.write("\r\u{1B}[K" + Columns.fitted(text, max(20, width - 1)))
        } else {
            guard text != told || toldAt.map({ now - $0 > Self.pause }) ?? true else { return }
            surroundings.error.line(text)
        }
        told = text
        toldAt = now
    }

    /// `Waiting for a GPU: 3rd, behind Root-Console and 1 more; about 40 s.` Nil where there is nothing to wait for.
    static func text(_ body: JSONObject) -> String? {
        guard body.text("state") == "queued" else {
            return body.text("state") == "offered" ? "A unit was found; its host is being asked." : nil
        }
        var text = "Waiting for \(Words.wish(body.text("selector")))"
        guard let position = body.integer("position") else { return text + "." }
        text += ": \(Words.ordinal(position))"
        let ahead = body.texts("ahead")
        if let last = ahead.last {
            // The nearest is named: whoever is served right before.
            let more = Int(position) - 2
            text += ", behind \(Words.visible(last))" + (more > 0 ? " and \(more) more" : "")
        } else if let blocking = body.objects("blocked_by").first, let holder = blocking.text("holder") {
            text += ", \(Words.visible(holder)) holds \(Words.visible(blocking.text("unit") ?? "it"))"
        }
        if let expected = body.number("expected_wait_ms"), expected >= 1000 {
            text += "; about \(Words.span(.milliseconds(expected)))"
        }
        return text + "."
    }
}
