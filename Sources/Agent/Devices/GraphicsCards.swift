import EventLoop

/// The cards of this host as the kernel knows them. Looking at them wakes none.
struct GraphicsCards: Equatable, Sendable {
    /// PCI addresses, in their order.
    private(set) var addresses: [String] = []
    /// Those that are powered down until somebody uses them.
    private(set) var asleep: Set<String> = []
    /// Those of makers whose cards have Vulkan drivers, with the maker: unlike the plain screens of servers and virtual
    /// machines, one of these should be found.
    private(set) var capable: [String: UInt32] = [:]

    /// AMD, NVIDIA, Intel.
    private static let makers: Set<UInt32> = [0x1002, 0x10DE, 0x8086]

    static let root = "/sys/bus/pci/devices"

    /// None.
    init() {}

    /// - Parameter root: The kernel's directory with one entry a PCI device.
    init(root: String) {
        for address in ((try? Files.list(root)) ?? []).sorted() {
            let kind = Self.text("\(root)/\(address)/class")
            // Display controllers and processing accelerators.
            guard kind.hasPrefix("0x03") || kind.hasPrefix("0x12") else { continue }
            addresses.append(address)
            if let maker = UInt32(Self.text("\(root)/\(address)/vendor").dropFirst(2), radix: 16),
                Self.makers.contains(maker)
            {
                capable[address] = maker
            }
            if Self.text("\(root)/\(address)/power/runtime_status") == "suspended" { asleep.insert(address) }
        }
    }

    private static func text(_ path: String) -> String {
        let bytes = (try? Files.read(path, limit: 4096)) ?? []
        return String(decoding: bytes.filter { $0 > UInt8(ascii: " ") }, as: UTF8.self)
    }
}
