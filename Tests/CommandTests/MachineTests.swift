import EventLoop
import Settings
import TestSupport
import Testing

@testable import leasehold

@Suite struct `Looking at this machine` {
    private static let probe = Files.directory(of: Environment.executablePath ?? "") + "/leasehold-probe"

    @Test func `probe tells what it passed over and why`() async throws {
        try await withScene { scene in
            let variables = ["VK_DRIVER_FILES": "/no/such.json"]
            let table = await scene.run(["probe", "--probe", Self.probe], variables)
            #expect(table.code == 1)
            #expect(table.output.contains("No devices.") && table.output.contains("/no/such.json: its manifest"))
            let json = await scene.run(["probe", "--json", "--probe", Self.probe], variables)
            #expect(document(json.output)?.objects("skipped").first?.text("what") == "/no/such.json")
            let missing = await scene.run(["probe", "--probe", "/no/probe"], variables)
            #expect(missing.code == 1 && missing.error.contains("Install it beside this program"))
        }
    }

    /// The checks of a machine whose files are these.
    private static func checks(
        _ files: [String: String], _ variables: [String: String], _ scene: Scene
    ) async throws -> [String: Check.Outcome] {
        let root = "/tmp/lh-root-\(SecureRandom.randomHex(bytes: 6))"
        try Files.makeDirectory(root)
        defer { try? Files.removeTree(root) }
        for (path, text) in files {
            try Files.makeDirectory(root + Files.directory(of: path))
            try Files.replace(root + path, with: Array(text.utf8))
        }
        let surroundings = scene.surroundings(variables.merging(["VK_DRIVER_FILES": "/no/such.json"]) { $1 })
        let words = ["--probe", probe, "--agent-socket", "\(root)/agent.sock"]
        guard
            case .settings(let settings) = try Command.doctor.table.read(
                arguments: words, environment: surroundings.environment)
        else { return [:] }
        let doctor = try DoctorChecks(Given(settings), surroundings, root: root)
        let checks = await withCheckedContinuation { continuation in
            scene.loop.spawn { continuation.resume(returning: await doctor.run()) }
        }
        return Dictionary(uniqueKeysWithValues: checks.map { ($0.name, $0.outcome) })
    }

    private static let clockSource = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

    @Test func `doctor knows the usual faults`() async throws {
        try await withScene { scene in
            let bare = try await Self.checks([Self.clockSource: "jiffies\n"], [:], scene)
            #expect(bare["clock"] == .failed(Texts.coarseClock("jiffies")))
            #expect(bare["vulkan loader"] == .failed(Texts.noLoader))
            #expect(bare["permissions"] == .noted(Texts.noNodes(inContainer: false)))
            #expect(bare["container"] == nil)
            if case .noted? = bare["service"] {} else { Issue.record("nobody listens: \(bare)") }
            if case .failed(let text)? = bare["devices"] {
                #expect(text.contains("/no/such.json"))
            } else {
                Issue.record("a driver is broken: \(bare)")
            }

            let container = [
                "/.dockerenv": "", "/dev/nvidiactl": "", "/usr/lib/libvulkan.so.1": "", Self.clockSource: "tsc\n",
            ]
            let without = ["NVIDIA_DRIVER_CAPABILITIES": "compute,utility"]
            let headless = try await Self.checks(container, without, scene)
            #expect(headless["container"] == .failed(Texts.noGraphics("compute,utility")))
            #expect(headless["vulkan loader"] == .passed("/usr/lib/libvulkan.so.1"))
            #expect(headless["clock"] == .passed("tsc"))
            #expect(headless["permissions"] == .passed("/dev/nvidiactl may be opened"))
            let all = try await Self.checks(container, ["NVIDIA_DRIVER_CAPABILITIES": "all"], scene)
            #expect(all["container"] == .passed("a container with the graphics capability"))
        }
        try await withScene { (_, _, _) in
            (200, ["hello": .string("world")])
        } _: { scene in
            let checks = try await Self.checks([:], [:], scene)
            if case .failed(let text)? = checks["service"] {
                #expect(text.hasPrefix("Another program answers at"))
            } else {
                Issue.record("somebody else has the port: \(checks)")
            }
        }
    }
}
