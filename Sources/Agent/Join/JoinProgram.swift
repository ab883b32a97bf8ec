import EventLoop
import HTTP
import JSON
import LeaseModel
import LeaseStore
import RedisClient
import Settings
import Telemetry

/// `leasehold-agent join` from its arguments to its exit code.
enum JoinProgram {
    /// - Parameter arguments: Those after `join`.
    static func run(arguments: [String], environment: [String: String]) -> AgentProgram.Exit {
        let options: JoinOptions
        do {
            switch try JoinOptions.table.read(arguments: arguments, environment: environment) {
            case .help:
                Console.write(JoinOptions.table.help)
                return .stopped
            case .version:
                Console.write("leasehold-agent \(AgentProgram.version)\n")
                return .stopped
            case .settings(let given): options = try JoinOptions(given, environment: environment)
            }
        } catch {
            Console.write("leasehold-agent join: \(error)\n", to: .error)
            return error is SettingsError ? .usage : .failed
        }
        do throws(LoopError) {
            let loop = try EventLoop()
            let run = JoinRun(options, loop: loop)
            run.assumeIsolated { $0.begin() }
            loop.run()
            return run.assumeIsolated { $0.exit }
        } catch {
            Console.write("leasehold-agent join: \(error.description)\n", to: .error)
            return .failed
        }
    }
}

/// One run: asks, tries, and only then writes.
private actor JoinRun {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// What a coordinator has told.
    private struct Place {
        var pool: PoolID
        var redis: RedisEndpoint
        /// Who told it.
        var coordinator: String
    }

    /// How long the coordinator may take.
    private static let patience = Duration.seconds(10)
    /// How long the way to Redis may take.
    private static let patienceWithRedis = Duration.seconds(5)
    /// How long a Redis that can be used may not know the coordinator, whose own may just have come back: it says every
    /// half second that it is there.
    private static let beats = Duration.seconds(3)
    /// What the package leaves where it was purged with a lease held.
    private static let leftBehind = "/run/leasehold-agent.left"

    private let options: JoinOptions
    private let loop: EventLoop
    private(set) var exit = AgentProgram.Exit.failed

    init(_ options: JoinOptions, loop: EventLoop) {
        self.options = options
        self.loop = loop
    }

    func begin() {
        loop.spawn {
            await self.run()
            self.loop.stop()
        }
    }

    private func run() async {
        do throws(JoinError) {
            let place = try await ask()
            let settings = try settings(for: place)
            try await tryRedis(place)
            let state = try await makeState()
            try write(settings)
            Console.write(
                """
                leasehold-agent: \(options.settingsPath) names the Redis of the pool \(place.pool) now: \(place.redis).
                leasehold-agent: \(state)
                Next: systemctl enable leasehold-agent && systemctl restart leasehold-agent

                """)
            exit = .stopped
        } catch {
            Console.write("leasehold-agent join: \(error.description)\n", to: .error)
        }
    }

    // MARK: The coordinator

    private func ask() async throws(JoinError) -> Place {
        let url = options.endpoint.description
        guard options.endpoint.isConfidential else { throw .inClear(url) }
        let client = HTTPClient(loop: loop, trusting: options.authorities, showing: options.identity)
        defer { client.close() }
        var headers: HTTPHeaders = ["Accept": "application/json", "Content-Type": "application/json"]
        if let token = options.token { headers["Authorization"] = "Bearer \(token.revealed)" }
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("host", options.host?.text ?? Environment.hostName)
            if let pool = options.pool { writer.member("pool", pool.text) }
        }
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await client.send(
                .post, "/v1/agent/join", to: options.endpoint, headers: headers, body: writer.bytes,
                timeout: Self.patience)
        } catch {
            throw .unreachable(url, why: error.message)
        }
        let body = (try? JSONParser.parse(response.body))?.object ?? JSONObject()
        guard response.status == 200 else {
            guard response.status != 404, let message = body["msg"]?.string else { throw .notUnderstood(url) }
            throw .refused(url, status: response.status, message: message)
        }
        guard let pool = body["pool"]?.string.flatMap({ try? PoolID($0) }),
            let redis = body["redis"]?.string.flatMap({ try? RedisEndpoint(parsing: $0) }),
            let coordinator = body["coordinator"]?.string
        else { throw .notUnderstood(url) }
        if let wanted = options.pool, wanted != pool { throw .otherPool(wanted: wanted.text, got: pool.text) }
        return Place(pool: pool, redis: redis, coordinator: coordinator)
    }

    // MARK: Redis

    /// Whether the agent will be able to work there: a server that will do, this log-in, and the coordinator beside us.
    private func tryRedis(_ place: Place) async throws(JoinError) {
        let address = place.redis.description
        let redis = place.redis.serving(slotOf: LeaseStore.slotKey(of: place.pool))
        let client = RedisClient(loop: loop, endpoint: redis, name: "leasehold-agent-join", log: .silent)
        client.start()
        var deadline = loop.now + Self.patienceWithRedis
        var isReached = false
        var found: Result<Bool, RedisError> = .success(false)
        while loop.now < deadline {
            if case .refused = client.state { break }
            if client.isConnected {
                if !isReached { deadline = loop.now + Self.beats }
                isReached = true
                do throws(RedisError) {
                    let reply = try await client.command(
                        ["HGET", .text(LeaseStore.beatsKey(of: place.pool)), .text(place.coordinator)])
                    found = .success(reply.text != nil)
                } catch {
                    found = .failure(error)
                }
                if case .success(true) = found { break }
            }
            await loop.sleep(for: .milliseconds(100))
        }
        let state = client.state
        await client.close()
        switch (state, found) {
        case (_, .success(true)): return
        case (.refused(let why), _), (.disconnected(let why), _): throw .redis(address, why: why)
        case (.connected, .failure(let error)): throw .redis(address, why: error.message)
        case (.connected, .success(false)): throw .otherRedis(address)
        }
    }

    // MARK: The state directory

    /// Says that nothing was ever held here, as the directory's owner, unless that may be untrue.
    private func makeState() async throws(JoinError) -> String {
        let directory = options.stateDirectory
        if !options.isFirstJoin, Files.exists(Self.leftBehind) {
            return "The package was purged here with a lease held (\(Self.leftBehind)): the GPUs rest until it is over."
        }
        let owner = Files.permissions(directory)?.owner ?? Environment.userID
        if owner == Environment.userID {
            do {
                let state = try JournalFile(directory: directory).makeFirst(
                    instance: InstanceID(SecureRandom.randomHex(bytes: 16)),
                    uptime: options.isFirstJoin ? nil : loop.now, longestTTL: Limits.longestTTL,
                    lockDelay: Limits.lockDelay)
                return state.description(of: directory)
            } catch AgentError.stateDirectoryBusy {
                return "An agent runs in \(directory); it goes on with its journal."
            } catch {
                throw .state(directory, why: "\(error)")
            }
        }
        guard Environment.userID == 0, let program = Environment.executablePath,
            let group = Files.permissions(directory)?.group
        else { throw .state(directory, why: "it belongs to another user") }
        // What root wrote there the agent could not read, and what lies there root should not follow.
        let command = ChildCommand(
            ["setpriv", "--reuid", String(owner), "--regid", String(group), "--clear-groups", "--reset-env", "--"]
                + [program, "init", "--state-dir", directory, "--host-id", "any"]
                + (options.isFirstJoin ? ["--first-join"] : []))
        let result: ChildResult
        do throws(LoopError) {
            result = try await ChildProcess.run(command, deadline: .seconds(30), on: loop)
        } catch {
            throw .state(directory, why: error.description)
        }
        let said = String(decoding: result.output + result.errorOutput, as: UTF8.self)
            .replacing("leasehold-agent: ", with: "").split(separator: "\n").joined(separator: " ")
        if result.exit == .exited(0) { return said }
        if said.contains("belongs to the agent") {
            return "An agent runs in \(directory); it goes on with its journal."
        }
        throw .state(directory, why: said.isEmpty ? "setpriv failed" : said)
    }

    // MARK: The settings

    private func settings(for place: Place) throws(JoinError) -> ServiceSettings {
        let path = options.settingsPath
        var settings = ServiceSettings("")
        if Files.exists(path) {
            do throws(LoopError) {
                settings = ServiceSettings(String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self))
            } catch {
                throw .settings(path, why: error.description)
            }
        }
        var wanted = [(name: "LEASEHOLD_REDIS", value: place.redis.revealed)]
        if place.pool != .standard || settings["LEASEHOLD_POOL"] != nil {
            wanted.append((name: "LEASEHOLD_POOL", value: place.pool.text))
        }
        if let host = options.host { wanted.append((name: "LEASEHOLD_HOST_ID", value: host.text)) }
        if !options.labels.isEmpty {
            wanted.append((name: "LEASEHOLD_LABEL", value: options.labels.joined(separator: ",")))
        }
        let contradicting = settings.contradicting(wanted)
        guard contradicting.isEmpty || options.isForced else { throw .settingsStand(path, names: contradicting) }
        for (name, value) in wanted { settings.set(name, to: value) }
        return settings
    }

    private func write(_ settings: ServiceSettings) throws(JoinError) {
        let path = options.settingsPath
        let before = Files.permissions(path)
        do throws(LoopError) {
            try Files.makeDirectory(Files.directory(of: path), mode: 0o755)
            // There is a password in it: nobody beyond the owner, and a group that was let in before.
            try Files.replace(
                path, with: Array(settings.text.utf8), mode: (before?.mode ?? 0o600) & 0o640, group: before?.group,
                durability: .power)
        } catch {
            throw .settings(path, why: error.description)
        }
    }
}
