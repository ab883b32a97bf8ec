import EventLoop
import HTTP
import JSON
import LoadGenerator

/// Calls to a coordinator that no lock workload makes.
struct Crowd: Sendable {
    let product: Leasehold
    let loop: EventLoop
    let http: HTTPClient
    let endpoint: HTTPEndpoint

    /// - Parameter loop: where it calls; nil calls where the processes are started.
    init(_ product: Leasehold, on loop: EventLoop? = nil) {
        self.product = product
        self.loop = loop ?? product.ground.loop
        http = HTTPClient(loop: self.loop, limits: Self.limits)
        endpoint = .tcp(host: "127.0.0.1", port: product.port, isSecure: false)
    }

    private static var limits: HTTPLimits {
        var limits = HTTPLimits()
        limits.idleConnectionsKept = 256
        return limits
    }

    func post(_ path: String, _ body: String) async throws -> JSONObject {
        let answer = try await http.send(
            .post, path, to: endpoint, body: Array(body.utf8), timeout: .seconds(60))
        guard answer.status == 200, let told = try JSONParser.parse(answer.body).object else {
            throw LoadError("\(path) was answered \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
        }
        return told
    }

    /// Takes so many leases and tells their tokens.
    func take(_ count: Int) async throws -> [String] {
        try await withThrowingTaskGroup(of: [String].self) { group in
            for worker in 0..<min(64, count) {
                group.addTask {
                    var tokens: [String] = []
                    for number in stride(from: worker, to: count, by: 64) {
                        let told = try await post("/v1/gpu/lock", #"{"id": "holder-\#(number)", "ttl": 600}"#)
                        tokens.append(told["token"]?.string ?? "")
                    }
                    return tokens
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// What the processes compute in a while, in nanoseconds: redis, coordinator, agents together.
    func cpu() -> [Int] {
        let each = product.servers.map { Host.cpu(of: $0.processID) }
        return [each[0], each[1], each.dropFirst(2).reduce(0, +)]
    }

    /// Renews every lease over and over, as its holders would all at once.
    func renewals(leases: Int, seconds: Duration) async throws -> [[String]] {
        let tokens = try await take(leases)
        let (tally, end) = (Tally(loop: loop), EndFlag(loop: loop))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<64 {
                group.addTask {
                    var next = worker
                    while !end.isRaised {
                        let sent = Host.nanoseconds
                        _ = try await post("/v1/gpu/renew", #"{"token": "\#(tokens[next % tokens.count])"}"#)
                        tally.note(Host.nanoseconds - sent)
                        next += 64
                    }
                }
            }
            await loop.sleep(for: .milliseconds(500))
            let (began, before, own) = (Host.nanoseconds, cpu(), Host.ownCPU)
            tally.open()
            await loop.sleep(for: seconds)
            var samples = tally.close().samples
            let lasted = Double(Host.nanoseconds - began) / 1e9
            let spent = zip(cpu(), before).map { Double($0 - $1) / 1000 / Double(max(samples.count, 1)) }
            let ownShare = Double(Host.ownCPU - own) / 1e9 / lasted
            end.raise()
            try await group.waitForAll()
            // A holder renews when a third of its time has passed.
            let needed = Double(leases) / (10.0 / 3)
            return [
                ["leases", String(leases)],
                ["renewals a second, 64 connections", rounded(Double(samples.count) / lasted, 0)],
                ["renewal p50 / p99 ms", Self.milliseconds(&samples)],
                ["µs a renewal: Redis, coordinator, agents", spent.map { rounded($0, 0) }.joined(separator: ", ")],
                ["needed at TTL 10 s, renewed at a third", rounded(needed, 0)],
                ["share of a core for that: Redis, coordinator, agents", Self.shares(spent, needed)],
                ["load generator, share of a core", rounded(ownShare * 100, 0) + " %"],
            ]
        }
    }

    private static func shares(_ microseconds: [Double], _ rate: Double) -> String {
        microseconds.map { rounded($0 * rate / 1e4, 0) + " %" }.joined(separator: ", ")
    }

    static func milliseconds(_ samples: inout Samples) -> String {
        let values = [samples.microseconds(at: 0.5), samples.microseconds(at: 0.99)]
        return values.map { $0.map { rounded($0 / 1000, 2) } ?? "–" }.joined(separator: " / ")
    }

    /// Asks for the status so often a second, whether or not the answer before has come.
    func polls(aSecond rate: Int, path: String, seconds: Duration) async throws -> [String] {
        let tally = Tally(loop: loop)
        let count = Int(Double(rate) * (seconds / .seconds(1)))
        let before = cpu()
        tally.open()
        let start = loop.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                let due = start + .seconds(number) / rate
                let early = due - loop.now
                if early > .zero { await loop.sleep(for: early) }
                group.addTask {
                    // Counted from when it was due: a generator that is late does not hide a server that is.
                    let late = (loop.now - due) / .nanoseconds(1)
                    let sent = Host.nanoseconds - Int(late)
                    let answer = try await http.send(.get, path, to: endpoint, timeout: .seconds(30))
                    tally.note(Host.nanoseconds - sent)
                    tally.add(answer.body.count)
                }
            }
            try await group.waitForAll()
        }
        var (samples, bytes) = tally.close()
        let spent = zip(cpu(), before).map { Double($0 - $1) / 1000 / Double(max(samples.count, 1)) }
        return [
            path, Self.milliseconds(&samples), rounded(Double(bytes) / Double(max(samples.count, 1)) / 1000, 1),
            rounded(spent[1], 0), rounded(spent[0], 0),
        ]
    }

    /// Followers of the event stream, while leases are taken and given back at a steady rate.
    func followers(_ count: Int, pairsASecond rate: Int, seconds: Duration) async throws -> [[String]] {
        let (tally, opened) = (Tally(loop: loop), Tally(loop: loop))
        opened.open()
        let streams = (0..<count).map { _ in
            loop.spawn { [loop, http, endpoint] in
                _ = try? await http.stream(
                    "/v1/gpu/events", from: endpoint, timeout: .seconds(30), silence: .seconds(60),
                    onOpen: { opened.add(1) },
                    onEvent: { event in
                        let at = Int64(event.id.prefix { $0 != "-" }) ?? 0
                        tally.note(Int(loop.wallClock / .nanoseconds(1)) - Int(at) * 1_000_000)
                        tally.add(event.data.utf8.count)
                    })
            }
        }
        defer { for stream in streams { stream.cancel() } }
        await loop.sleep(for: .seconds(3))
        let before = cpu()
        tally.open()
        let pairs = Int(Double(rate) * (seconds / .seconds(1)))
        for number in 0..<pairs {
            let told = try await post("/v1/gpu/lock", #"{"id": "holder-\#(number)"}"#)
            _ = try await post("/v1/gpu/unlock", #"{"token": "\#(told["token"]?.string ?? "")"}"#)
            await loop.sleep(for: .seconds(1) / rate)
        }
        await loop.sleep(for: .milliseconds(200))
        var samples = tally.close().samples
        let spent = zip(cpu(), before).map { Double($0 - $1) / 1000 / Double(max(samples.count, 1)) }
        return [
            ["followers connected", String(opened.close().sum)], ["pairs", String(pairs)],
            ["events told", String(samples.count)],
            ["from the moment of the event to the follower, p50 / p99 ms", Self.milliseconds(&samples)],
            ["coordinator, µs an event and follower", rounded(spent[1], 2)],
        ]
    }
}
