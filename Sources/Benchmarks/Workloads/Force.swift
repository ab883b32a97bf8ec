import EventLoop
import HTTP
import JSON
import LoadGenerator

/// An emergency on a large fleet: every unit is held, thousands wait at two coordinators, and one call ends it all.
struct Force: Sendable {
    let ground: Ground
    let hosts: Int
    let unitsEach: Int
    let waiting: Int

    func run() async throws -> [[String]] {
        let product = try await Leasehold.start(
            on: ground, room: "force", hosts: hosts, units: unitsEach, areRemote: true)
        guard let redis = product.redis else { throw LoadError("the product has a Redis") }
        let port = try Host.freePort()
        let second = try await ground.start(
            "force-second-coordinator",
            [
                "\(ground.programs)/leasehold-coordinator", "--redis", "unix://\(redis.socket)", "--listen",
                "127.0.0.1:\(port)", "--max-waiters", "20000", "--log-level", "warning",
            ], ready: .loopback(port: port))
        let other = Leasehold(ground: ground, port: port, redis: redis, servers: product.servers)
        try await other.waitForUnits(hosts * unitsEach)
        let crowds = [Crowd(product), Crowd(other)]
        _ = try await crowds[0].take(hosts * unitsEach)
        let rows = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<waiting {
                group.addTask { try await Self.wait(number, crowds[number % 2]) }
            }
            let coordinators = [product.servers[1].processID, second.processID]
            return try await strike(crowds, coordinators) { try await group.reduce(into: []) { $0.append($1) } }
        }
        await second.stop()
        await product.stop()
        return rows
    }

    /// Waits until it is refused, and tells when that was heard.
    private static func wait(_ number: Int, _ crowd: Crowd) async throws -> Int {
        let body = #"{"id": "waiter-\#(number)", "timeout": 600}"#
        let answer = try await crowd.http.send(
            .post, "/v1/gpu/lock", to: crowd.endpoint, body: Array(body.utf8), timeout: .seconds(600))
        let heard = Host.nanoseconds
        let told = try JSONParser.parse(answer.body).object?["error"]?.string
        guard told == "force_released" else {
            throw LoadError("a waiter was answered \(String(decoding: answer.body, as: UTF8.self))")
        }
        return heard
    }

    /// - Parameter refusals: Waits for the moments at which the waiters heard.
    private func strike(
        _ crowds: [Crowd], _ coordinators: [Int32], refusals: () async throws -> [Int]
    ) async throws -> [[String]] {
        for crowd in crowds {
            try await eventually("\(waiting) wait", on: ground.loop) {
                let answer = try await crowd.http.send(
                    .get, "/v1/gpu/status?view=brief", to: crowd.endpoint, timeout: .seconds(30))
                return try JSONParser.parse(answer.body).object?["queue_depth"]?.integer == Int64(waiting)
            }
        }
        // On a thread of its own: that of the crowd is busy when thousands are answered at once.
        let watch = try EventLoop.onOwnThread()
        defer { watch.stopAndJoin() }
        let (first, second) = (Crowd(crowds[0].product, on: watch), Crowd(crowds[1].product, on: watch))
        async let brief = withTaskExecutorPreference(watch) {
            try await first.polls(aSecond: 50, path: "/v1/gpu/status?view=brief", seconds: .seconds(4))
        }
        async let full = withTaskExecutorPreference(watch) {
            try await second.polls(aSecond: 10, path: "/v1/gpu/status", seconds: .seconds(4))
        }
        await ground.loop.sleep(for: .seconds(1))
        let before = coordinators.map { (Host.cpu(of: $0), Host.waitForProcessor(of: $0)) }
        let began = Host.nanoseconds
        let told = try await crowds[0].post("/v1/gpu/force-release-all", #"{"reason": "bench"}"#)
        let answered = Host.nanoseconds
        let heard = try await refusals()
        let spent = zip(coordinators, before).map { process, before in
            let (computed, waited) = (Host.cpu(of: process) - before.0, Host.waitForProcessor(of: process) - before.1)
            return "\(rounded(Double(computed) / 1e6, 0)) / \(rounded(Double(waited) / 1e6, 0))"
        }
        func since(_ moment: Int?) -> String { rounded(Double((moment ?? began) - began) / 1e6, 0) }
        return [
            [
                "hosts × units, all held; waiting, half at each of 2 coordinators",
                "\(hosts) × \(unitsEach); \(waiting)",
            ],
            [
                "leases ended, still ending, refused",
                "\(told["released"]?.integer ?? -1), \(told["ending"]?.integer ?? -1), \(told["refused"]?.integer ?? -1)",
            ],
            ["the call itself answered after, ms: every agent has spoken", since(answered)],
            ["first and last waiter answered after, ms", "\(since(heard.min())), \(since(heard.max()))"],
            ["each coordinator meanwhile, ms: computed / waited for a processor", spent.joined(separator: "; ")],
            ["brief status 50 times a second around it, p50 / p99 ms", try await brief[1]],
            ["whole status 10 times a second around it, p50 / p99 ms", try await full[1]],
        ]
    }
}
