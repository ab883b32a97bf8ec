import JSON
import LeaseModel

/// What came of asking one Vulkan driver.
package struct DriverReport: Equatable, Sendable {
    package enum Outcome: Equatable, Sendable {
        case devices([Device])
        /// The driver is of no use here, which is nothing to mend: it is for another architecture, it has no device.
        case unusable(String)
        /// The driver crashed, hung, or could not be asked. Its devices are not to be had.
        case failed(String)
    }

    /// The path of its manifest.
    package var manifest: String
    package var outcome: Outcome

    package init(manifest: String, outcome: Outcome) {
        self.manifest = manifest
        self.outcome = outcome
    }

    /// Devices that one driver may report. Beyond: the rest is not looked at.
    static let deviceLimit = 256

    /// Reads the document that the probe wrote.
    init(manifest: String, document: [UInt8]) {
        self.manifest = manifest
        do throws(JSONError) {
            let root = try JSONParser.parse(document, maxDepth: 8).object
            if let message = root?["error"]?.string {
                let text = PlainText.line(message)
                outcome = root?["no_device"]?.bool == true ? .unusable(text) : .failed(text)
            } else if let list = root?["devices"]?.array {
                outcome = .devices(
                    list.prefix(Self.deviceLimit).compactMap { $0.object.flatMap(Device.init(reported:)) })
            } else {
                outcome = .failed("it answered with something else than devices")
            }
        } catch {
            outcome = .failed(
                document.isEmpty ? "it answered nothing" : "its answer cannot be read: \(error.description)")
        }
    }
}

extension Device {
    /// A device as the probe wrote it; nil where it has no name or kind.
    fileprivate init?(reported members: JSONObject) {
        guard let name = members["name"]?.string, let kind = (members["type"]?.string).flatMap(Kind.init(rawValue:))
        else {
            return nil
        }
        func text(_ key: String) -> String { PlainText.line(members[key]?.string ?? "") }
        func number(_ key: String) -> UInt32 { UInt32(clamping: members[key]?.integer ?? 0) }
        self.init(
            name: PlainText.line(name), kind: kind, vendorID: number("vendor_id"), deviceID: number("device_id"))
        deviceUUID = text("device_uuid")
        driverUUID = text("driver_uuid")
        driverName = text("driver_name")
        driverInfo = text("driver_info")
        driverVersion = text("driver_version")
        apiVersion = text("api_version")
        pciAddress = members["pci"]?.string.map { PlainText.line($0) }
        drmNode = members["drm"]?.string.map { PlainText.line($0) }
        heaps = (members["heaps"]?.array ?? []).prefix(16).compactMap { $0.object.flatMap(Heap.init(reported:)) }
    }
}

extension Device.Heap {
    fileprivate init?(reported members: JSONObject) {
        // A heap of more than 2^63 bytes is none.
        guard let bytes = members["bytes"]?.integer, bytes >= 0 else { return nil }
        let budget = (members["budget_bytes"]?.integer).flatMap { $0 > 0 ? UInt64($0) : nil }
        self.init(
            bytes: UInt64(bytes), isDeviceLocal: members["device_local"]?.bool ?? false, budgetBytes: budget)
    }
}
