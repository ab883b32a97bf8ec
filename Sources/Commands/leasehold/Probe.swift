import Agent
import EventLoop
import Settings
import Telemetry

extension Command {
    static let probe = Command(
        "probe", .checks,
        "Shows this machine's GPUs as an agent sees them: those it takes, and why others are passed over.",
        options: [
            ProbeOptions.includeCPU.entry, ProbeOptions.timeout.entry, ProbeOptions.program.entry,
            ProbeOptions.json.entry,
        ], callsService: false,
        examples: [
            "leasehold probe": "A table, and below it what was skipped and why.",
            "leasehold probe --json": "The same for programs, with memory heaps and ids.",
        ],
        exits: "Exit codes: 0 there are devices; 1 there are none, or one that should be found was not; 2 wrong option."
    ) { (given, surroundings) throws(Failure) in
        var settings = DeviceSearchSettings(environment: surroundings.environment)
        settings.options.includeCPU = try given.isOn(ProbeOptions.includeCPU)
        settings.options.probeDeadline = try given.value(ProbeOptions.timeout)
        settings.options.probe = try given.optional(ProbeOptions.program)
        let search = DeviceSearch(settings: settings, loop: surroundings.loop, log: .silent)
        let inventory: Inventory
        do throws(DeviceSearchError) {
            inventory = try await search.inventory()
        } catch {
            throw Failure(.negative, Words.visible(error.description))
        }
        if try given.isOn(ProbeOptions.json) {
            surroundings.output.line(String(decoding: ProbeReport.json(inventory), as: UTF8.self))
        } else {
            surroundings.output.write(ProbeReport.table(inventory))
        }
        let isWell = !inventory.devices.isEmpty && !inventory.skipped.contains { $0.weight == .fault }
        return isWell ? .done : .negative
    }
}

enum ProbeOptions {
    static let includeCPU = Option.flag(
        "include-cpu", help: "Also show software renderers beside real GPUs.", places: .flag)
    static let timeout = Option.seconds(
        "probe-timeout", in: .milliseconds(100)...(.seconds(60)), standard: .seconds(5),
        help: "How long one Vulkan driver may take to tell its devices.", places: .flag)
    static let program = Option.text(
        "probe", "PATH", standard: .described("leasehold-probe beside this program"),
        help: "The program that asks one driver for its devices.", places: .flag)
    static let json = Option.flag("json", help: "Print one JSON document.", places: .flag)
}
