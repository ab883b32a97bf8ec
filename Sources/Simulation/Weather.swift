/// What the network and the server do to everybody for a time.
struct Weather {
    /// Until then messages are lost, one of so many.
    var losesMailUntil = Duration.zero
    var mailLoss = 0
    /// Until then answers of scripts that have run are lost, and the connection with them.
    var losesAnswersUntil = Duration.zero
    var answerLoss = 0
    var slowUntil = Duration.zero
    var slowDelays: ClosedRange<Duration> = .zero ... .milliseconds(1)
    /// Until then clients reach no coordinator.
    var clientsCutUntil = Duration.zero

    func cutsClients(at now: Duration) -> Bool { now < clientsCutUntil }
}
