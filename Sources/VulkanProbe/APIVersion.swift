/// A version as Vulkan packs it: 3 bits variant, 7 major, 10 minor, 12 patch.
struct APIVersion {
    let packed: UInt32

    static let v1_1 = APIVersion(packed: 1 << 22 | 1 << 12)
    static let v1_2 = APIVersion(packed: 1 << 22 | 2 << 12)

    var text: String { "\(packed >> 22 & 0x7F).\(packed >> 12 & 0x3FF).\(packed & 0xFFF)" }

    /// A driver's version; NVIDIA packs its own in another way (10, 8, 8 and 6 bits).
    static func driver(_ packed: UInt32, vendorID: UInt32) -> String {
        guard vendorID == 0x10DE else { return APIVersion(packed: packed).text }
        let parts = [packed >> 22, packed >> 14 & 0xFF, packed >> 6 & 0xFF, packed & 0x3F]
        return parts.prefix(parts[3] == 0 ? 3 : 4).map(String.init).joined(separator: ".")
    }
}
