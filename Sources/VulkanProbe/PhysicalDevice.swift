import CVulkan
import LeaseModel

/// One device of a living instance, asked only for what it says it can tell.
struct PhysicalDevice {
    private let handle: VkPhysicalDevice
    private let extensions: Set<String>
    private let plain: VkPhysicalDeviceProperties

    init(_ handle: VkPhysicalDevice) {
        self.handle = handle
        var plain = VkPhysicalDeviceProperties()
        vkGetPhysicalDeviceProperties(handle, &plain)
        self.plain = plain
        extensions = Self.extensions(of: handle)
    }

    func described() -> Device {
        var device = Device(
            name: text(plain.deviceName), kind: kind, vendorID: plain.vendorID, deviceID: plain.deviceID)
        device.apiVersion = APIVersion(packed: plain.apiVersion).text
        device.driverVersion = APIVersion.driver(plain.driverVersion, vendorID: plain.vendorID)
        // Before 1.1 a device need not know the calls that take chained structures.
        if plain.apiVersion >= APIVersion.v1_1.packed {
            addIdentity(to: &device)
            addDriver(to: &device)
            addPlace(to: &device)
        }
        device.heaps = heaps
        return device
    }

    private var kind: Device.Kind {
        switch plain.deviceType {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: .discrete
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: .integrated
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: .virtual
        case VK_PHYSICAL_DEVICE_TYPE_CPU: .cpu
        default: .other
        }
    }

    private func addIdentity(to device: inout Device) {
        var identity = VkPhysicalDeviceIDProperties()
        identity.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES
        askProperties(with: &identity)
        device.deviceUUID = hex(identity.deviceUUID)
        device.driverUUID = hex(identity.driverUUID)
    }

    private func addDriver(to device: inout Device) {
        guard plain.apiVersion >= APIVersion.v1_2.packed || extensions.contains("VK_KHR_driver_properties") else {
            return
        }
        var driver = VkPhysicalDeviceDriverProperties()
        driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES
        askProperties(with: &driver)
        device.driverName = text(driver.driverName)
        device.driverInfo = text(driver.driverInfo)
    }

    private func addPlace(to device: inout Device) {
        if extensions.contains("VK_EXT_pci_bus_info") {
            var pci = VkPhysicalDevicePCIBusInfoPropertiesEXT()
            pci.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT
            askProperties(with: &pci)
            device.pciAddress =
                "\(padded(pci.pciDomain, 4)):\(padded(pci.pciBus, 2)):\(padded(pci.pciDevice, 2)).\(pci.pciFunction)"
        }
        if extensions.contains("VK_EXT_physical_device_drm") {
            var drm = VkPhysicalDeviceDrmPropertiesEXT()
            drm.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT
            askProperties(with: &drm)
            if drm.hasRender != 0 { device.drmNode = "renderD\(drm.renderMinor)" }
        }
    }

    /// Asks for one chained structure; the driver fills it in place.
    private func askProperties<Chained>(with chained: inout Chained) {
        withUnsafeMutableBytes(of: &chained) { bytes in
            var properties = VkPhysicalDeviceProperties2()
            properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2
            properties.pNext = bytes.baseAddress
            vkGetPhysicalDeviceProperties2(handle, &properties)
        }
    }

    private var heaps: [Device.Heap] {
        guard plain.apiVersion >= APIVersion.v1_1.packed, extensions.contains("VK_EXT_memory_budget") else {
            var memory = VkPhysicalDeviceMemoryProperties()
            vkGetPhysicalDeviceMemoryProperties(handle, &memory)
            return heaps(of: memory, budgets: [])
        }
        var budget = VkPhysicalDeviceMemoryBudgetPropertiesEXT()
        budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT
        let memory = withUnsafeMutableBytes(of: &budget) { bytes in
            var properties = VkPhysicalDeviceMemoryProperties2()
            properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2
            properties.pNext = bytes.baseAddress
            vkGetPhysicalDeviceMemoryProperties2(handle, &properties)
            return properties.memoryProperties
        }
        return heaps(of: memory, budgets: values(of: budget.heapBudget, as: VkDeviceSize.self))
    }

    private func heaps(of memory: VkPhysicalDeviceMemoryProperties, budgets: [VkDeviceSize]) -> [Device.Heap] {
        let local = UInt32(VK_MEMORY_HEAP_DEVICE_LOCAL_BIT.rawValue)
        return values(of: memory.memoryHeaps, as: VkMemoryHeap.self).prefix(Int(memory.memoryHeapCount)).enumerated()
            .map { index, heap in
                // A driver that knows no budget says 0, which would read as "full".
                let budget = budgets.indices.contains(index) && budgets[index] > 0 ? budgets[index] : nil
                return Device.Heap(bytes: heap.size, isDeviceLocal: heap.flags & local != 0, budgetBytes: budget)
            }
    }

    private static func extensions(of handle: VkPhysicalDevice) -> Set<String> {
        var count: UInt32 = 0
        guard vkEnumerateDeviceExtensionProperties(handle, nil, &count, nil).rawValue >= 0, count > 0 else { return [] }
        var list = [VkExtensionProperties](repeating: VkExtensionProperties(), count: Int(count))
        guard vkEnumerateDeviceExtensionProperties(handle, nil, &count, &list).rawValue >= 0 else { return [] }
        return Set(list.prefix(Int(count)).map { text($0.extensionName) })
    }
}

/// The elements of a C array, which Swift sees as a tuple.
private func values<Array, Element>(of array: Array, as type: Element.Type) -> [Element] {
    withUnsafeBytes(of: array) { Swift.Array($0.bindMemory(to: type)) }
}

/// The text of a fixed array of characters, which ends with its first zero or with the array.
private func text<Array>(_ array: Array) -> String {
    String(decoding: values(of: array, as: UInt8.self).prefix { $0 != 0 }, as: UTF8.self)
}

private func hex<Array>(_ array: Array) -> String {
    values(of: array, as: UInt8.self).map { padded(UInt32($0), 2) }.joined()
}

private func padded(_ number: UInt32, _ width: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
