import EventLoop
import HTTP

/// What an iterator holds: its stream ends with it.
final class EventReader: Sendable {
    let pump: EventPump

    init(_ pump: EventPump) { self.pump = pump }

    deinit { pump.stop() }
}

/// Reads one event stream for one reader. A reader that does not keep up makes it stop; it goes on from the last event
/// when that reader comes back.
actor EventPump {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe service.loop.asUnownedSerialExecutor() }

    /// Events kept for a reader.
    private static let backlog = 1000

    private nonisolated let service: Service
    private let path: String
    private var lastID: String?
    private var events: [GPUEvent] = []
    private var read = 0
    private var error: LeaseError?
    private var reading: Task<Void, Never>?
    private var waiting: CheckedContinuation<Void, Never>?

    init(_ service: Service, types: [String], after: String?, pool: String?) {
        self.service = service
        let words = types.map { percentEncoded($0) }.joined(separator: ",")
        let query = [words.isEmpty ? nil : "type=\(words)", pool.map { "pool=" + percentEncoded($0) }].compactMap { $0 }
        path = "/v1/gpu/events" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
        lastID = after
    }

    /// Ends the stream, from any thread.
    nonisolated func stop() {
        service.loop.perform { self.assumeIsolated { $0.reading?.cancel() } }
    }

    /// Success without a value when the reader's task is cancelled.
    func next() async -> Result<GPUEvent?, LeaseError> {
        while !Task.isCancelled {
            if read < events.count {
                defer { read += 1 }
                return .success(events[read])
            }
            events.removeAll(keepingCapacity: true)
            read = 0
            if let error { return .failure(error) }
            if reading == nil { reading = service.loop.spawn { await self.follow() } }
            await something()
        }
        return .success(nil)
    }

    private func something() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { continuation.resume() } else { waiting = continuation }
            }
        } onCancel: {
            service.loop.perform { self.assumeIsolated { $0.wake() } }
        }
    }

    private func wake() {
        waiting?.resume()
        waiting = nil
    }

    // MARK: Reading

    private func follow() async {
        var failures = 0
        while !Task.isCancelled {
            let asked = await service.coordinator
            let began = ContinuousClock.now
            var headers = service.headers(hasBody: false)
            if let lastID { headers["Last-Event-ID"] = lastID }
            do throws(HTTPError) {
                let response = try await service.http.stream(
                    path, from: service.endpoints[asked], headers: headers, timeout: .seconds(5),
                    silence: Service.streamSilence,
                    onEvent: { [weak self] event in self?.assumeIsolated { $0.came(event) } })
                if let mistake = Service.Answer(response, of: asked).mistake {
                    error = mistake
                    return wake()
                }
                if response.status != 200 { await service.turnAway(from: asked) }
            } catch {
                if error.kind != .cancelled { await service.turnAway(from: asked) }
            }
            failures = ContinuousClock.now - began > .seconds(10) ? 0 : failures + 1
            await service.loop.sleep(for: Service.backOff(after: failures))
        }
    }

    private func came(_ event: ServerSentEvent) {
        guard let reading, !reading.isCancelled else { return }
        guard events.count < Self.backlog else {
            // Behind the last one that was kept it goes on later.
            reading.cancel()
            self.reading = nil
            return
        }
        if !event.id.isEmpty { lastID = event.id }
        guard let event = GPUEvent(event) else { return }
        events.append(event)
        wake()
    }
}
