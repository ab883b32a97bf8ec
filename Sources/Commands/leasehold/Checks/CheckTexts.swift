import HTTP
import RedisClient

/// What `selftest` and `doctor` tell.
extension Texts {
    static func checked(_ count: Int, failed: Int) -> String {
        failed == 0
            ? "All is well: \(Words.count(Int64(count), "check"))."
            : "\(failed) of \(Words.count(Int64(count), "check")) found something wrong."
    }

    // MARK: selftest

    static let noMessage = "The refusal has no msg, so that nobody learns what to do."
    static let noGPUs = "There is no GPU. leasehold probe on each machine says why."
    static let noTokens = "No tokens are set up: everybody who reaches this address may do everything."
    static let busy = "No GPU is free at present, so nothing was leased."
    static let wrongTime = "The time that the lease is said to stand cannot be right. Do all parts have one version?"
    static let staleAccepted = "An older fencing token counts as current: resources would let an old holder write."
    static let foreignUnlocked = "A wrong token has freed a lease."

    static func wrongStatus(_ what: String, _ got: Int, want: Int) -> String {
        "\(what) is answered \(got), want \(want)."
    }

    static func wrongMember(_ name: String, want: String) -> String {
        "The answer's \(name) is missing or wrong, want \(want). Is this a coordinator of this version?"
    }

    static func degraded(_ reason: String?) -> String {
        let why = reason.map { " (\($0))" } ?? ""
        return "The service is degraded\(why): it grants nothing new. leasehold doctor --redis URL looks at its Redis."
    }

    // MARK: doctor

    static let unregistered =
        "The agent runs, but the pool does not know it. Its log says why; is --redis that of the coordinator?"
    static let noLoader =
        "The Vulkan loader libvulkan.so.1 is missing, so no GPU is found. Install libvulkan1 (Debian, Ubuntu) or "
        + "vulkan-loader (Fedora, Arch)."
    static let noManifests =
        "There is no Vulkan driver. Install that of the card: mesa-vulkan-drivers for AMD and Intel, NVIDIA's own "
        + "driver with its Vulkan part for NVIDIA."
    static let noDevices = "No driver has a device here. leasehold probe shows each driver and why it has none."
    static let noClockSource = "The kernel does not tell its clock source here; leases trust the rate of its clock."

    static func portTaken(_ endpoint: HTTPEndpoint) -> String {
        "Another program answers at \(endpoint). Find it with: ss -ltnp. Serve elsewhere with --listen, and name that "
            + "place with --url."
    }

    static func notReady(_ endpoint: HTTPEndpoint, _ why: String?) -> String {
        "\(endpoint) answers but is not ready\(why.map { ": \($0)" } ?? ".") Look at its Redis: "
            + "leasehold doctor --redis URL"
    }

    static func noServiceHere(_ endpoint: HTTPEndpoint) -> String {
        "Nobody listens at \(endpoint). Start leasehold up or leasehold-coordinator, or name another place with --url."
    }

    static func noRedis(_ endpoint: RedisEndpoint, _ why: String) -> String {
        "\(endpoint) cannot be reached (\(why)). Is redis-server running there, and does its bind and protected-mode "
            + "let this machine in?"
    }

    static func noAgent(_ socket: String) -> String {
        "No agent answers at \(socket). Where this machine's GPUs are to be leased, start leasehold-agent, or name "
            + "its socket with --agent-socket."
    }

    static func oddAgent(_ socket: String) -> String {
        "What answers at \(socket) is no agent. Name the agent's socket with --agent-socket."
    }

    static func skipped(_ faults: [String]) -> String { faults.joined(separator: "; ") + ". See leasehold probe." }

    static func onlySoftware(_ names: String) -> String {
        "Only software renderers: \(names). They are leased where there is no GPU. If there is a card, install its "
            + "Vulkan driver."
    }

    static func noNodes(inContainer: Bool) -> String {
        inContainer
            ? "There is no /dev/dri in this container. Start it with --device /dev/dri, or --gpus all for NVIDIA."
            : "There is no /dev/dri: the kernel has no driver for a GPU here, or there is no GPU."
    }

    static func closedNode(_ path: String, group: String?) -> String {
        let remedy = group.map { "Add the user to its group and log in again: usermod -aG \($0) USER" } ?? ""
        return "This user may not open \(path). \(remedy)"
    }

    static func noGraphics(_ given: String) -> String {
        "NVIDIA_DRIVER_CAPABILITIES is \(given.isEmpty ? "not set" : "\"\(given)\""): Vulkan needs graphics. Start the "
            + "container with -e NVIDIA_DRIVER_CAPABILITIES=all"
    }

    static func clockStepped(_ by: Duration) -> String {
        "The wall clock stepped by \(Words.seconds(by / .seconds(1))) s while this ran. No lease depends on it; queues "
            + "may lapse early. Let chrony or systemd-timesyncd slew it."
    }

    static func coarseClock(_ source: String) -> String {
        "The kernel counts time by \(source), which loses time under load. Boot with another clock source, such as tsc."
    }

    static func slowClock(_ source: String) -> String {
        "The kernel counts time by \(source): right, but slow to read. tsc is better where the machine has a stable one."
    }
}
