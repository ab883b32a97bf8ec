import JSON
import LeaseModel

extension Inventory {
    /// The units that an agent registers for these devices, in the order of their numbers, and the host's `model-load`.
    ///
    /// - Parameter numbers: The number of each card; one without is left out.
    package func units(on host: HostID, numbers: [String: Int]) -> [UnitProperties] {
        let numbered = devices.compactMap { entry in numbers[entry.id].map { (number: $0, entry: entry) } }
        var units = numbered.sorted { $0.number < $1.number }.compactMap { number, entry in
            (try? UnitID("\(host.text)/\(number)")).map { unit in
                UnitProperties(
                    unit: unit, kind: .gpu, memoryMB: Int(clamping: entry.device.memoryBytes / 1_000_000),
                    deviceType: entry.device.kind.rawValue, details: Self.details(entry))
            }
        }
        if let unit = try? UnitID(host.text + "/model-load") {
            units.append(
                UnitProperties(unit: unit, kind: .modelLoad, memoryMB: 0, deviceType: "", details: "{}"))
        }
        return units
    }

    /// Units numbered in the order of the devices, for invented ones.
    package func units(on host: HostID) -> [UnitProperties] {
        let numbers = devices.enumerated().map { ($0.element.id, $0.offset) }
        return units(on: host, numbers: Dictionary(numbers) { first, _ in first })
    }

    private static func details(_ entry: Entry) -> String {
        var writer = JSONWriter()
        writer.object { writer in entry.writeMembers(to: &writer) }
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

extension Inventory.Entry {
    /// What people may want to know of the device; memory in MB (10^6 bytes).
    func writeMembers(to writer: inout JSONWriter) {
        writer.member("id", id)
        writer.member("name", device.name)
        writer.member("driver", device.driverName)
        writer.member("driver_info", device.driverInfo)
        writer.member("driver_version", device.driverVersion)
        writer.member("api_version", device.apiVersion)
        writer.member("pci", device.pciAddress)
        writer.member("uuid", device.deviceUUID)
        writer.member("drm", device.drmNode)
        writer.member("vendor_id", device.vendorID)
        writer.member("device_id", device.deviceID)
        writer.member("simulated", device.isSimulated)
        writer.key("heaps")
        writer.array { writer in
            for heap in device.heaps {
                writer.object { writer in
                    writer.member("mb", heap.bytes / 1_000_000)
                    writer.member("device_local", heap.isDeviceLocal)
                }
            }
        }
        writer.key("budget_mb")
        if let budget = device.budgetBytes { writer.integer(budget / 1_000_000) } else { writer.null() }
    }
}
