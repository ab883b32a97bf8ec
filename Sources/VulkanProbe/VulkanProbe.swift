import CVulkan
import LeaseModel

/// Asks the Vulkan drivers of this process's environment for their devices.
///
/// Loads the drivers into this process: some crash, hang, or leave tens of megabytes behind. So only short-lived
/// processes call it.
package enum VulkanProbe {
    /// All devices in the drivers' order.
    /// - Throws: `VulkanError`; `meansNoDevice` where there is nothing to be found, which is no fault.
    package static func devices() throws(VulkanError) -> [Device] {
        let instance = try makeInstance()
        defer { vkDestroyInstance(instance, nil) }
        return try physicalDevices(of: instance).map { handle in PhysicalDevice(handle).described() }
    }

    private static func makeInstance() throws(VulkanError) -> VkInstance {
        var newest: UInt32 = 0
        try check(vkEnumerateInstanceVersion(&newest), "vkEnumerateInstanceVersion")
        var application = VkApplicationInfo()
        application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO
        // A loader of 1.0 refuses any newer version; what 1.1 added is asked for only where a device has it.
        application.apiVersion = min(newest, APIVersion.v1_2.packed)
        var created: VkInstance?
        let result = withUnsafePointer(to: &application) { application in
            var request = VkInstanceCreateInfo()
            request.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO
            request.pApplicationInfo = application
            return vkCreateInstance(&request, nil, &created)
        }
        try check(result, "vkCreateInstance")
        guard let created else { throw VulkanError(call: "vkCreateInstance", code: 0) }
        return created
    }

    private static func physicalDevices(of instance: VkInstance) throws(VulkanError) -> [VkPhysicalDevice] {
        var count: UInt32 = 0
        try check(vkEnumeratePhysicalDevices(instance, &count, nil), "vkEnumeratePhysicalDevices")
        guard count > 0 else { return [] }
        var handles = [VkPhysicalDevice?](repeating: nil, count: Int(count))
        // VK_INCOMPLETE: one more came in between; the next look finds it.
        try check(vkEnumeratePhysicalDevices(instance, &count, &handles), "vkEnumeratePhysicalDevices")
        return handles.prefix(Int(count)).compactMap(\.self)
    }

    private static func check(_ result: VkResult, _ call: String) throws(VulkanError) {
        guard result.rawValue >= 0 else { throw VulkanError(call: call, code: result.rawValue) }
    }
}
