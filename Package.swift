// swift-tools-version: 6.2
import PackageDescription

let wall: [SwiftSetting] = [.treatAllWarnings(as: .error)]  // rooms that wrap C: may hold pointers
let safe = wall + [.strictMemorySafety()]  // all others fail to build when they touch one unmarked
typealias Imports = [Target.Dependency]
let plain: Imports = ["LeaseModel", "JSON", "Settings", "Telemetry", "EventLoop", "HTTP"]
let server = plain + ["RedisClient", "LeaseStore"]

/// One name a state change; `Shared/` holds the pieces that several scripts use.
let scripts = [
    "AnswerAgain", "Ask", "Beat", "Cancel", "Confirm", "Cordon", "Depart", "Drain", "End", "Heartbeat", "History",
    "Insist", "Leave", "Preempt", "Reject", "Release", "Renew", "Renewed", "Revoke", "Snapshot", "Spare", "Tickets",
    "Verify",
    "Shared/Calls", "Shared/Choose", "Shared/Clock", "Shared/Compare", "Shared/Drains", "Shared/Drop", "Shared/Events",
    "Shared/Keys",
    "Shared/Mail", "Shared/Match", "Shared/Preemption", "Shared/Recall", "Shared/Session", "Shared/Settle",
    "Shared/Several",
].map { "Scripts/\($0).lua" }

/// What the simulator puts around each script of the pool.
let simulatorScripts = ["After", "Before", "Keep"].map { "Scripts/\($0).lua" }

func room(
    _ name: String, _ imports: Imports = [], _ settings: [SwiftSetting] = safe, embedding files: [String] = []
) -> Target {
    // libm: the standard library refers to it where it turns numbers into text.
    .target(
        name: name, dependencies: imports, resources: files.map { .embedInCode($0) }, swiftSettings: settings,
        linkerSettings: [.linkedLibrary("m")])
}
func door(_ name: String, _ imports: Imports) -> Target {
    .executableTarget(name: name, dependencies: imports, path: "Sources/Commands/\(name)", swiftSettings: safe)
}
func tests(_ name: String, _ imports: Imports, excluding files: [String] = []) -> Target {
    .testTarget(name: name, dependencies: imports, exclude: files, swiftSettings: wall)
}

/// The targets of the fuzzer: tests of the bytes that were kept, and for scripts/fuzz a program, which the sanitizer gives
/// its own `main`.
let fuzzed: Imports = ["HTTP", "JSON", "Coordinator", "RedisClient", "LeaseModel", "Telemetry", "EventLoop"]
let isFuzzing = Context.environment["LEASEHOLD_FUZZ_BUILD"] != nil
let fuzz: Target =
    isFuzzing
    ? .executableTarget(
        name: "fuzz", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["Replay", "Corpus"], swiftSettings: wall)
    : .testTarget(
        name: "FuzzTests", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["Door", "Corpus"], swiftSettings: wall)

let package = Package(
    name: "leasehold",
    products: [.library(name: "GPULease", targets: ["GPULease"])],
    dependencies: [],
    targets: [
        .systemLibrary(name: "CSystem"), .systemLibrary(name: "CVulkan"),
        .target(name: "CLLHTTP", cSettings: [.define("LLHTTP_STRICT_MODE", to: "1")]),
        .target(name: "CAssets", exclude: ["files"]),
        room("LeaseModel"), room("JSON"), room("Settings"), room("Telemetry"),
        room("EventLoop", ["CSystem", "Telemetry"], wall),
        room("HTTP", ["CSystem", "CLLHTTP", "EventLoop", "Telemetry"], wall),
        room("RedisClient", ["CSystem", "EventLoop", "Telemetry"], wall),
        room("VulkanProbe", ["CVulkan", "LeaseModel"], wall),
        room("LeaseStore", ["LeaseModel", "RedisClient", "JSON"], embedding: scripts),
        room("Agent", server), room("Coordinator", server + ["CAssets"]),
        room("GPULease", ["HTTP", "EventLoop", "JSON", "Telemetry"]),
        room(
            "Simulation",
            ["Agent", "Coordinator", "LeaseModel", "LeaseStore", "RedisClient", "EventLoop", "Settings", "Telemetry"],
            embedding: simulatorScripts),
        room("LoadGenerator", ["CSystem", "EventLoop"], wall),
        room(
            "Benchmarks", server + ["LoadGenerator", "GPULease"],
            embedding: ["peers/bridge.py", "peers/clients.py"]),
        door("leasehold", plain + ["Agent", "Coordinator", "GPULease", "LeaseStore", "RedisClient"]),
        door("leasehold-agent", plain + ["Agent", "RedisClient"]),
        door("leasehold-coordinator", plain + ["Coordinator", "RedisClient"]),
        door("leasehold-probe", ["VulkanProbe", "LeaseModel", "JSON"]),
        door("simulate", ["Simulation", "EventLoop"]),
        door("bench", ["Benchmarks", "EventLoop"]),
        .executableTarget(
            name: "example-swift", dependencies: ["GPULease"], path: "examples/swift", swiftSettings: safe),
        .target(name: "TestSupport", dependencies: server, path: "Tests/TestSupport", swiftSettings: wall),
        .executableTarget(
            name: "chaos",
            dependencies: ["CSystem", "EventLoop", "HTTP", "JSON", "RedisClient", "Telemetry", "TestSupport"],
            path: "Tests/Chaos", swiftSettings: wall),
        tests("LeaseModelTests", ["LeaseModel"]), tests("JSONTests", ["JSON", "TestSupport"]),
        tests("SettingsTests", ["Settings"]), tests("TelemetryTests", ["Telemetry"]),
        tests("EventLoopTests", ["EventLoop", "TestSupport"]),
        tests("HTTPTests", ["HTTP", "EventLoop", "JSON", "TestSupport"]),
        tests("RedisClientTests", ["RedisClient", "EventLoop", "LeaseModel", "TestSupport"]),
        tests("LeaseStoreTests", ["LeaseStore", "TestSupport"]),
        tests("AgentTests", ["Agent", "TestSupport"]), tests("CoordinatorTests", ["Coordinator", "TestSupport"]),
        tests("GPULeaseTests", ["GPULease", "Agent", "Coordinator", "HTTP", "JSON", "TestSupport"]),
        tests("CommandTests", ["leasehold", "Coordinator", "RedisClient"] + plain + ["TestSupport"]),
        tests("SimulationTests", ["Simulation", "EventLoop", "TestSupport", "simulate"]),
        tests("CAssetsTests", ["CAssets"]), tests("EndToEndTests", plain + ["TestSupport"]),
        tests("LoadGeneratorTests", ["LoadGenerator", "EventLoop", "TestSupport"]),
        tests("HouseTests", ["Telemetry"], excluding: ["texts.txt"]),
        fuzz,
    ],
    swiftLanguageModes: [.v6]
)
