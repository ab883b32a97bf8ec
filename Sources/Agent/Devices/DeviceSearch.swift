import EventLoop
import LeaseModel
import Telemetry

/// What a search for devices is told beside `DeviceOptions`.
package struct DeviceSearchSettings: Sendable {
    package var options = DeviceOptions()
    /// Where drivers are looked for, and what their processes get of it.
    package var environment: [String: String]
    /// Where the numbers of the cards are kept; nil keeps them in memory.
    package var numbersPath: String?
    /// The kernel's directory of PCI devices.
    package var cards = GraphicsCards.root

    package init(environment: [String: String] = Environment.all) { self.environment = environment }

    /// The program that asks one driver.
    var probe: String {
        options.probe
            ?? Environment.executablePath.map { Files.directory(of: $0) + "/leasehold-probe" } ?? "leasehold-probe"
    }
}

/// Why there is no inventory at all. A driver's failure is none: it is noted in the inventory.
package struct DeviceSearchError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}

/// Looks for the devices of this host: asks each Vulkan driver in a process of its own and merges what they say.
package actor DeviceSearch {
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let settings: DeviceSearchSettings
    private let loop: EventLoop
    private let log: Log
    private let runner: ProbeRunner
    private var isSearching = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var outcome: Result<Inventory, DeviceSearchError>?
    private var reports: [String: DriverReport] = [:]
    private var cards: GraphicsCards?
    private var told: Inventory?
    private var numbers: DeviceNumbers?

    package init(settings: DeviceSearchSettings, loop: EventLoop, log: Log) {
        self.settings = settings
        self.loop = loop
        self.log = log
        runner = ProbeRunner(
            probe: settings.probe, environment: settings.environment, deadline: settings.options.probeDeadline,
            loop: loop)
    }

    /// A search as an agent asks for it.
    package static func source(
        of settings: DeviceSearchSettings, on host: HostID, loop: EventLoop, log: Log
    ) -> DeviceSource {
        let search = DeviceSearch(settings: settings, loop: loop, log: log)
        return { await search.units(on: host) }
    }

    /// The units to register; nil where the search failed. What of a memory is in use is that of the last change, so that
    /// it alone makes no units differ.
    package func units(on host: HostID) async -> [UnitProperties]? {
        do throws(DeviceSearchError) {
            let found = try await inventory()
            if told?.isSame(as: found) != true { tell(found) }
            let inventory = told ?? found
            if settings.options.simulated != nil { return inventory.units(on: host) }
            return inventory.units(on: host, numbers: numbered(inventory))
        } catch {
            log.error("device_search_failed", ["why": .text(error.description)])
            return nil
        }
    }

    /// Searches now. Who asks while a search is under way gets what that one finds.
    package func inventory() async throws(DeviceSearchError) -> Inventory {
        if let count = settings.options.simulated { return Inventory(simulated: count) }
        if isSearching {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            isSearching = true
            outcome = await search()
            isSearching = false
            let waiting = waiting
            self.waiting = []
            for continuation in waiting { continuation.resume() }
        }
        guard let outcome else { throw DeviceSearchError(description: "the search did not end") }
        return try outcome.get()
    }

    private func search() async -> Result<Inventory, DeviceSearchError> {
        guard Files.isExecutable(settings.probe) else {
            let want = "Install it beside this program, or name it with --probe."
            return .failure(DeviceSearchError(description: "\(settings.probe) is missing or is no program. \(want)"))
        }
        let manifests = DriverManifests(environment: settings.environment).find()
        let cards = GraphicsCards(root: settings.cards)
        // A driver that looks at a sleeping card wakes it. What is asleep has not changed; a card that came or went tells.
        let mayWake = cards.asleep.isEmpty || cards.addresses != self.cards?.addresses
        let toAsk = manifests.filter { mayWake || reports[$0].map(Self.isWorthAskingAgain) ?? true }
        let answers = await ask(toAsk)
        for report in answers { reports[report.manifest] = report }
        reports = reports.filter { manifests.contains($0.key) }
        self.cards = cards
        return .success(
            Inventory(
                reports: manifests.compactMap { reports[$0] }, cards: cards, includeCPU: settings.options.includeCPU))
    }

    private static func isWorthAskingAgain(_ report: DriverReport) -> Bool {
        if case .failed = report.outcome { true } else { false }
    }

    /// All at once: a driver that hangs costs the deadline once.
    private func ask(_ manifests: [String]) async -> [DriverReport] {
        await withTaskGroup(of: DriverReport.self) { group in
            for manifest in manifests {
                group.addTask { [runner] in await runner.ask(manifest) }
            }
            var reports: [DriverReport] = []
            for await report in group { reports.append(report) }
            return reports
        }
    }

    private func tell(_ inventory: Inventory) {
        for entry in inventory.devices {
            log.info(
                "device_found",
                [
                    "device": .text(entry.id), "name": .text(entry.device.name),
                    "type": .text(entry.device.kind.rawValue),
                    "memory_mb": .integer(Int64(clamping: entry.device.memoryBytes / 1_000_000)),
                ])
        }
        for skipped in inventory.skipped {
            switch skipped.weight {
            case .ordinary: log.debug("device_skipped", ["what": .text(skipped.what), "why": .text(skipped.reason)])
            case .fault: log.warning("device_skipped", ["what": .text(skipped.what), "why": .text(skipped.reason)])
            }
        }
        if inventory.devices.isEmpty { log.warning("no_devices") }
        told = inventory
    }

    private func numbered(_ inventory: Inventory) -> [String: Int] {
        let before = numbers ?? remembered()
        var numbers = before
        // Without a boot id every start counts as a new boot: numbers then hold for this run alone.
        let boot = (try? Environment.bootID()) ?? "unknown-\(Environment.processID)"
        numbers.assign(inventory.devices.map(\.id), boot: boot)
        self.numbers = numbers
        if numbers != before, let path = settings.numbersPath {
            do throws(LoopError) {
                try Files.replace(path, with: Array(numbers.text.utf8), durability: .process)
            } catch {
                log.warning("device_numbers_failed", ["path": .text(path), "error": .text(error.description)])
            }
        }
        return numbers.numbers
    }

    private func remembered() -> DeviceNumbers {
        guard let path = settings.numbersPath, Files.exists(path) else { return DeviceNumbers() }
        if let bytes = try? Files.read(path, limit: 1 << 20),
            let numbers = DeviceNumbers(text: String(decoding: bytes, as: UTF8.self))
        {
            return numbers
        }
        log.warning("device_numbers_unreadable", ["path": .text(path)])
        return DeviceNumbers()
    }
}
