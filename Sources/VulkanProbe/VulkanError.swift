import CVulkan

/// A Vulkan call that failed.
package struct VulkanError: Error, Equatable, Sendable, CustomStringConvertible {
    package let call: String
    /// The `VkResult`.
    package let code: Int32

    package var description: String {
        switch VkResult(code) {
        case VK_ERROR_OUT_OF_HOST_MEMORY: "\(call): out of memory"
        case VK_ERROR_OUT_OF_DEVICE_MEMORY: "\(call): out of device memory"
        case VK_ERROR_INITIALIZATION_FAILED: "\(call): the driver could not start"
        case VK_ERROR_DEVICE_LOST: "\(call): the device is lost"
        case VK_ERROR_INCOMPATIBLE_DRIVER: "\(call): no driver can be used"
        default: "\(call): error \(code)"
        }
    }

    /// There is no driver that can be loaded, or the one that there is has no device here: Mesa's answer to missing
    /// hardware is a failed start.
    package var meansNoDevice: Bool {
        switch VkResult(code) {
        case VK_ERROR_INCOMPATIBLE_DRIVER: true
        case VK_ERROR_INITIALIZATION_FAILED: call == "vkEnumeratePhysicalDevices"
        default: false
        }
    }
}
