import JSON
import LeaseModel

extension JSONWriter {
    /// One device with everything that is known of it; the agent reads this.
    mutating func device(_ device: Device) {
        object { writer in
            writer.member("name", device.name)
            writer.member("type", device.kind.rawValue)
            writer.member("vendor_id", device.vendorID)
            writer.member("device_id", device.deviceID)
            writer.member("device_uuid", device.deviceUUID)
            writer.member("driver_uuid", device.driverUUID)
            writer.member("driver_name", device.driverName)
            writer.member("driver_info", device.driverInfo)
            writer.member("driver_version", device.driverVersion)
            writer.member("api_version", device.apiVersion)
            writer.member("pci", device.pciAddress)
            writer.member("drm", device.drmNode)
            writer.key("heaps")
            writer.array { writer in
                for heap in device.heaps { writer.heap(heap) }
            }
        }
    }

    private mutating func heap(_ heap: Device.Heap) {
        object { writer in
            writer.member("bytes", heap.bytes)
            writer.member("device_local", heap.isDeviceLocal)
            writer.key("budget_bytes")
            if let budget = heap.budgetBytes { writer.integer(budget) } else { writer.null() }
        }
    }
}
