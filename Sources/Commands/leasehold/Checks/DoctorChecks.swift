import Agent
import EventLoop
import HTTP
import JSON
import RedisClient
import Telemetry

/// The checks of `leasehold doctor`.
struct DoctorChecks: Sendable {
    private let service: Service
    private let redis: RedisEndpoint?
    /// Nil where it has to be found.
    private let agentSocket: String?
    private let search: DeviceSearchSettings
    private let surroundings: Surroundings
    /// Where this machine's files are looked for: empty but in tests.
    private let root: String

    init(_ given: Given, _ surroundings: Surroundings, root: String = "") throws(Failure) {
        self.surroundings = surroundings
        self.root = root
        service = try Service.of(given, surroundings)
        redis = try given.optional(DoctorOptions.redis)
        agentSocket = try given.optional(RunOptions.agentSocket)
        var search = DeviceSearchSettings(environment: surroundings.environment)
        search.options.probeDeadline = try given.value(ProbeOptions.timeout)
        search.options.probe = try given.optional(ProbeOptions.program)
        self.search = search
    }

    func run() async -> [Check] {
        let skew = surroundings.loop.wallClock - surroundings.loop.now
        var checks = [await timed("service") { await serviceCheck() }]
        if let redis { checks.append(await timed("redis") { await redisCheck(redis) }) }
        checks.append(await timed("agent") { await agentCheck() })
        checks.append(Check(name: "vulkan loader", outcome: loader()))
        let devices = await timed("devices") { await deviceCheck() }
        checks.append(devices)
        checks.append(Check(name: "permissions", outcome: permissions()))
        if let container = container() { checks.append(Check(name: "container", outcome: container)) }
        let stepped = surroundings.loop.wallClock - surroundings.loop.now - skew
        checks.append(Check(name: "clock", outcome: clock(stepped)))
        return checks
    }

    private func timed(_ name: String, _ body: () async -> Check.Outcome) async -> Check {
        let began = surroundings.loop.now
        let outcome = await body()
        return Check(name: name, outcome: outcome, took: surroundings.loop.now - began)
    }

    // MARK: Programs

    private func serviceCheck() async -> Check.Outcome {
        do throws(HTTPError) {
            let health = try await service.call(.get, "/health")
            guard health.status == 200, health.body.text("status") == "ok", let version = health.body.text("version")
            else { return .failed(Texts.portTaken(service.endpoint)) }
            let ready = try await service.call(.get, "/ready")
            guard ready.status == 200 else {
                return .failed(Texts.notReady(service.endpoint, ready.body.text("msg")))
            }
            return .passed("\(service.endpoint) answers, version \(version), and is ready")
        } catch {
            switch error.kind {
            case .cannotConnect: return .noted(Texts.noServiceHere(service.endpoint))
            case .badAnswer: return .failed(Texts.portTaken(service.endpoint))
            default: return .failed(Texts.unanswered(error, service.endpoint))
            }
        }
    }

    private func redisCheck(_ endpoint: RedisEndpoint) async -> Check.Outcome {
        let loop = surroundings.loop
        let client = RedisClient(loop: loop, endpoint: endpoint, name: "leasehold-doctor", log: .silent)
        client.start()
        let end = loop.now + .seconds(4)
        while loop.now < end {
            if case .connected = client.state { break }
            if case .refused = client.state { break }
            await loop.sleep(for: .milliseconds(20))
        }
        let state = client.state
        client.closeNow()
        switch state {
        case .connected: return .passed("\(endpoint) answers; version and eviction policy will do")
        case .refused(let why): return .failed(why + ".")
        case .disconnected(let why): return .failed(Texts.noRedis(endpoint, why))
        }
    }

    private func agentCheck() async -> Check.Outcome {
        let agentSocket: String
        if let given = self.agentSocket {
            agentSocket = given
        } else {
            let status = try? await service.call(.get, "/v1/gpu/status")
            agentSocket = ThisMachine(status: status?.body ?? [:]).agentSocket(surroundings.environment)
        }
        let agent = Service(client: service.client, endpoint: .unix(path: agentSocket), token: nil)
        do throws(HTTPError) {
            let answer = try await agent.call(.get, "/health")
            guard answer.isOK else { return .failed(Texts.oddAgent(agentSocket)) }
            return answer.body.isTrue("registered")
                ? .passed("\(answer.body.integer("units") ?? 0) units, registered")
                : .failed(Texts.unregistered)
        } catch {
            return .noted(Texts.noAgent(agentSocket))
        }
    }

    // MARK: Devices

    private func loader() -> Check.Outcome {
        let name = "libvulkan.so.1"
        let directories =
            (surroundings.environment["LD_LIBRARY_PATH"] ?? "").split(separator: ":").map(String.init) + [
                "/usr/local/lib", "/usr/lib", "/usr/lib64", "/lib",
            ] + ["x86_64", "aarch64"].map { "/usr/lib/\($0)-linux-gnu" }
        if let place = directories.first(where: { Files.exists("\(root)\($0)/\(name)") }) {
            return .passed("\(place)/\(name)")
        }
        let cache = (try? Files.read(root + "/etc/ld.so.cache", limit: 16 << 20)) ?? []
        return cache.split(separator: 0).contains { $0.elementsEqual(name.utf8) }
            ? .passed(name) : .failed(Texts.noLoader)
    }

    private func deviceCheck() async -> Check.Outcome {
        let inventory: Inventory
        do throws(DeviceSearchError) {
            inventory = try await DeviceSearch(settings: search, loop: surroundings.loop, log: .silent).inventory()
        } catch {
            return .failed(error.description)
        }
        let faults = inventory.skipped.filter { $0.weight == .fault }
        if !faults.isEmpty {
            return .failed(Texts.skipped(faults.map { "\($0.what): \($0.reason)" }))
        }
        let names = inventory.devices.map(\.device.name)
        guard !names.isEmpty else {
            return .failed(inventory.skipped.isEmpty ? Texts.noManifests : Texts.noDevices)
        }
        let found = Words.list(names, limit: 8)
        return inventory.devices.allSatisfy { $0.device.kind == .cpu }
            ? .noted(Texts.onlySoftware(found)) : .passed(found)
    }

    private func permissions() -> Check.Outcome {
        let directory = root + "/dev/dri"
        let nodes = ((try? Files.list(directory)) ?? []).filter { $0.hasPrefix("renderD") }
        let nvidia = Files.exists(root + "/dev/nvidiactl") ? ["/dev/nvidiactl"] : []
        let paths = nodes.map { "/dev/dri/" + $0 } + nvidia
        guard !paths.isEmpty else { return .noted(Texts.noNodes(inContainer: isContainer)) }
        for path in paths where !Files.isReadableAndWritable(root + path) {
            return .failed(Texts.closedNode(path, group: group(of: root + path)))
        }
        return .passed("\(Words.list(paths, limit: 8)) may be opened")
    }

    /// The name of a file's group; its number where it has none here.
    private func group(of path: String) -> String? {
        guard let number = Files.permissions(path)?.group else { return nil }
        let lines = String(decoding: (try? Files.read(root + "/etc/group", limit: 1 << 20)) ?? [], as: UTF8.self)
        for line in lines.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, fields[2] == String(number) { return String(fields[0]) }
        }
        return String(number)
    }

    private var isContainer: Bool {
        Files.exists(root + "/.dockerenv") || Files.exists(root + "/run/.containerenv")
            || surroundings.environment["container"] != nil
    }

    /// Nil outside of containers.
    private func container() -> Check.Outcome? {
        guard isContainer else { return nil }
        let hasNVIDIA = Files.exists(root + "/dev/nvidiactl") || Files.exists(root + "/proc/driver/nvidia/version")
        guard hasNVIDIA else { return .passed("a container without an NVIDIA card") }
        let given = surroundings.environment["NVIDIA_DRIVER_CAPABILITIES"] ?? ""
        let capabilities = given.split(separator: ",").map { $0.filter { $0 != " " } }
        return capabilities.contains("all") || capabilities.contains("graphics")
            ? .passed("a container with the graphics capability") : .failed(Texts.noGraphics(given))
    }

    // MARK: Clock

    private func clock(_ stepped: Duration) -> Check.Outcome {
        guard abs(stepped / .milliseconds(1)) < 100 else { return .noted(Texts.clockStepped(stepped)) }
        let path = root + "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        let source = String(decoding: (try? Files.read(path, limit: 100)) ?? [], as: UTF8.self).filter { !$0.isNewline }
        switch source {
        case "": return .noted(Texts.noClockSource)
        case "jiffies", "refined-jiffies": return .failed(Texts.coarseClock(source))
        case "hpet", "acpi_pm": return .noted(Texts.slowClock(source))
        default: return .passed(source)
        }
    }
}
