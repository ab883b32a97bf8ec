import EventLoop

/// What a rush of clients measured, between its beginning and its end without the warm-up.
package struct RushResult: Sendable {
    package var seconds = 0.0
    package var pairs = 0
    /// With those of the warm-up and of the end.
    package var totalPairs = 0
    /// From a lock call to its answer.
    package var lock = Samples()
    /// From an unlock call to its answer.
    package var unlock = Samples()
    /// From an unlock call to the answer of the next holder's lock call; of a single lock only.
    package var handOff = Samples()
    /// How often each client was granted the lock.
    package var grants: [Int] = []
    /// Processor seconds of each server, in the order of the request, and of this process.
    package var serverCPU: [Double] = []
    package var ownCPU = 0.0

    package init() {}
}

/// Clients that take a lock and give it back as fast as they are answered, each on a connection of its own.
///
/// `@unchecked Sendable` holds because everything happens on the loop's thread, where `run` goes first.
package final class Rush: @unchecked Sendable {
    private final class Client {
        var dialogue: any Dialogue
        let connection: LoadConnection
        var phase = Phase.greeting
        var sentAt = 0
        var grants = 0

        init(_ dialogue: any Dialogue, _ connection: LoadConnection) {
            self.dialogue = dialogue
            self.connection = connection
        }
    }
    private enum Phase { case greeting, ready, locking, unlocking, done }

    private let loop: EventLoop
    private let target: LoadTarget
    private let dialogues: [any Dialogue & Sendable]
    private let servers: [Int32]
    private let isOneLock: Bool
    private var clients: [Client] = []
    private var waiting = 0
    private var result = RushResult()
    private var isCounting = false
    private var isEnding = false
    private var unlockSentAt = 0
    private var failure: String?
    private var wake: UnsafeContinuation<Void, Never>?

    /// - Parameters:
    ///   - servers: the processes whose processor time is told.
    ///   - isOneLock: whether all want the same lock.
    package init(
        _ dialogues: [any Dialogue & Sendable], to target: LoadTarget, servers: [Int32], isOneLock: Bool,
        loop: EventLoop
    ) {
        self.dialogues = dialogues
        self.target = target
        self.servers = servers
        self.isOneLock = isOneLock
        self.loop = loop
    }

    /// Connects, warms up, measures for `duration` and lets every client that still waits have its turn.
    package func run(warmUp: Duration, for duration: Duration) async throws -> RushResult {
        loop.checkIsolated()
        defer {
            for client in clients { client.connection.close() }
            clients = []
        }
        for dialogue in dialogues {
            clients.append(Client(dialogue, try LoadConnection(target, type(of: dialogue).framing, loop: loop)))
        }
        waiting = clients.count
        for client in clients { begin(client) }
        await untilWoken(patience: .seconds(60))
        try check()
        waiting = clients.count
        for client in clients { lock(client) }
        await loop.sleep(for: warmUp)
        let (began, cpu, own) = (Host.nanoseconds, servers.map(Host.familyCPU), Host.ownCPU)
        isCounting = true
        await loop.sleep(for: duration)
        isCounting = false
        result.serverCPU = zip(servers.map(Host.familyCPU), cpu).map { Double($0 - $1) / 1e9 }
        result.ownCPU = Double(Host.ownCPU - own) / 1e9
        result.seconds = Double(Host.nanoseconds - began) / 1e9
        result.grants = clients.map(\.grants)
        isEnding = true
        await untilWoken(patience: .seconds(120))
        try check()
        return result
    }

    private func check() throws(LoadError) {
        if let failure { throw LoadError(failure) }
        if waiting > 0 { throw LoadError("\(waiting) of \(clients.count) clients were not answered") }
    }

    private func untilWoken(patience: Duration) async {
        guard waiting > 0, failure == nil else { return }
        let timer = loop.timer { self.wakeUp() }
        timer.arm(after: patience)
        await withUnsafeContinuation { wake = $0 }
        timer.disarm()
    }

    private func wakeUp() {
        wake?.resume()
        wake = nil
    }

    private func fail(_ why: String) {
        if failure == nil { failure = why }
        wakeUp()
    }

    // MARK: One client

    private func begin(_ client: Client) {
        client.connection.onLost = { [unowned self] in self.fail($0) }
        client.connection.onAnswer = { [unowned self, unowned client] in self.answered(client, $0, $1) }
        let greeting = client.dialogue.greeting()
        guard !greeting.isEmpty else {
            client.phase = .ready
            return counted()
        }
        client.connection.send(greeting)
    }

    /// One client less is waited for.
    private func counted() {
        waiting -= 1
        if waiting == 0 { wakeUp() }
    }

    private func answered(_ client: Client, _ status: Int, _ body: Span<UInt8>) {
        switch client.phase {
        case .greeting:
            guard client.dialogue.greeted(status, body) else { return fail("a greeting was refused: \(status)") }
            client.phase = .ready
            counted()
        case .locking:
            let now = Host.nanoseconds
            guard client.dialogue.locked(status, body) else { return fail("a lock was refused: \(status)") }
            if isCounting {
                client.grants += 1
                result.lock.add(now - client.sentAt)
                if isOneLock, unlockSentAt > 0 { result.handOff.add(now - unlockSentAt) }
            }
            let request = client.dialogue.unlock()
            client.phase = .unlocking
            client.sentAt = Host.nanoseconds
            unlockSentAt = client.sentAt
            client.connection.send(request)
        case .unlocking:
            let now = Host.nanoseconds
            guard client.dialogue.unlocked(status, body) else { return fail("an unlock was refused: \(status)") }
            result.totalPairs += 1
            if isCounting {
                result.pairs += 1
                result.unlock.add(now - client.sentAt)
            }
            lock(client)
        case .ready, .done: fail("an answer came that nobody had asked for")
        }
    }

    private func lock(_ client: Client) {
        guard !isEnding else {
            client.phase = .done
            return counted()
        }
        let request = client.dialogue.lock()
        client.phase = .locking
        client.sentAt = Host.nanoseconds
        client.connection.send(request)
    }
}
