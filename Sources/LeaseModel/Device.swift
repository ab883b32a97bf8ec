/// A device as its Vulkan driver describes it, or an invented one.
package struct Device: Hashable, Sendable {
    /// What a device is, in the word that units, selectors and reports use.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case discrete, integrated, virtual, cpu, other
    }

    /// One memory of a device.
    package struct Heap: Hashable, Sendable {
        package var bytes: UInt64
        /// Whether it is the device's own memory rather than the host's.
        package var isDeviceLocal: Bool
        /// What a process may use of it at present; nil where the driver does not tell.
        package var budgetBytes: UInt64?

        package init(bytes: UInt64, isDeviceLocal: Bool, budgetBytes: UInt64? = nil) {
            self.bytes = bytes
            self.isDeviceLocal = isDeviceLocal
            self.budgetBytes = budgetBytes
        }
    }

    package var name: String
    package var kind: Kind
    package var vendorID: UInt32
    package var deviceID: UInt32
    /// 32 hex digits; empty where the driver does not tell.
    package var deviceUUID = ""
    /// 32 hex digits; empty where the driver does not tell.
    package var driverUUID = ""
    package var driverName = ""
    package var driverInfo = ""
    package var driverVersion = ""
    package var apiVersion = ""
    /// `0000:01:00.0`; nil where the driver does not tell.
    package var pciAddress: String?
    /// `renderD128`; nil where the driver does not tell.
    package var drmNode: String?
    package var heaps: [Heap] = []
    package var isSimulated = false

    package init(name: String, kind: Kind, vendorID: UInt32 = 0, deviceID: UInt32 = 0) {
        self.name = name
        self.kind = kind
        self.vendorID = vendorID
        self.deviceID = deviceID
    }

    /// The largest of its own memories, which is what a model must fit into; 0 where it has none.
    package var memoryBytes: UInt64 { localHeap?.bytes ?? 0 }

    /// What a process may use of that memory at present; nil where the driver does not tell.
    package var budgetBytes: UInt64? { localHeap?.budgetBytes }

    private var localHeap: Heap? { heaps.filter(\.isDeviceLocal).max { $0.bytes < $1.bytes } }
}
