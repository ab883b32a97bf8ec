import JSON
import LeaseModel

/// The variables that lead a program to the device of its lease, by ids that do not depend on an order.
///
/// Advice, not isolation. Only what the device's own driver tells is used: CUDA takes the UUID that NVIDIA's Vulkan driver
/// reports, Mesa's device selection the PCI address, the Vulkan loader vendor and device ids. ROCm and Level Zero count by
/// an index that Vulkan does not tell, so theirs are set only to hide their devices from a lease on another maker's.
enum DeviceEnvironment {
    private static let nvidia: Int64 = 0x10DE
    private static let amd: Int64 = 0x1002
    private static let intel: Int64 = 0x8086

    /// - Parameter variables: Those of each device of one lease.
    static func joined(_ variables: [[(String, String)]]) -> [(String, String)] {
        guard variables.count > 1 else { return variables.first ?? [] }
        // Which of several devices of one lease is used is the program's to choose: what can name only one is left out,
        // and what hides devices hides those that none of them is.
        let each = variables.map { Dictionary($0) { first, _ in first } }
        guard each.allSatisfy({ !$0.isEmpty }) else { return [] }
        var joined: [(String, String)] = []
        for name in Set(each.flatMap(\.keys)).sorted() where !namesOneDevice.contains(name) {
            let values = each.compactMap { $0[name] }
            // A device that a variable says nothing of is one that it does not hide.
            let hides = values.filter { hidingValues.contains($0) }
            let shown = values.filter { !hidingValues.contains($0) }
            if let hidden = hides.first, shown.isEmpty {
                if hides.count == each.count { joined.append((name, hidden)) }
            } else if shown.count + hides.count == each.count {
                var told: Set<String> = []
                joined.append((name, shown.filter { told.insert($0).inserted }.joined(separator: ",")))
            }
        }
        return joined
    }

    private static let namesOneDevice: Set<String> = ["DRI_PRIME", "MESA_VK_DEVICE_SELECT"]
    private static let hidingValues: Set<String> = ["", "void", "-1"]

    /// - Parameter details: A unit's details as its agent registered them, a JSON object.
    static func variables(details: String) -> [(String, String)] {
        guard let device = try? JSONParser.parse(Array(details.utf8)).object, device["simulated"]?.bool != true,
            let vendor = device["vendor_id"]?.integer
        else { return [] }
        var variables: [(String, String)] = []
        if vendor == nvidia, let uuid = device["uuid"]?.string, let name = cudaName(uuid) {
            variables += [
                ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("CUDA_VISIBLE_DEVICES", name), ("NVIDIA_VISIBLE_DEVICES", name),
            ]
        } else if vendor != nvidia {
            variables += [("CUDA_VISIBLE_DEVICES", ""), ("NVIDIA_VISIBLE_DEVICES", "void")]
        }
        if vendor != amd { variables += [("HIP_VISIBLE_DEVICES", "-1"), ("ROCR_VISIBLE_DEVICES", "")] }
        if vendor == amd || vendor == intel, let pci = device["pci"]?.string {
            let place = pci.map { $0 == ":" || $0 == "." ? "_" : String($0) }.joined()
            variables.append(("DRI_PRIME", "pci-\(place)!"))
        }
        if let number = device["device_id"]?.integer, vendor != 0 {
            variables += [
                ("MESA_VK_DEVICE_SELECT", "\(hex(vendor)):\(hex(number))!"),
                ("VK_LOADER_DEVICE_ID_FILTER", "0x\(hex(number))"), ("VK_LOADER_VENDOR_ID_FILTER", "0x\(hex(vendor))"),
            ]
        }
        return variables.sorted { $0.0 < $1.0 }
    }

    private static func hex(_ number: Int64) -> String { String(number, radix: 16) }

    /// `GPU-8-4-4-4-12`, as CUDA writes a UUID.
    private static func cudaName(_ uuid: String) -> String? {
        let digits = Array(uuid.utf8)
        guard digits.count == 32 else { return nil }
        let cuts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
        return "GPU-" + cuts.map { String(decoding: digits[$0], as: UTF8.self) }.joined(separator: "-")
    }
}
