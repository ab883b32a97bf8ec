import EventLoop
import HTTP
import JSON
import Settings
import Telemetry

extension Command {
    static let monitor = Command(
        "monitor", .pool,
        "Watches the pool: on a terminal a screen that follows what happens, elsewhere a table now and then.",
        options: [MonitorOptions.interval.entry, MonitorOptions.count.entry],
        examples: [
            "leasehold monitor": "Who holds what, how busy it is and who waits; q ends it.",
            "leasehold monitor --interval 10 >> pool.log": "A table every ten seconds.",
        ],
        notes: [
            "BUSY is the share of the time watched in which the unit was held. EXPECTED is how long a request may still "
                + "wait, from how long holders of each class held of late; unknown where too few were seen, and behind "
                + "the first hundred. With --json each line is one status."
        ]
    ) { (given, surroundings) throws(Failure) in
        let run = try MonitorRun(given, surroundings)
        await surroundings.interruptions.listen { _ in run.stop() }
        try await run.run()
        if let signal = await surroundings.interruptions.first { return .signalled(signal) }
        return .done
    }
}

enum MonitorOptions {
    static let interval = Option.seconds(
        "interval", in: .milliseconds(200)...(.seconds(3600)), standard: .seconds(2),
        help: "How often to look.", places: .flag)
    static let count = Option.integer(
        "count", in: 1...1_000_000_000, help: "End after so many looks.", places: .flag)
}

/// One watch over the pool.
actor MonitorRun {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe surroundings.loop.asUnownedSerialExecutor() }

    private let service: Service
    private let surroundings: Surroundings
    private let interval: Duration
    private let isJSON: Bool
    private let isScreen: Bool
    private var looksLeft: Int?
    private var busy = BusyTimes()
    private var last: JSONObject?
    private var lookedAt = Duration.zero
    private var isOver = false
    private var timer: LoopTimer?
    private var waiting: CheckedContinuation<Void, Never>?
    /// Whether something has happened that was not looked at.
    private var isBehind = false

    /// Events that come at once are shown together.
    private static let gathering = Duration.milliseconds(200)

    init(_ given: Given, _ surroundings: Surroundings) throws(Failure) {
        self.surroundings = surroundings
        service = try Service.of(given, surroundings)
        interval = try given.value(MonitorOptions.interval)
        looksLeft = try given.optional(MonitorOptions.count)
        isJSON = try given.isOn(ServiceOptions.json)
        isScreen = surroundings.output.isTerminal && !isJSON
    }

    /// Watches until it is stopped.
    func run() async throws(Failure) {
        // What cannot be reached at the start is told in the usual way, not on a screen.
        try await look()
        guard isScreen else { return await repeatTables() }
        surroundings.output.write("\u{1B}[?1049h\u{1B}[?25l")
        let keys = surroundings.keys { [weak self] key in self?.assumeIsolated { $0.pressed(key) } }
        let events = surroundings.loop.spawn { [weak self] in await self?.follow() }
        draw(because: nil)
        while await pause() {
            do throws(Failure) {
                try await look()
                draw(because: nil)
            } catch {
                draw(because: error.text)
            }
        }
        events.cancel()
        keys?.close()
        surroundings.output.write("\u{1B}[?25h\u{1B}[?1049l")
    }

    /// From any thread.
    nonisolated func stop() {
        surroundings.loop.perform { self.assumeIsolated { $0.end() } }
    }

    private func end() {
        isOver = true
        wake(after: .zero)
    }

    private func repeatTables() async {
        show()
        while await pause() {
            do throws(Failure) {
                try await look()
                show()
            } catch {
                surroundings.error.line("leasehold: " + error.text)
            }
        }
    }

    private func look() async throws(Failure) {
        looksLeft = looksLeft.map { $0 - 1 }
        lookedAt = surroundings.loop.now
        let body = try await service.demand(.get, "/v1/gpu/status")
        busy.look(at: body, now: surroundings.loop.now)
        last = body
    }

    // MARK: Waiting

    /// Returns when it is time to look again; false when this is over.
    private func pause() async -> Bool {
        guard !isOver, looksLeft.map({ $0 > 0 }) ?? true else { return false }
        let timer = timer ?? surroundings.loop.timer { [weak self] in self?.assumeIsolated { $0.due() } }
        self.timer = timer
        let rest = lookedAt + interval - surroundings.loop.now
        timer.arm(after: isBehind ? min(rest, Self.gathering) : rest)
        await withCheckedContinuation { waiting = $0 }
        return !isOver
    }

    private func due() {
        isBehind = false
        waiting?.resume()
        waiting = nil
    }

    private func wake(after pause: Duration) {
        isBehind = true
        if waiting != nil { timer?.arm(after: pause) }
    }

    private func pressed(_ key: UInt8) {
        switch key {
        case UInt8(ascii: "q"), UInt8(ascii: "Q"): end()
        case UInt8(ascii: " "), UInt8(ascii: "r"), 0x0C: wake(after: .zero)
        default: break
        }
    }

    /// Looks soon after something has happened. A service without events is looked at now and then all the same.
    private func follow() async {
        while !Task.isCancelled {
            _ = try? await service.client.stream(
                "/v1/gpu/events", from: service.endpoint, headers: service.headers, timeout: Service.patience,
                silence: .seconds(25)
            ) { [weak self] _ in self?.assumeIsolated { $0.happened() } }
            await surroundings.loop.sleep(for: .seconds(2))
        }
    }

    private func happened() {
        guard !isBehind else { return }  // else a flood of events would put the look off for ever
        let since = surroundings.loop.now - lookedAt
        wake(after: max(Self.gathering - since, .milliseconds(20)))
    }

    // MARK: Showing

    private func show() {
        guard let last else { return }
        guard !isJSON else { return surroundings.output.line(Document.line(last)) }
        surroundings.output.line(Timestamp.text(surroundings.loop.wallClock))
        let style = Style(surroundings.output)
        for line in StatusReport(last).lines(width: surroundings.width, style: style, busy: busy) {
            surroundings.output.line(line)
        }
        surroundings.output.line()
    }

    private func draw(because failure: String?) {
        let style = Style(surroundings.output)
        let size = surroundings.size() ?? Terminal.Size(columns: 80, rows: 24)
        let width = max(40, size.columns)
        var foot = [style(.faint, Texts.monitorFoot(interval, Timestamp.text(surroundings.loop.wallClock)))]
        if let failure {
            foot = Words.wrapped(failure, width: width).split(separator: "\n").map { style(.red, String($0)) } + foot
        }
        let room = max(1, size.rows - foot.count - 1)
        var lines = last.map { StatusReport($0).lines(width: width, style: style, rows: room, busy: busy) } ?? []
        lines = Array(lines.prefix(room))
        lines += repeatElement("", count: max(0, size.rows - foot.count - lines.count))
        lines += foot
        // Each line is written over the former one, so that nothing flickers.
        let text = lines.prefix(size.rows).map { $0 + "\u{1B}[K" }.joined(separator: "\r\n")
        surroundings.output.write("\u{1B}[H" + text + "\u{1B}[J")
    }
}
